"""A little world for the engine's tests: names with a value, and steps that set them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import LeaseHeld
from kafkaops.engine.events import Event
from kafkaops.engine.files import Files, OsFiles
from kafkaops.engine.journal import Journal
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Blocked, Critical, Plan, Spec, State
from tests.crash.engine_harness import MemoryFiles

WAIT = Blocked("KO-BUSY", "busy", "wait")


@dataclass
class Shelf:
    """What the steps change. `slow` names what is PENDING for so many seconds after `act`;
    `blocks` answers of `safe`, taken one at a time; `breaks` errors that calls raise."""

    clock: FakeClock
    held: set[str] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    blocks: dict[str, list[Blocked | None]] = field(default_factory=dict)
    breaks: dict[str, list[BaseException | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    hook: Callable[[str], None] = lambda call: None

    def call(self, verb: str, name: str) -> None:
        self.calls.append(f"{verb} {name}")
        self.hook(f"{verb} {name}")
        queue = self.breaks.get(f"{verb} {name}")
        error = queue.pop(0) if queue else None
        if error is not None:
            raise error

    @property
    def changes(self) -> list[str]:
        return [c for c in self.calls if c.split()[0] in ("act", "undo")]


@dataclass(frozen=True)
class Put:
    spec: Spec

    def check(self, world: Shelf) -> State:
        world.call("check", self.spec.id)
        if self.spec.id not in world.held:
            return State.TODO
        late = world.ready.get(self.spec.id, 0.0) > world.clock.monotonic()
        return State.PENDING if late else State.DONE

    def safe(self, world: Shelf) -> Blocked | None:
        world.call("safe", self.spec.id)
        queue = world.blocks.get(self.spec.id)
        return queue.pop(0) if queue else None

    def act(self, world: Shelf) -> None:
        world.call("act", self.spec.id)
        world.held.add(self.spec.id)
        world.ready[self.spec.id] = world.clock.monotonic() + world.slow.get(self.spec.id, 0.0)

    def undo(self, world: Shelf) -> None:
        world.call("undo", self.spec.id)
        world.held.discard(self.spec.id)


class FakeLease:
    def __init__(self) -> None:
        self.verified = 0
        self.lost_after: int | None = None

    def verify(self) -> None:
        self.verified += 1
        if self.lost_after is not None and self.verified > self.lost_after:
            raise LeaseHeld("KO-LEASE-LOST", "taken over")

    def release(self) -> None: ...


class Bench:
    """Runs plans over one shelf and one journal, a new Runner each time."""

    def __init__(self, path: Path = Path("run.jsonl"), files: Files | None = None) -> None:
        self.clock = FakeClock()
        self.world = Shelf(self.clock)
        self.lease = FakeLease()
        self.path, self.files = path, files or MemoryFiles()
        self.events: list[Event] = []
        self.plan: Plan | None = None

    def runner(self, plan: Plan | None = None, **more: Any) -> Runner[Shelf]:
        if plan is not None:
            self.plan = plan
            journal = Journal.create(self.path, plan, self.clock, self.files)
        else:
            journal = self.journal()
        return Runner(
            journal.plan,
            {"put": Put},
            self.world,
            journal,
            self.lease,
            self.clock,
            self.events.append,
            **more,
        )

    def journal(self) -> Journal:
        return Journal.open(self.path, self.clock, self.files)

    @property
    def kinds(self) -> list[str]:
        return [r.kind for r in Journal.look(self.path, self.clock, self.files).records]

    @property
    def told(self) -> list[str]:
        return [e.kind.value for e in self.events]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def step(id: str, **more: Any) -> Spec:
    return Spec(id, "put", f"put {id}", more.pop("phase", "one"), **more)


def plan_of(*specs: Spec | str, criticals: tuple[Critical, ...] = (), **more: Any) -> Plan:
    made = tuple(step(s) if isinstance(s, str) else s for s in specs)
    return Plan("r1", "test", "c1", 1.0, made, criticals, **more)


class Filling(OsFiles):
    """A disk that is full from the n-th append on."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, data: bytes) -> None:
        self.room -= 1
        if self.room < 0:
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data)
