"""Kills a run at every port call and every journal write, resumes it, and compares the ends.

A process is played by one `Runner`; killed, it is dropped, and every further call it makes
(a `finally`, another thread) dies too. What outlives it is what would in life: the fake world,
the bytes of the journal, the clock. Use: write a `Scene` factory, call `sweep` and `sweep_pairs`.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import OpsError, RolledBack, StepFailed
from kafkaops.engine.events import Listener
from kafkaops.engine.journal import Journal
from kafkaops.engine.lease import Lease
from kafkaops.engine.parallel import Lane, Parallel, in_turn
from kafkaops.engine.readonly import declared, mutating, readonly_world
from kafkaops.engine.run import Registry, Runner, RunResult
from kafkaops.engine.step import Plan

W = TypeVar("W")

SOAK = bool(os.environ.get("KAFKAOPS_SOAK"))
SEED = int(os.environ.get("KAFKAOPS_SEED", "3"))
"""Which of the points a run of CI takes; `make soak` takes all."""

JOURNAL = Path("run.jsonl")
PROCESSES = 12  # a run that needs more to end has lost its way


class Killed(BaseException):
    """kill -9: nothing may handle it."""


@dataclass(frozen=True)
class Point:
    """Where a process is killed: at its `call`-th counted call, `before` or `after` the effect,
    or with half of a journal line written (`torn`). Or `shaken`: something happens around it
    before the effect (`Scene.shake`), and it lives."""

    call: int
    when: str

    def __str__(self) -> str:
        return f"{self.when} call {self.call}"


@dataclass
class Fuse:
    """Counts the calls of one process and kills it at `point`. `always` is the invariant,
    asked after each change."""

    point: Point | None = None
    always: Callable[[], None] = lambda: None
    shake: Callable[[], None] = lambda: None
    calls: list[tuple[str, bool]] = field(default_factory=list)
    dead: bool = False

    def pass_through(
        self,
        name: str,
        effect: Callable[[], Any],
        *,
        changes: bool = True,
        half: Callable[[], None] | None = None,
    ) -> Any:
        if self.dead:
            raise Killed(name)
        self.calls.append((name, changes))
        when = self.point.when if self.point and self.point.call == len(self.calls) else ""
        if when == "shaken":
            self.shake()
        if when == "torn" and half is not None:
            half()
        if when in ("before", "torn"):
            self._die(name)
        result = effect()
        if changes:
            self.always()
        if when == "after":
            self._die(name)
        return result

    def _die(self, name: str) -> None:
        self.dead = True
        raise Killed(name)


class Tapped:
    """A counting proxy around any port; the protocol says which calls change something."""

    def __init__(self, port: Any, protocol: type[Any], fuse: Fuse, name: str) -> None:
        self._port, self._fuse, self._name = port, fuse, name
        self._methods, self._changes = declared(protocol), mutating(protocol)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found) or name not in self._methods:
            return found
        label = f"{self._name}.{name}"
        changes = name in self._changes or label == "facts.put"  # which plan mode may do too

        def call(*args: Any, **more: Any) -> Any:
            return self._fuse.pass_through(label, lambda: found(*args, **more), changes=changes)

        return call


class TappedPorts(Mapping[str, Any]):
    """A mapping of ports, each tapped when it is asked for."""

    def __init__(
        self, ports: Mapping[str, Any], protocol: type[Any], fuse: Fuse, name: str
    ) -> None:
        self._ports, self._protocol, self._fuse, self._name = ports, protocol, fuse, name

    def __getitem__(self, key: str) -> Any:
        return Tapped(self._ports[key], self._protocol, self._fuse, f"{self._name}[{key}]")

    def __iter__(self) -> Iterator[str]:
        return iter(self._ports)

    def __len__(self) -> int:
        return len(self._ports)


def tap_world(world: W, protocols: Mapping[str, type[Any]], fuse: Fuse) -> W:
    """A dataclass of ports with the named fields (ports, or mappings of ports) tapped."""
    tapped: dict[str, Any] = {}
    for name, protocol in protocols.items():
        port = getattr(world, name)
        kind = TappedPorts if isinstance(port, Mapping) else Tapped
        tapped[name] = kind(port, protocol, fuse, name)
    return dataclasses.replace(world, **tapped)  # type: ignore[type-var]


class MemoryFiles:
    """Files in memory: what outlives a process."""

    def __init__(self) -> None:
        self.held: dict[Path, bytes] = {}

    def read(self, path: Path) -> bytes | None:
        return self.held.get(path)

    def create(self, path: Path, data: bytes) -> None:
        self.held[path] = data

    def append(self, path: Path, data: bytes) -> None:
        self.held[path] += data

    def truncate(self, path: Path, size: int) -> None:
        self.held[path] = self.held[path][:size]

    def mark(self, path: Path, data: bytes) -> None:
        self.held[path] = data

    def names(self, directory: Path) -> tuple[str, ...]:
        return tuple(sorted(p.name for p in self.held if p.parent == directory))


class FusedFiles(MemoryFiles):
    """The files of one process: each write is counted, and may be the last."""

    def __init__(self, under: MemoryFiles, fuse: Fuse) -> None:
        self._under, self._fuse = under, fuse

    def read(self, path: Path) -> bytes | None:
        return self._under.read(path)

    def create(self, path: Path, data: bytes) -> None:
        self._fuse.pass_through("journal.create", lambda: self._under.create(path, data))

    def append(self, path: Path, data: bytes) -> None:
        self._fuse.pass_through(
            "journal.append",
            lambda: self._under.append(path, data),
            half=lambda: self._under.append(path, data[: len(data) // 2]),
        )

    def truncate(self, path: Path, size: int) -> None:
        self._fuse.pass_through("journal.truncate", lambda: self._under.truncate(path, size))

    def mark(self, path: Path, data: bytes) -> None:
        """Not counted: a death here is one after the append, or before the next call."""
        if self._fuse.dead:
            raise Killed("journal.mark")
        self._under.mark(path, data)

    def names(self, directory: Path) -> tuple[str, ...]:
        return self._under.names(directory)


class NoLease:
    def verify(self) -> None: ...

    def release(self) -> None: ...


def lane_by_lane(lanes: Sequence[Lane]) -> list[BaseException | None]:
    """One lane to its end before the next begins: as far out of step as threads can be."""
    return [error for lane in lanes for error in in_turn([lane])]


def backwards(lanes: Sequence[Lane]) -> list[BaseException | None]:
    """The same, the last lane first."""
    return lane_by_lane(lanes[::-1])[::-1]


def forward(runner: Runner[Any]) -> RunResult:
    return runner.run()


@dataclass
class Scene(Generic[W]):
    """One fresh fake world and what is done to it.

    `protocols` maps fields of the world to their Protocols: those are tapped. `state` gives what
    must be equal in the end, however often the run died. `always` raises when something is
    so that must never be, `shake` is what happens at a point `shaken`. `operate` is what a process
    does (`Runner.run`, `Runner.rollback`), `prepare` what an earlier, uncrashed process did. `wait`
    is how many seconds pass until somebody resumes. `returns` says whether automatic returns are
    then simply tried again. `parallel` is how the lanes of a batch take turns, `events` hears what
    happens.
    """

    plan: Plan
    registry: Registry[W]
    world: W
    clock: FakeClock
    protocols: Mapping[str, type[Any]]
    state: Callable[[], Any]
    always: Callable[[], None] = lambda: None
    shake: Callable[[], None] = lambda: None
    operate: Callable[[Runner[W]], RunResult] = forward
    prepare: Callable[[Runner[W]], RunResult] | None = None
    wait: float = 5.0
    returns: bool = True
    parallel: Parallel = in_turn
    lease: Lease = field(default_factory=NoLease)
    events: Listener | None = None
    files: MemoryFiles = field(default_factory=MemoryFiles)
    outcomes: list[str] = field(default_factory=list)

    def process(
        self, point: Point | None = None, operate: Callable[[Runner[W]], RunResult] | None = None
    ) -> Fuse:
        """Play one process; its outcome (`killed`, `returned`, or the result's) is kept."""
        fuse = Fuse(point, self.always, self.shake)
        try:
            files = FusedFiles(self.files, fuse)
            if self.files.read(JOURNAL) is None:
                journal = Journal.create(JOURNAL, self.plan, self.clock, files)
            else:
                journal = Journal.open(JOURNAL, self.clock, files)
            runner = self.runner(journal, tap_world(self.world, self.protocols, fuse))
            self.outcomes.append((operate or self.operate)(runner).outcome)
        except Killed:
            self.outcomes.append("killed")
        except RolledBack:
            if not self.returns:
                raise
            self.outcomes.append("returned")
        except StepFailed as failed:
            if failed.code != "KO-RETURN-INCOMPLETE":
                raise
            self.outcomes.append("returned")  # barred: the next process goes forward
        return fuse

    def runner(self, journal: Journal, world: W) -> Runner[W]:
        return Runner(
            journal.plan,
            self.registry,
            world,
            journal,
            self.lease,
            self.clock,
            self.events,
            confirm=lambda question: True,
            parallel=self.parallel,
        )

    def play(self, points: Iterable[Point] = ()) -> list[Fuse]:
        """Processes that die at the given points, one after the other, then as many as it
        takes to the end."""
        if self.prepare is not None:
            self.process(operate=self.prepare)
            self.outcomes.clear()
        fuses: list[Fuse] = []
        queue = list(points)
        for _ in range(PROCESSES):
            fuses.append(self.process(queue.pop(0) if queue else None))
            if self.outcomes[-1] not in ("killed", "returned"):
                return fuses
            self.clock.sleep(self.wait)
        raise AssertionError(f"no end after {PROCESSES} processes: {self.outcomes}")


Make = Callable[[], Scene[Any]]


@dataclass
class Swept:
    """What a sweep saw: how many scenarios, how many processes died or went back."""

    scenarios: int = 0
    killed: int = 0
    returned: int = 0
    failures: list[str] = field(default_factory=list)

    def verdict(self) -> Swept:
        if self.failures:
            shown = "\n".join(self.failures[:5])
            raise AssertionError(f"{len(self.failures)} of {self.scenarios} failed:\n{shown}")
        return self


def points_of(fuse: Fuse, *, reads: bool = True) -> list[Point]:
    """Where the process that made these calls can die. Reads change nothing, so a death
    after one is the death before the next call; without `reads` only changes count."""
    found: list[Point] = []
    for number, (name, changes) in enumerate(fuse.calls, start=1):
        if changes or reads:
            found.append(Point(number, "before"))
        if changes:
            found.append(Point(number, "after"))
        if name == "journal.append":
            found.append(Point(number, "torn"))
    return found


def sweep(make: Make, *, reads: bool = True, share: float = 1.0) -> Swept:
    """Die once, at every point of the uncrashed run; resume; the end must be the same. `share`
    takes one point in so many, evenly, and with another seed others."""
    expected, fuse = uncrashed(make)
    every = round(1 / share)
    points = points_of(fuse, reads=reads)[SEED % every :: every]
    return _all(make, expected, ((p,) for p in points))


def sweep_pairs(make: Make, *, within: int = 20, reads: bool = False, share: float = 1.0) -> Swept:
    """Die twice: at every point, and again within so many calls of the next process. `share`
    takes a seeded part of the pairs."""
    expected, fuse = uncrashed(make)
    chance = random.Random(SEED)
    pairs = (
        (first, Point(call, when))
        for first in points_of(fuse, reads=reads)
        for call in range(1, within + 1)
        for when in ("before", "after")
    )
    return _all(make, expected, (p for p in pairs if share >= 1.0 or chance.random() < share))


def uncrashed(make: Make) -> tuple[Any, Fuse]:
    """The end state and the calls of a run that nothing disturbs."""
    scene = make()
    fuses = scene.play()
    assert len(fuses) == 1, f"the run does not even end undisturbed: {scene.outcomes}"
    return scene.state(), fuses[0]


def further(make: Make, *, anew: bool = False) -> tuple[str, ...]:
    """After the run a further one, whose ports refuse every change; the steps that it acted on.
    `anew` gives it a journal of its own, for plans whose goals all still hold in the end."""
    scene = make()
    scene.play()
    if anew:
        del scene.files.held[JOURNAL]
        journal = Journal.create(JOURNAL, scene.plan, scene.clock, scene.files)
    else:
        journal = Journal.open(JOURNAL, scene.clock, scene.files)
    guarded = {n: p for n, p in scene.protocols.items() if n != "facts"}
    return tuple(scene.runner(journal, readonly_world(scene.world, guarded)).run().acted)


def _all(make: Make, expected: Any, scenarios: Iterable[tuple[Point, ...]]) -> Swept:
    swept = Swept()
    for points in scenarios:
        swept.scenarios += 1
        words = " then ".join(str(p) for p in points)
        scene = make()
        try:
            scene.play(points)
        except Exception as error:
            swept.failures.append(f"{words}: {type(error).__name__}: {error} {scene.outcomes}")
            continue
        swept.killed += scene.outcomes.count("killed")
        swept.returned += scene.outcomes.count("returned")
        found = scene.state()
        if found != expected:
            swept.failures.append(f"{words}: ended as {found}, not {expected} {scene.outcomes}")
    return swept


def raised(scene: Scene[Any]) -> OpsError:
    """What one process of the scene ends with."""
    with pytest.raises(OpsError) as caught:
        scene.process()
    return caught.value
