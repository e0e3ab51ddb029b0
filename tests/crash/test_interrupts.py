"""Ctrl-C once and twice in every phase of a blue/green upgrade, of its way back and of its end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from kafkaops.engine.errors import Exit, RolledBack
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.journal import Journal
from kafkaops.engine.parallel import in_turn
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Plan
from kafkaops.engine.stepping import Interrupted
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.planner import DECIDED
from tests.crash.blue_green_scene import TOPIC, BlueGreen, config
from tests.crash.engine_harness import (
    Fuse,
    FusedFiles,
    Killed,
    MemoryFiles,
    NoLease,
    Point,
    tap_world,
)
from tests.crash.outage_scene import Outage


class Operator:
    """Types a command, presses Ctrl-C once a chosen step begins, or is first heard of while it
    waits, and a second time at a call of it soon after; and types resume. `before` is what happens
    when a phase is entered. `code` is the exit code of the last command."""

    def __init__(
        self,
        world: BlueGreen | None = None,
        plan: Callable[..., Plan] | None = None,
        before: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self.world, self.plan = world or BlueGreen(), plan
        self.path, self.files = Path("run.jsonl"), MemoryFiles()
        self.before = dict(before or {})
        self.heard: list[Event] = []
        self.code = 0
        self.asked = 0.0  # when Ctrl-C was pressed, by the clock

    def type(
        self, interrupt_at: str = "", *, twice: int = 0, at: Collection[Kind] = (Kind.STARTED,)
    ) -> str:
        """`done`, `stopped`, `returned`, or `left`: at the `twice`-th port call after the first
        Ctrl-C."""
        scene = self.world.scene(plan=self.plan) if self.plan else self.world.scene()
        fuse = Fuse(always=scene.always)
        files: Any = FusedFiles(self.files, fuse)
        if self.files.read(self.path) is None:
            journal = Journal.create(self.path, scene.plan, self.world.clock, files)
        else:
            journal = Journal.open(self.path, self.world.clock, files)
        asked: list[Event] = []

        def hear(event: Event) -> None:
            self.heard.append(event)
            if event.kind is Kind.PHASE and event.phase in self.before:
                self.before.pop(event.phase)()
            if event.step == interrupt_at and event.kind in at and not asked:
                asked.append(event)
                self.asked = self.world.clock.monotonic()
                runner.request_stop()
                if twice:
                    fuse.point = Point(len(fuse.calls) + twice, "before")

        runner: Runner[World] = Runner(
            journal.plan,
            scene.registry,
            tap_world(self.world.world, scene.protocols, fuse),
            journal,
            NoLease(),
            self.world.clock,
            hear,
            confirm=lambda question: True,
            parallel=in_turn,
        )
        try:
            self.code, outcome = 0, runner.run().outcome
        except Interrupted as stopped:
            self.code, outcome = stopped.exit, "stopped"
        except RolledBack as back:
            self.code, outcome = back.exit, "returned"
        except Killed:
            self.code, outcome = 130, "left"
        assert bool(asked) == bool(interrupt_at), f"{interrupt_at} was never heard of"
        return outcome

    def end(self) -> None:
        """Resume, again when it says that it went back, until it is done."""
        for _ in range(3):
            self.world.clock.sleep(5)
            if self.type() == "done":
                return
        raise AssertionError("no end after three commands")


def moved(there: bool = True) -> BlueGreen:
    """A world whose move has a bake; past it where it is `there`."""
    base = config()
    world = BlueGreen(
        base.model_copy(update={"gates": base.gates.model_copy(update={"bake": 30.0})})
    )
    if there:
        world.scene().play()
    return world


def busy(world: BlueGreen) -> dict[str, Callable[[], object]]:
    """By phase, what gives steps something to do or to wait for that mostly have nothing."""
    tp, live = TopicPartition(TOPIC, 1), world.clock.others

    def others() -> None:
        live()
        opened = world.facts.get("forward.time.opened")
        if opened and world.clock.monotonic() > opened["monotonic"] + LATE:
            world.green.live["late"] = True

    world.clock.others = others

    def before_the_cut() -> None:
        world.green.leaders[tp] = 3
        world.blue.live["late"] = True
        for _ in range(60):
            world.clients.act()  # a mirror that is behind

    return {
        "green": lambda: setattr(world.provision, "looks", 3),
        "sanity": lambda: world.green.leaders.update({tp: 2}),
        "cutover": before_the_cut,
        "settle": lambda: setattr(world.connect["forward"], "state", "RUNNING"),  # a task lingers
    }


PLANS: dict[str, Callable[..., Plan]] = {
    "there": planner.forward,
    "back": planner.way_back,
    "end": planner.finalize,
}
STEPS = [
    (way, s.id) for way, plan in PLANS.items() for s in plan(config(), id="r", created=0.0).specs
]
LATE = 9.0
"""Seconds after which the last group comes to green: longer than consumers are held there."""
HEARD = (Kind.STARTED, Kind.PROGRESS, Kind.SKIPPED)


def operator_of(way: str) -> Operator:
    world = moved(way != "there")
    return Operator(world, PLANS[way], busy(world) if way == "there" else None)


def first(operator: Operator, step: str) -> Kind:
    return next(e.kind for e in operator.heard if e.step == step and e.kind in HEARD)


def judge(operator: Operator, way: str) -> None:
    """It ends, where it should, with nothing lost."""
    operator.end()
    state = operator.world.state()
    assert state["serves"] == ("blue" if way == "back" else "green")
    assert (state["lost"], state["duplicated"]) == ([], 0)


def place(way: str, step: str) -> tuple[bool, bool]:
    """Whether a step lies in the pause, before its decision; and whether it lies past that."""
    ids = [s.id for s in PLANS[way](config(), id="r", created=0.0).specs]
    if DECIDED not in ids:
        return False, True
    inside = ids[ids.index("warm") : ids.index(DECIDED)]
    return step in inside, ids.index(step) >= ids.index(DECIDED)


@pytest.mark.parametrize(("way", "step"), STEPS)
def test_one_ctrl_c_at_any_step_stops_or_goes_back_and_resumes_to_the_end(
    way: str, step: str
) -> None:
    operator = operator_of(way)
    outcome = operator.type(interrupt_at=step, at=HEARD)
    if way == "there":
        assert first(operator, step) is not Kind.SKIPPED
    inside, past = place(way, step)
    begun = [e.step for e in operator.heard if e.kind is Kind.STARTED]
    returned = inside and any(place(way, s)[0] for s in begun)
    last = [s for w, s in STEPS if w == way][-1]
    ends = step == last and first(operator, step) is not Kind.PROGRESS
    assert outcome == ("returned" if returned else "done" if ends else "stopped")
    if first(operator, step) is Kind.PROGRESS:
        assert operator.world.clock.monotonic() - operator.asked < 2  # who only waits is not held
    assert operator.code == {"returned": Exit.ROLLED_BACK, "done": 0, "stopped": 130}[outcome]
    operator.world.live()
    before, after = ("green", "blue") if way == "back" else ("blue", "green")
    assert operator.world.clients.last == (after if past else before)
    judge(operator, way)


@pytest.mark.parametrize("calls", [1, 4])
@pytest.mark.parametrize(("way", "step"), STEPS)
def test_a_second_one_leaves_at_once_and_the_run_resumes_to_its_end(
    way: str, step: str, calls: int
) -> None:
    operator = operator_of(way)
    outcome = operator.type(interrupt_at=step, at=HEARD, twice=calls)
    if calls == 1 and first(operator, step) is Kind.STARTED:
        assert (outcome, operator.code) == ("left", Exit.INTERRUPTED)
    inside, _ = place(way, step)
    if inside and step != "disarm":  # from there on a resume alone opens again: docs/blue-green.md
        operator.world.clock.sleep(operator.world.config.cutover.max_write_pause + 1)
        before = len(operator.world.clients.acknowledged)
        operator.world.live()
        taken = {colour for colour, _ in operator.world.clients.acknowledged[before:]}
        assert taken == {"green" if way == "back" else "blue"}
    judge(operator, way)


OUTAGE = planner.forward(Outage().config, id="run-1", created=0.0)
WAITS = {
    "green",
    "warm",
    "gates",
    "ttl-wait",
    "mirror-gone",
    "clients",
    "bake",
    "leaders",
    "leaders-back",
}
"""Steps that only wait, or find their work done: nothing begins there."""
ACTING = [s.id for s in OUTAGE.specs if s.id not in {*WAITS, "hooks-start"}]


@pytest.mark.parametrize("step", ACTING)
def test_one_ctrl_c_leaves_nobody_stopped_where_no_firewall_would_end_it(step: str) -> None:
    operator = Operator(Outage())
    at, decided = ACTING.index(step), ACTING.index(DECIDED)
    inside = ACTING.index("observe") <= at <= decided
    assert operator.type(interrupt_at=step) == ("returned" if inside else "stopped")
    assert not operator.world.clients.stopped
    operator.world.clock.sleep(5)
    assert operator.world.clients.last == ("green" if at > decided else "blue")
    assert operator.type() == "done"
    state = operator.world.state()
    assert (state["serves"], state["stopped"]) == ("green", False)
    assert (state["lost"], state["duplicated"]) == ([], 0)
