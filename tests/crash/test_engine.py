"""The engine killed at every call and every journal write, alone and in pairs.

The plan is a small move between two doors: never may both be open, a fence must lift itself when
nobody comes back, a step takes a while, two run side by side, one needs a proof of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.engine.facts import MemoryFacts
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Blocked, Critical, Plan, Spec, State, Step
from kafkaops.ports.facts import Facts
from kafkaops.ports.marks import mutates
from tests.crash import engine_harness as harness
from tests.crash.engine_harness import Scene


class Door(Protocol):
    """A cluster's listener."""

    def is_open(self) -> bool: ...

    def log(self) -> tuple[str, ...]: ...

    @mutates
    def close(self, seconds: float | None = None) -> None: ...

    @mutates
    def open(self) -> None: ...

    @mutates
    def restart(self) -> None: ...

    def started(self) -> int: ...

    def ready(self) -> bool: ...

    @mutates
    def write(self, record: str) -> None: ...


class FakeDoor:
    def __init__(self, clock: FakeClock, *, shut: bool = False) -> None:
        self.clock = clock
        self.until = float("inf") if shut else float("-inf")
        self.records: list[str] = []
        self.back = float("-inf")
        self.restarts = 0

    def is_open(self) -> bool:
        return self.clock.monotonic() >= self.until

    def log(self) -> tuple[str, ...]:
        return tuple(self.records)

    def close(self, seconds: float | None = None) -> None:
        self.until = float("inf") if seconds is None else self.clock.monotonic() + seconds

    def open(self) -> None:
        self.until = float("-inf")

    def restart(self) -> None:
        assert self.ready(), "restarted while it was still coming up"
        self.restarts += 1
        self.back = self.clock.monotonic() + 3

    def started(self) -> int:
        return self.restarts

    def ready(self) -> bool:
        return self.clock.monotonic() >= self.back

    def write(self, record: str) -> None:
        if record not in self.records:
            self.records.append(record)


@dataclass(frozen=True)
class Doors:
    doors: dict[str, Door]
    facts: Facts
    clock: FakeClock


@dataclass(frozen=True)
class Base:
    spec: Spec

    def safe(self, world: Doors) -> Blocked | None:
        return None

    def undo(self, world: Doors) -> None: ...


class Restarted(Base):
    """What is true is asked of the door itself, so that no death can make it restart twice."""

    def check(self, world: Doors) -> State:
        door = world.doors["new"]
        if door.started() == 0:
            return State.TODO
        return State.DONE if door.ready() else State.PENDING

    def act(self, world: Doors) -> None:
        world.doors["new"].restart()


class Copied(Base):
    """`args`: which half of the records."""

    def wanted(self, world: Doors) -> list[str]:
        return [r for r in world.doors["old"].log() if r.startswith(self.spec.args["part"])]

    def check(self, world: Doors) -> State:
        there = set(world.doors["new"].log())
        return State.DONE if there.issuperset(self.wanted(world)) else State.TODO

    def act(self, world: Doors) -> None:
        for record in self.wanted(world):
            world.doors["new"].write(record)


class Fenced(Base):
    def check(self, world: Doors) -> State:
        return State.TODO if world.doors["old"].is_open() else State.DONE

    def act(self, world: Doors) -> None:
        world.doors["old"].close(20.0)

    def undo(self, world: Doors) -> None:
        if world.doors["new"].is_open():
            raise AssertionError("the old door would open beside the new one")
        world.doors["old"].open()


class Proven(Base):
    def check(self, world: Doors) -> State:
        return State.TODO if world.facts.get("proof") is None else State.DONE

    def act(self, world: Doors) -> None:
        assert not world.doors["old"].is_open(), "proven while records may still come"
        world.facts.put("proof", len(world.doors["old"].log()))

    def undo(self, world: Doors) -> None:
        world.facts.put("proof", None)


class Kept(Base):
    def check(self, world: Doors) -> State:
        return State.TODO if world.facts.get("kept") is None else State.DONE

    def act(self, world: Doors) -> None:
        if world.doors["old"].is_open():
            raise RuntimeError("the fence ended first")
        world.doors["old"].close()
        world.facts.put("kept", True)

    def undo(self, world: Doors) -> None:
        world.doors["old"].open()
        world.facts.put("kept", None)


class Opened(Base):
    def check(self, world: Doors) -> State:
        return State.DONE if world.doors["new"].is_open() else State.TODO

    def safe(self, world: Doors) -> Blocked | None:
        if world.doors["old"].is_open():
            return Blocked("KO-BOTH", "the old door is open", transient=False)
        return None

    def act(self, world: Doors) -> None:
        world.doors["new"].open()

    def undo(self, world: Doors) -> None:
        world.doors["new"].close()


REGISTRY: dict[str, Callable[[Spec], Step[Doors]]] = {
    "restarted": Restarted,
    "copied": Copied,
    "fenced": Fenced,
    "proven": Proven,
    "kept": Kept,
    "opened": Opened,
}

SPECS = (
    Spec("restart", "restarted", "restart the new one", "before", poll=0.5),
    Spec("copy-a", "copied", "copy a", "copy", {"part": "a"}, batch="copies"),
    Spec("copy-b", "copied", "copy b", "copy", {"part": "b"}, batch="copies", guards=2),
    Spec("fence", "fenced", "fence", "cut", critical="cut", poll=0.02),
    Spec("prove", "proven", "prove", "cut", critical="cut", batch="x", poll=0.02),
    Spec("copy-c", "copied", "copy c", "cut", {"part": "c"}, batch="x", critical="cut"),
    Spec("keep", "kept", "keep the fence", "cut", critical="cut", poll=0.02),
    Spec("open", "opened", "open the new one", "cut", critical="cut", poll=0.02),
    Spec("copy-d", "copied", "copy d", "after", {"part": "d"}),
)
PLAN = Plan("move", "move", "c1", 1.0, SPECS, (Critical("cut", 20.0, "open"),))
PROTOCOLS: dict[str, type[Any]] = {"doors": Door, "facts": Facts}


def make(wait: float = 5.0) -> Scene[Doors]:
    clock = FakeClock()
    old, new = FakeDoor(clock), FakeDoor(clock, shut=True)
    old.records = ["a1", "a2", "b1", "c1", "d1"]
    world = Doors({"old": old, "new": new}, MemoryFacts(), clock)

    def state() -> Any:
        facts = {n: world.facts.get(n) for n in world.facts.names()}
        return old.is_open(), new.is_open(), sorted(new.records), new.restarts, facts

    def always() -> None:
        assert not (old.is_open() and new.is_open()), "both doors are open"

    return Scene(PLAN, REGISTRY, world, clock, PROTOCOLS, state, always, wait=wait)


def rolled_back() -> Scene[Doors]:
    scene = make()
    scene.prepare = lambda runner: _until(runner, "copy")
    scene.operate = lambda runner: runner.rollback()
    return scene


def _until(runner: Runner[Doors], phase: str) -> Any:
    runner.until = phase
    return runner.run()


@pytest.mark.parametrize("wait", [0.0, 5.0, 60.0])
def test_killed_anywhere_the_run_ends_as_if_nothing_had_happened(wait: float) -> None:
    swept = harness.sweep(lambda: make(wait)).verdict()
    assert swept.scenarios > 80
    assert swept.killed == swept.scenarios
    assert swept.returned > 0, "no death inside the section went back"


def test_killed_anywhere_a_journal_that_loses_its_last_lines_afterwards_is_not_resumed() -> None:
    """A death after an append is the one that leaves the head a record behind: then a line fewer is
    what the head knows, and two are missed."""
    _, fuse = harness.uncrashed(make)
    refused = 0
    for point in harness.points_of(fuse):
        behind = point.when == "after" and fuse.calls[point.call - 1][0].startswith("journal.")
        scene = make()
        scene.process(point)
        held = scene.files.held.get(harness.JOURNAL, b"")
        whole = held[: held.rfind(b"\n") + 1].splitlines(keepends=True)
        for gone in range(2 if behind else 1, len(whole)):
            left = scene.files.held[harness.JOURNAL] = b"".join(whole[:-gone])
            doors = {n: vars(d).copy() for n, d in scene.world.doors.items()}
            with pytest.raises(ConfigError) as damaged:
                scene.process()
            assert damaged.value.code == "KO-JOURNAL-DAMAGED", f"{point}, {gone} lines gone"
            assert {n: vars(d) for n, d in scene.world.doors.items()} == doors
            assert scene.files.held[harness.JOURNAL] == left
            refused += 1
    assert refused > 200


def test_killed_twice_within_twenty_calls() -> None:
    swept = harness.sweep_pairs(make, share=0.1).verdict()
    assert swept.scenarios > 150
    assert swept.killed > swept.scenarios * 1.5


def test_killed_in_a_rollback_it_is_rolled_back_all_the_same() -> None:
    swept = harness.sweep(rolled_back).verdict()
    assert swept.killed == swept.scenarios > 10


def test_a_further_run_finds_nothing_to_do() -> None:
    assert harness.further(make) == ()


def test_a_plan_whose_goals_hold_finds_nothing_to_do_with_a_new_journal() -> None:
    def monotone() -> Scene[Doors]:
        scene = make()
        scene.plan = replace(PLAN, specs=SPECS[:3], criticals=())
        return scene

    assert harness.further(monotone, anew=True) == ()


def test_what_is_left_to_do_is_found_by_the_further_run() -> None:
    def spoiled() -> Scene[Doors]:
        scene = make()
        play = scene.play
        old = scene.world.doors["old"]

        def then_spoil(points: Any = ()) -> Any:
            return play(points), old.write("a9")

        scene.play = then_spoil  # type: ignore[method-assign]
        return scene

    with pytest.raises(StepFailed, match="only plans"):
        harness.further(spoiled, anew=True)


# The harness itself must be able to fail.


class BlindRestart(Restarted):
    """Believes a note of its own, written after the restart, instead of the door."""

    def check(self, world: Doors) -> State:
        return State.DONE if world.facts.get("restarted") else State.TODO

    def act(self, world: Doors) -> None:
        world.doors["new"].restart()
        world.facts.put("restarted", True)


class CarelessFence(Fenced):
    """Does not lift the fence again, as if there were no way back."""

    def undo(self, world: Doors) -> None:
        world.doors["new"].open()


@pytest.mark.parametrize(
    ("kind", "broken", "words"),
    [
        ("restarted", BlindRestart, "still coming up"),
        ("fenced", CarelessFence, "both doors are open"),
    ],
)
def test_a_step_that_is_wrong_after_a_crash_is_found(
    kind: str, broken: Callable[[Spec], Step[Doors]], words: str
) -> None:
    def scene() -> Scene[Doors]:
        made = make(wait=0.0 if kind == "restarted" else 60.0)
        made.registry = {**REGISTRY, kind: broken}
        return made

    assert any(words in failure for failure in harness.sweep(scene).failures)
