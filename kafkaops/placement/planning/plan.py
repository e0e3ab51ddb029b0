"""A placement as data: every move, what it costs, the least that it could cost, and what each
broker holds before and after. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkaops.placement.moves import DirMove, Move
from kafkaops.placement.planning.goals import Balance, Goals, Objective


@dataclass(frozen=True)
class Load:
    """Replicas, preferred leaders and bytes of one broker. Bytes are 0 where unknown."""

    replicas: int
    leaders: int
    bytes: int


@dataclass(frozen=True)
class BrokerLoad:
    """One broker now and after. `live` is whether the cluster lists it, `emptied` whether the goals
    drain it."""

    id: int
    rack: str | None
    live: bool
    emptied: bool
    now: Load
    after: Load


@dataclass(frozen=True)
class Violations:
    """Partitions whose replicas are not spread over the racks as evenly as they could be, and how
    many have two replicas in one rack for want of racks. `some` names the first."""

    count: int
    some: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What to do, in order of topic and partition, and what is known about it.

    `cost` and `bound` are in the objective's unit: replicas copied, or bytes. `bound` is the least
    that any plan costs, `gap` what is above it, `proof` how the bound is known: `closed form`
    (counted), `min-cost flow` (the optimum of an exact flow), or in words where it is no flow."""

    cluster_id: str
    goals: Goals
    moves: tuple[Move, ...]
    dir_moves: tuple[DirMove, ...]
    cost: int
    bound: int
    closed_form: int
    proof: str
    replicas_moved: int
    bytes_moved: int
    leaders_changed: int
    brokers: tuple[BrokerLoad, ...]
    before: Violations
    after: Violations
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> int:
        return self.cost - self.bound

    @property
    def objective(self) -> Objective:
        """The unit of cost and bound: bytes too where these are evened out."""
        evened = Balance.BYTES in self.goals.balance
        return Objective.BYTES if evened else self.goals.objective

    @property
    def empty(self) -> bool:
        return not (self.moves or self.dir_moves)
