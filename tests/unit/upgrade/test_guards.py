"""What stops a move: each guard is triggered once, by the state that it is there for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.cutover import fence, ruleset
from kafkaops.engine.errors import Exit, GuardRefused, OpsError
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.journal import Journal
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Spec
from kafkaops.mirror import config as rendering
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.host import Ran
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.cutting import Opened
from kafkaops.upgrade.blue_green.mirroring import Mirroring
from kafkaops.upgrade.blue_green.move import Move
from kafkaops.upgrade.blue_green.returning import ReadyForReturn
from kafkaops.upgrade.blue_green.sanity import SCRATCH
from kafkaops.upgrade.blue_green.settling import DeltaMirror
from tests.crash.blue_green_scene import NODES, TOPIC, BlueGreen
from tests.crash.engine_harness import JOURNAL, Scene

Meddle = Callable[[BlueGreen], object]
FIRST = TopicPartition(TOPIC, 0)


def held(phase: str, world: BlueGreen | None = None) -> tuple[BlueGreen, Scene[World]]:
    """A move that is held after this phase."""
    world = world or BlueGreen()

    def operate(runner: Runner[World]) -> RunResult:
        runner.until = phase
        return runner.run()

    scene = world.scene(operate=operate)
    scene.process()
    assert scene.outcomes == ["held"]
    scene.operate = lambda runner: runner.run()
    return world, scene


def once(scene: Scene[World], kind: Kind, step: str, meddle: Callable[[], object]) -> None:
    """Meddle when this is heard for the first time."""
    left = [meddle]

    def hear(event: Event) -> None:
        if (event.kind, event.step) == (kind, step) and left:
            left.pop()()

    scene.events = hear


def failure(scene: Scene[World]) -> OpsError:
    """What the operator gets: of a section that went back, the reason."""
    runner = scene.runner(Journal.open(JOURNAL, scene.clock, scene.files), scene.world)
    with pytest.raises(OpsError) as raised:
        runner.run()
    return raised.value


def open_host(world: BlueGreen, name: str) -> None:
    ran: Ran = world.hosts[name].firewall(ruleset.lift(name))
    assert ran.code == 0


def leaderless(world: BlueGreen) -> None:
    world.green.leaders[FIRST] = -1


def in_one_rack(world: BlueGreen) -> None:
    """Two replicas, both in the rack that two of the three brokers share."""
    green: Any = world.green
    green.orders[FIRST] = (1, 2)
    snapshot = green.snapshot

    def shared(**more: Any) -> Any:
        state = snapshot(**more)
        racks = {1: "r1", 2: "r1", 3: "r2"}
        return replace(state, brokers=tuple(replace(b, rack=racks[b.id]) for b in state.brokers))

    green.snapshot = shared


def reads_nothing(world: BlueGreen) -> None:
    green: Any = world.green
    consume = green.consume
    green.consume = lambda tp, start, count: (
        () if tp.topic == SCRATCH else consume(tp, start, count)
    )


def does_not_answer(world: BlueGreen) -> None:
    probe: Any = world.world.probe
    asked = probe.cluster_id
    probe.cluster_id = lambda host, *rest, **more: (
        None if host == "127.0.2.2" else asked(host, *rest, **more)
    )


@pytest.mark.parametrize(
    ("meddle", "phase", "code", "words"),
    [
        (leaderless, "producer-ids", "KO-NO-LEADER", r"green has .* without a leader: .*orders-0"),
        (in_one_rack, "producer-ids", "KO-RACK-SPREAD", r"orders-0: replicas \[1, 2\] in 1 rack"),
        (reads_nothing, "producer-ids", "KO-SANITY-READ", r"through broker 1, read back \(\)"),
        (does_not_answer, "gates", "KO-FORWARD", "green-2 does not answer as blue"),
    ],
)
def test_a_target_that_does_not_serve_ends_the_run_before_the_names(
    meddle: Meddle, phase: str, code: str, words: str
) -> None:
    world, scene = held(phase)
    meddle(world)
    changes, topics = world.names.changes, set(world.green.topics())
    failed = failure(scene)
    assert (failed.code, failed.exit) == (code, Exit.STEP_FAILED)
    assert re.search(words, failed.message)
    assert world.names.changes == changes
    assert not any("mirror" not in t for t in set(world.green.topics()) - topics - {SCRATCH})
    world.clock.sleep(2)
    assert {colour for colour, _ in world.clients.acknowledged} == {"blue"}
    assert world.lost("blue") == []


def test_replicas_in_one_rack_can_be_accepted() -> None:
    world, scene = held("producer-ids")
    in_one_rack(world)
    accepting = world.config.model_copy(update={"accept": ("KO-RACK-SPREAD",)})
    scene.world = replace(world.world, config=accepting)
    scene.operate = until_sanity
    scene.process()
    assert scene.outcomes[-1] == "held"
    assert world.facts.get("forward.done.serves")["rack_faults"]


def until_sanity(runner: Runner[World]) -> RunResult:
    runner.until = "sanity"
    return runner.run()


@pytest.mark.parametrize(
    ("at", "meddle", "code", "words"),
    [
        (
            (Kind.DONE, "fence"),
            lambda world: world.blue.create_topic("late", dict.fromkeys(range(1), NODES), {}),
            "KO-TOPIC-LEFT-BEHIND",
            "created on blue too late to be carried: ['late']",
        ),
        (
            (Kind.STARTED, "disarm"),
            lambda world: open_host(world, "blue-2"),
            "KO-FENCE-NOT-CONFIRMED",
            "before it was made permanent on ['blue-2']",
        ),
        (
            (Kind.DONE, "disarm"),
            lambda world: open_host(world, "blue-2"),
            "KO-SOURCE-NOT-FENCED",
            "['blue-2'] would take writes beside green",
        ),
    ],
)
def test_inside_the_pause_blue_takes_writes_again_and_a_resume_moves_on(
    at: tuple[Kind, str], meddle: Meddle, code: str, words: str
) -> None:
    world, scene = held("names")
    once(scene, *at, lambda: meddle(world))
    failed = failure(scene)
    assert (failed.code, failed.exit) == ("KO-RETURNED", Exit.ROLLED_BACK)
    assert isinstance(failed.__cause__, OpsError)
    assert failed.__cause__.code == code
    assert words in failed.message
    assert {colour for colour, _ in world.clients.acknowledged} == {"blue"}
    before = len(world.clients.acknowledged)
    world.live()
    assert len(world.clients.acknowledged) == before + len(NODES)
    scene.play()
    state = scene.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)
    assert set(world.blue.topics()) <= {*world.green.topics(), *backwards(world)}


def backwards(world: BlueGreen) -> set[str]:
    """The topics of the worker of the way back."""
    return {t for t in world.blue.topics() if t.startswith("kafkaops-mirror-back")}


def opened(world: BlueGreen) -> Opened:
    return Opened(Spec("open", "opened", "", "cutover", {"src": "blue", "dst": "green"}))


@pytest.mark.parametrize("written", [False, True])
def test_what_green_took_already_is_not_given_up(written: bool) -> None:
    """Its fence is lifted and nobody knows it yet: who died had not written it down."""
    world, scene = held("names")
    green = [host for name, host in world.hosts.items() if name.startswith("green")]

    def die() -> None:
        raise Died

    once(scene, Kind.STARTED, "open", die)
    with pytest.raises(Died):
        scene.process()
    fence.open_(green, 9092)
    if written:
        world.live()
        rules = [fence.states(green), fence.states(list(world.hosts.values()))]
        with pytest.raises(GuardRefused, match="green already took records") as refused:
            opened(world).undo(world.world)
        assert refused.value.code == "KO-TARGET-WRITTEN"
        assert refused.value.hint.startswith("resume the run")
        assert [fence.states(green), fence.states(list(world.hosts.values()))] == rules
    else:
        opened(world).undo(world.world)
        assert {s.kind for s in fence.states(green).values()} == {"permanent"}
        assert all(s.forward for s in fence.states(green).values())


class Died(BaseException):
    """The process, at once."""


@pytest.mark.parametrize(
    ("phase", "kind", "src", "other"),
    [("gates", Mirroring, "blue", "back"), ("settle", DeltaMirror, "green", "forward")],
)
def test_both_mirrors_at_once_are_refused(
    phase: str, kind: type[Move], src: str, other: str
) -> None:
    """Each would copy what the other one wrote, for ever."""
    world, _ = held(phase)
    dst = "green" if src == "blue" else "blue"
    step = kind(Spec("mirror", "mirroring", "", "mirror", {"src": src, "dst": dst}))
    assert step.safe(world.world) is None
    connect = world.connect[other]
    connect.name, connect.state = rendering.name(other), "RUNNING"
    blocked = step.safe(world.world)
    assert blocked is not None
    assert (blocked.code, blocked.transient) == ("KO-MIRROR-BOTH-WAYS", False)
    assert f"the mirror {other} is running" in blocked.reason


def test_a_broker_that_serves_clients_is_not_restarted_for_the_way_back() -> None:
    world, scene = held("settle")
    open_host(world, "blue-3")
    restarts = {name: list(host.restarts) for name, host in world.hosts.items()}
    files = {name: dict(host.files) for name, host in world.hosts.items()}
    failed = failure(scene)
    assert (failed.code, failed.exit) == ("KO-NOT-IDLE", Exit.STEP_FAILED)
    assert "['blue-3'] still serve clients" in failed.message
    assert {name: host.restarts for name, host in world.hosts.items()} == restarts
    assert {name: host.files for name, host in world.hosts.items()} == files
    step = ReadyForReturn(Spec("r", "ready-for-return", "", "back", {"src": "blue"}))
    fence.close([world.hosts["blue-3"]], 9092)
    assert step.safe(world.world) is None


@pytest.mark.parametrize(
    ("accept", "seen"),
    [((), False), (("KO-CLIENT-NOT-SEEN:gh*",), True), (("KO-CLIENT-NOT-SEEN:other",), False)],
)
def test_a_client_that_does_not_come_is_waited_for_unless_it_is_accepted(
    accept: Sequence[str], seen: bool
) -> None:
    world, scene = held("gates")
    world.blue.live["ghost"] = True
    world.world = replace(world.world, config=world.config.model_copy(update={"accept": accept}))
    scene.world = world.world
    if seen:
        scene.play()
        assert scene.outcomes[-1] == "done"
        assert "ghost" in world.facts.get("forward.clients.seen")["consuming"]
        return
    said: list[str] = []
    scene.events = lambda event: said.append(event.message) if event.step == "clients" else None
    failed = failure(scene)
    assert (failed.code, failed.where, failed.exit) == ("KO-STEP-TIMEOUT", "clients", Exit.TIMEOUT)
    assert "group ghost not seen" in said
    assert world.clients.last == "green"
