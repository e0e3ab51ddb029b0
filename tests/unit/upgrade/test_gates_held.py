"""Each gate, closed: the move waits before the names, says for what, and goes on once it opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import Exit, LeaseHeld, OpsError, StepFailed, TimedOut
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.lease import lost
from kafkaops.engine.run import Runner, RunResult
from kafkaops.model.cluster import Group, Member
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import moved as carried
from tests.crash.blue_green_scene import NODES, TOPIC, BlueGreen, config
from tests.crash.engine_harness import NoLease, Scene

Open = Callable[[], object]
BASE = config()
IMPATIENT = BASE.model_copy(update={"gates": BASE.gates.model_copy(update={"timeout": 60.0})})


class Held:
    """A move held before its gates, what is heard of it from then on, and what is in its way once
    it comes to them."""

    def __init__(self, close: Callable[[BlueGreen], Open] = lambda world: lambda: None) -> None:
        self.close = close
        self.open: Open = lambda: None
        self.world = BlueGreen(IMPATIENT)
        self.heard: list[Event] = []
        self.scene: Scene[World] = self.world.scene(operate=until_verify)
        self.scene.process()
        assert self.scene.outcomes == ["held"]
        self.scene.operate = lambda runner: runner.run()
        self.scene.events = self.hear
        self.changes = self.world.names.changes

    def hear(self, event: Event) -> None:
        self.heard.append(event)
        if event.kind is Kind.PHASE and event.phase == "gates":
            self.open, self.close = self.close(self.world), lambda world: lambda: None

    def words(self) -> list[str]:
        """What the gates say that they wait for."""
        return [e.message for e in self.heard if e.step == "gates" and e.kind is Kind.PROGRESS]

    def still_before_them(self) -> bool:
        """Nothing of what comes behind the gates was begun: the names lead to blue."""
        begun = {e.step for e in self.heard if e.kind is Kind.STARTED}
        return self.world.names.changes == self.changes and begun <= {"gates"}


def until_verify(runner: Runner[World]) -> RunResult:
    runner.until = "verify"
    return runner.run()


def lag(world: BlueGreen) -> Open:
    connect: Any = world.connect["forward"]
    connect.offsets = lambda name: {}
    return lambda: connect.__dict__.pop("offsets")


def comparison(world: BlueGreen) -> Open:
    port: Any = world.world.verification["forward"]
    status = port.status
    port.status = lambda: replace(status(), behind=1000)
    return lambda: port.__dict__.pop("status")


def parity(world: BlueGreen) -> Open:
    """A topic that green does not take, whatever is asked of it."""
    world.blue.create_topic("late", dict.fromkeys(range(1), NODES), {})
    green: Any = world.green
    green.create_topic = lambda topic, assignment, configs: None
    return lambda: green.__dict__.pop("create_topic")


def busy(world: BlueGreen) -> Open:
    world.green.live["billing"] = True
    return lambda: world.green.live.pop("billing")


def rebalancing(world: BlueGreen) -> Open:
    green: Any = world.green
    member = Member("m", "c", "/127.0.0.1")
    coming = Group("billing", "classic", "PreparingRebalance", "range", (member,), {})
    groups = green.groups
    green.groups = lambda **more: (*groups(**more), coming)
    return lambda: green.__dict__.pop("groups")


GATES: list[tuple[Callable[[BlueGreen], Open], str]] = [
    (lag, "records behind (at most 20)"),
    (comparison, "comparison 1,000 records behind (at most 20)"),
    (parity, "parity: "),
    (busy, "groups still have members on green: billing"),
    (rebalancing, "groups still have members on green: billing"),
]
IDS = [close.__name__ for close, _ in GATES]


@pytest.mark.parametrize(("close", "words"), GATES, ids=IDS)
def test_it_waits_and_says_for_what_and_goes_on_when_it_opens(
    close: Callable[[BlueGreen], Open], words: str
) -> None:
    held = Held(close)
    live, begun = held.world.clock.others, held.world.clock.monotonic()
    before: list[bool] = []

    def others() -> None:
        live()
        if not before and held.world.clock.monotonic() >= begun + 30:
            before.append(held.still_before_them())
            held.open()

    held.world.clock.others = others
    held.scene.play()
    assert before == [True]
    said = held.words()
    assert len([s for s in said if words in s]) > 5
    assert said[-1] == "all gates hold"
    assert held.scene.outcomes[-1] == "done"
    assert held.world.facts.get("forward.gates.passed") >= 30
    state = held.world.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)


@pytest.mark.parametrize(("close", "words"), GATES, ids=IDS)
def test_one_that_never_opens_ends_the_run_where_it_can_be_resumed(
    close: Callable[[BlueGreen], Open], words: str
) -> None:
    held = Held(close)
    begun = held.world.clock.monotonic()
    with pytest.raises(TimedOut) as ended:
        held.scene.process()
    assert (ended.value.code, ended.value.exit) == ("KO-STEP-TIMEOUT", Exit.TIMEOUT)
    assert (ended.value.where, ended.value.hint) == ("gates", "kafkaops run resume run-1")
    waited = held.world.clock.monotonic() - begun
    assert waited >= held.world.config.gates.timeout
    assert words in held.words()[-1]
    assert held.still_before_them()
    held.open()
    held.scene.play()
    assert held.scene.outcomes[-1] == "done"
    assert held.world.state()["lost"] == []


@pytest.mark.parametrize(("cured_by", "ends"), [(3, True), (99, False)])
def test_a_failed_task_is_restarted_a_few_times_and_then_ends_the_run(
    cured_by: int, ends: bool
) -> None:
    restarts: list[str] = []

    def fail(world: BlueGreen) -> Open:
        connect: Any = world.connect["forward"]

        def restart(name: str) -> None:
            restarts.append(name)
            connect.failed = len(restarts) < cured_by

        connect.failed, connect.restart_failed = True, restart
        return lambda: setattr(connect, "failed", False)

    held = Held(fail)
    if ends:
        held.scene.play()
        assert any("mirror tasks failed: task 0" in words for words in held.words())
        assert (len(restarts), held.scene.outcomes[-1]) == (3, "done")
        return
    with pytest.raises(StepFailed) as ended:
        held.scene.process()
    assert (ended.value.code, ended.value.exit) == ("KO-MIRROR-FAILED", Exit.STEP_FAILED)
    assert held.still_before_them()
    held.open()
    held.scene.play()
    assert held.scene.outcomes[-1] == "done"


def test_topics_that_come_one_after_another_are_all_carried() -> None:
    """Also one that comes in the moment between the carrying and the next look."""
    held = Held(lambda world: late(world, "a"))
    green: Any = held.world.green
    create = green.create_topic

    def create_topic(topic: str, *more: Any) -> None:
        create(topic, *more)
        if topic == "a":
            late(held.world, "b")

    green.create_topic = create_topic
    held.scene.play()
    assert held.scene.outcomes[-1] == "done"
    assert sorted(carried(held.world.green.topics())) == ["a", "b", TOPIC]


def late(world: BlueGreen, topic: str) -> Open:
    world.blue.create_topic(topic, dict.fromkeys(range(1), NODES), {})
    return lambda: None


def test_a_lease_that_is_lost_while_they_are_held_ends_the_run_before_the_names() -> None:
    class Lost(NoLease):
        def verify(self) -> None:
            if held.words():
                raise lost("demo", "its object was replaced")

    held = Held()
    held.scene.lease = Lost()
    with pytest.raises(LeaseHeld) as ended:
        held.scene.process()
    failed: OpsError = ended.value
    assert (failed.code, failed.exit) == ("KO-LEASE-LOST", Exit.LOCKED)
    assert held.still_before_them()
    assert held.world.facts.get("forward.gates.passed") is None
    held.scene.lease = NoLease()
    held.scene.play()
    assert held.scene.outcomes[-1] == "done"
