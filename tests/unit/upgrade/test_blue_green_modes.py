"""Steps of the ways to move that the crash tests do not walk: hooks, a green that refuses, topics
that come late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kafkaops.config.schema import ClientGroup, Config
from kafkaops.cutover.positions import REHEARSAL
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Spec, State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.host import Ran
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.hooking import HooksStopped
from kafkaops.upgrade.blue_green.move import moved
from kafkaops.upgrade.blue_green.naming import NamesMoved
from kafkaops.upgrade.blue_green.observing import Observed
from kafkaops.upgrade.blue_green.preparing import is_plain
from tests.crash.blue_green_scene import NODES, TOPIC, BlueGreen
from tests.crash.fake_host import FakeHost
from tests.unit.upgrade.states import state


def spec(kind: str) -> Spec:
    return Spec(
        id=kind, kind=kind, title=kind, phase="cutover", args={"src": "blue", "dst": "green"}
    )


def hooked(config: Config, *names: str) -> Config:
    groups = tuple(
        ClientGroup(name=n, moves="hooks", stop=("stop", n), start=("start", n)) for n in names
    )
    return config.model_copy(update={"clients": groups})


class Local(FakeHost):
    """Where hooks run; the commands in `broken` end with 1."""

    broken: tuple[tuple[str, ...], ...] = ()

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        super().run(argv, stdin=stdin, timeout=timeout)
        return Ran(1, "", "it hangs") if tuple(argv) in self.broken else Ran(0, "", "")


def with_hooks(*names: str) -> tuple[World, Local]:
    scene = BlueGreen()
    local = Local("here", "127.0.0.1", scene.clock)
    return replace(scene.world, config=hooked(scene.config, *names), local=local), local


def test_a_stop_hook_that_fails_half_way_leaves_no_client_stopped() -> None:
    world, local = with_hooks("a", "b", "c")
    local.broken = (("stop", "b"),)
    step = HooksStopped(spec("hooks-stopped"))
    with pytest.raises(StepFailed, match="stop hook of b"):
        step.act(world)
    assert step.check(world) is State.TODO
    step.undo(world)
    assert local.ran == [("stop", "a"), ("stop", "b"), ("start", "b"), ("start", "a")]
    step.undo(world)
    assert len(local.ran) == 4


def test_a_start_hook_that_fails_keeps_no_other_client_stopped() -> None:
    world, local = with_hooks("a", "b")
    step = HooksStopped(spec("hooks-stopped"))
    step.act(world)
    assert step.check(world) is State.DONE
    local.broken = (("start", "b"),)
    with pytest.raises(StepFailed, match="start hook of b"):
        step.undo(world)
    assert local.ran[-1] == ("start", "a")


def test_who_is_stopped_by_a_hook_is_noted_before() -> None:
    kinds = [s.kind for s in planner.forward(BlueGreen().config, id="r", created=0).specs]
    assert kinds.index("observed") < kinds.index("hooks-stopped") < kinds.index("fenced")


def test_clients_that_rebootstrap_are_given_the_time_their_trigger_takes() -> None:
    config = BlueGreen().config
    moving = config.model_copy(
        update={"clients": (ClientGroup(name="a", moves="rebootstrap", groups=("*",)),)}
    )
    seen = {
        c.clients[0].moves: s.deadline
        for c in (config, moving)
        for s in planner.forward(c, id="r", created=0).specs
        if s.kind == "clients-seen"
    }
    assert seen["follows-names"] < 300 < seen["rebootstrap"]


def test_where_green_refuses_caches_run_out_after_the_answers_are_new() -> None:
    """Counted from the change, a minute of INSYNC would leave them no time at all."""
    scene = BlueGreen()
    cut = scene.config.cutover.model_copy(update={"forward": "refuse"})
    world = replace(scene.world, config=scene.config.model_copy(update={"cutover": cut}))
    assert not any(
        s.kind == "forwarding" for s in planner.forward(world.config, id="r", created=0).specs
    )
    scene.clock.others = lambda: None  # nobody but the names moves here
    step = NamesMoved(spec("names-moved"))
    step.act(world)
    change, until, held = scene.names.pending[0][1], scene.clock.monotonic() + 60, scene.names.held
    scene.names.pending[0] = (until, change, held)
    scene.clock.sleep(59)
    assert step.check(world) is State.PENDING
    scene.clock.sleep(2)
    assert step.check(world) is State.PENDING
    scene.clock.sleep(29)
    assert step.check(world) is State.PENDING
    scene.clock.sleep(2)
    assert step.check(world) is State.DONE


def test_a_topic_created_while_the_run_is_held_is_carried() -> None:
    scene = BlueGreen()

    def until_gates(runner: Runner[World]) -> RunResult:
        runner.until = "gates"
        return runner.run()

    held = scene.scene(operate=until_gates)
    held.process()
    assert held.outcomes == ["held"]
    scene.blue.create_topic("late", dict.fromkeys(range(2), NODES), {})
    held.operate = lambda runner: runner.run()
    held.play()
    assert sorted(moved(scene.green.topics())) == sorted([TOPIC, "late"])
    assert held.state()["serves"] == "green"
    assert held.outcomes[-1] == "done"


def test_a_mirror_that_died_after_its_gates_runs_again_before_the_fence() -> None:
    scene = BlueGreen()

    def until_names(runner: Runner[World]) -> RunResult:
        runner.until = "names"
        return runner.run()

    held = scene.scene(operate=until_names)
    held.process()
    assert held.outcomes == ["held"]
    scene.hosts["green-1"].services["mirror"] = False
    for _ in range(30):
        scene.live()  # thirty records a broker that nobody copies
    held.operate = lambda runner: runner.run()
    held.play()
    assert held.outcomes == ["held", "done"]
    assert held.state()["serves"] == "green"
    assert held.state()["lost"] == []


@pytest.mark.parametrize(
    ("protocols", "plain"),
    [
        (["CLIENT:PLAINTEXT,REPL:SSL", "REPL:SSL,CLIENT:SASL_PLAINTEXT"], True),
        (["CLIENT:PLAINTEXT", "CLIENT:SASL_SSL"], False),
        (["CLIENT:SSL"], False),
        (["REPL:PLAINTEXT"], False),
        ([None], False),
        ([], False),
    ],
)
def test_producers_are_told_apart_only_where_every_broker_says_plain(
    protocols: list[str | None], plain: bool
) -> None:
    key = "listener.security.protocol.map"
    seen = state(broker_config={n: {key: found} for n, found in enumerate(protocols)})
    assert is_plain(seen, "CLIENT") is plain


@pytest.mark.parametrize("colour", ["blue", "green"])
def test_both_clusters_agree_on_every_leader_before_the_fence(colour: str) -> None:
    """Also when a leader moved while the run was held: a client's next batch must find it."""
    scene = BlueGreen()

    def until_names(runner: Runner[World]) -> RunResult:
        runner.until = "names"
        return runner.run()

    held = scene.scene(operate=until_names)
    held.process()
    cluster = scene.clusters[colour]
    moved = TopicPartition(TOPIC, 1)
    cluster.leaders[moved] = 3
    fenced: list[int] = []
    fire = scene.hosts["blue-1"].run

    def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        fenced.append(cluster.topics()[TOPIC].partitions[1].leader)
        return fire(argv, stdin=stdin, timeout=timeout)

    scene.hosts["blue-1"].run = run  # type: ignore[method-assign]
    held.operate = lambda runner: runner.run()
    held.play()
    assert held.outcomes == ["held", "done"]
    assert set(fenced) == {1}


def test_going_back_leaves_no_group_of_a_rehearsal_that_died() -> None:
    scene = BlueGreen()
    scene.green.positions |= {f"{REHEARSAL}-3": {}, "theirs": {}}
    Observed(spec("observed")).undo(scene.world)
    assert list(scene.green.positions) == ["theirs"]
