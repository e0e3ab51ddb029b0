"""Why no placement reaches the goals: numbers that contradict each other, to be checked by hand.

Invariant: `need > room`; both are counted from the partitions, brokers and racks that are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kafkaops.engine.errors import GuardRefused

_SHOWN = 5


@dataclass(frozen=True)
class Witness:
    """`need` replicas (or bytes, see `unit`) of `partitions` must lie on `brokers`, and there is
    `room` for fewer. `constraint` names what contradicts it, `relax` the flags that would help."""

    constraint: str
    need: int
    room: int
    relax: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    brokers: tuple[int, ...] = ()
    racks: tuple[str, ...] = ()
    unit: str = "replicas"

    def lines(self) -> tuple[str, ...]:
        found = [f"needed: {self.need} {self.unit}, possible: {self.room}"]
        if self.partitions:
            found.append(f"partitions ({len(self.partitions)}): {some(self.partitions)}")
        if self.brokers:
            found.append(f"brokers ({len(self.brokers)}): {some(self.brokers)}")
        if self.racks:
            found.append(f"racks ({len(self.racks)}): {some(self.racks)}")
        return (*found, *(f"relax: {one}" for one in self.relax))


class Infeasible(GuardRefused):
    """No placement can be: the constraint, and a witness for it."""

    def __init__(self, code: str, message: str, witness: Witness) -> None:
        super().__init__(code, message, hint=f"relax {' or '.join(witness.relax)}")
        self.witness = witness
        self.details = witness.lines()


def some(things: Sequence[object]) -> str:
    """The first few, and how many more."""
    told = ", ".join(str(t) for t in things[:_SHOWN])
    return f"{told} and {len(things) - _SHOWN} more" if len(things) > _SHOWN else told
