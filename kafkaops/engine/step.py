"""What a plan is made of: states, guards, steps and their specifications.

A planner produces `Spec` values (data that survives a JSON round trip); a registry
maps `Spec.kind` to the class of a `Step`. Invariant: nothing here knows Kafka or AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

W = TypeVar("W", contravariant=True)


class State(Enum):
    """What `Step.check` says of the step's own target."""

    TODO = "todo"
    PENDING = "pending"  # begun and on its way: wait, never act again
    DONE = "done"


@dataclass(frozen=True)
class Blocked:
    """Why a step must not act now.

    `transient` says whether waiting can cure it; `code` is stable (`KO-ISR-BELOW-MIN`),
    `hint` is the next thing an operator can do.
    """

    code: str
    reason: str
    hint: str = ""
    transient: bool = True


@dataclass(frozen=True)
class Progress:
    """How far a pending step is: `done` of `total` in `unit`; total None when unknown."""

    done: float
    total: float | None
    unit: str
    detail: str = ""


class Step(Protocol, Generic[W]):
    """One thing to bring about. Steps hold no state of their own between calls.

    A step may also offer `progress(world) -> Progress | None` (asked while PENDING),
    and `describe(world) -> str` for the plan.
    """

    def check(self, world: W) -> State:
        """Look at this step's own target only; never at cluster-wide health."""

    def safe(self, world: W) -> Blocked | None:
        """The cluster-wide guard before `act`; None when it is safe."""

    def act(self, world: W) -> None:
        """The one mutation. May be repeated after a crash."""

    def undo(self, world: W) -> None:
        """Bring back what `act` changed; a no-op where it changed nothing."""


@dataclass(frozen=True)
class Spec:
    """One step as data.

    `phase` is the value of the operation's phase enum; consecutive specs that share a non-empty
    `batch` run concurrently, but for those that share a non-empty `lane`, which run one after the
    other; consecutive specs that share a non-empty `critical` form a critical section.
    `irreversible` names what cannot be taken back, `ask` is a go/no-go question put before the
    step. `deadline` is in seconds; `poll` is how many pass at the most between two looks, and just
    so many between two guards; `guards` is how often in a row `safe` must pass (always 1 inside a
    critical section), `patience` how many seconds it may refuse (0: as long as `deadline`).
    Consecutive specs that share a non-empty `unbroken` are not parted by a stop
    request: what the first takes away the last brings back, so one that comes once any of them has
    acted is put off until all have. In such a step, and in a batch, a target that cannot be reached
    in an act is waited for.
    """

    id: str
    kind: str
    title: str
    phase: str
    args: Mapping[str, Any] = field(default_factory=dict)
    batch: str = ""
    critical: str = ""
    deadline: float = 300.0
    poll: float = 0.5
    guards: int = 1
    irreversible: str = ""
    ask: str = ""
    unbroken: str = ""
    lane: str = ""
    patience: float = 0.0


@dataclass(frozen=True)
class Critical:
    """A run of steps with a time budget in seconds. Past it, or on any failure, its done
    steps are undone in reverse; `decided` is the id of the step after which a resume goes
    forward instead of back."""

    name: str
    budget: float
    decided: str


@dataclass(frozen=True)
class Plan:
    """The whole operation as data; the first record of every journal.

    `fingerprint` is a digest of the snapshot it was made from and `snapshot` the values
    digested, so that drift can be shown; `changes` is what the plan would change, for people.
    """

    id: str
    operation: str
    cluster: str
    created: float
    specs: tuple[Spec, ...]
    criticals: tuple[Critical, ...] = ()
    fingerprint: str = ""
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = 1
