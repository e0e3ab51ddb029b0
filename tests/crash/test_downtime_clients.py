"""The clients of an outage: those with hooks are stopped and started, and how long all are out."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.cli.rolls import figures, lines
from kafkaops.engine.errors import GuardRefused
from kafkaops.upgrade.downtime.planner import expected
from kafkaops.upgrade.downtime.stages import stages
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.downtime_scene import NODES, Outage, ended, told
from tests.crash.engine_harness import Point, raised, uncrashed


def test_hooks_stop_clients_before_the_listener_closes_and_start_them_after_it_opened() -> None:
    world = Outage(apps=("app", "etl"))
    real = world.machine.run
    listening: list[bool] = []

    def run(argv: Any, **more: Any) -> Any:
        listening.append(world.cluster.serving())
        assert world.starts() == dict.fromkeys(NODES, int(argv[1] == "start"))
        return real(argv, **more)

    world.machine.run = run  # type: ignore[method-assign]
    for host in world.brokers:

        def stop(name: str, *, timeout: float, real: Any = host.unit_stop) -> Any:
            assert world.machine.stopped == {"app", "etl"}
            return real(name, timeout=timeout)

        host.unit_stop = stop  # type: ignore[method-assign]
    scene = world.scene()
    scene.play()
    assert scene.outcomes == ["done"]
    assert world.machine.ran == [
        *(("app", "stop"), ("etl", "stop")),
        *(("etl", "start"), ("app", "start")),
    ]
    assert listening == [True] * 4
    assert world.machine.stopped == set()


def test_a_stop_hook_that_fails_ends_the_run_before_the_outage_and_going_back_starts_both() -> None:
    world = Outage(apps=("app", "etl", "web"))
    world.machine.broken.add(("etl", "stop"))
    scene = world.scene()
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-HOOK-FAILED", 8)
    assert world.cluster.serving()
    assert world.starts() == dict.fromkeys(NODES, 0)
    assert world.machine.stopped == {"app", "etl"}
    scene.process(operate=lambda runner: runner.rollback())
    assert scene.outcomes == ["rolled-back"]
    assert world.machine.stopped == set()
    assert ("web", "start") not in world.machine.ran


def test_a_start_hook_that_fails_is_run_again_by_a_resume_with_everybody_serving() -> None:
    world = Outage(apps=("app", "etl"))
    world.machine.broken.add(("etl", "start"))
    scene = world.scene()
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-HOOK-FAILED", 8)
    assert world.cluster.serving()
    assert ("app", "start") in world.machine.ran
    world.machine.broken.clear()
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.machine.ran.count(("etl", "start")) == 2
    assert world.starts() == dict.fromkeys(NODES, 1)


def test_killed_at_any_hook_every_client_runs_in_the_end() -> None:
    calls = uncrashed(lambda: Outage(apps=("app",)).scene())[1].calls
    hooks = [n for n, (name, _) in enumerate(calls, 1) if name == "local.run"]
    assert len(hooks) == 2
    for hook in hooks:
        for when in ("before", "after"):
            world = Outage(apps=("app",))
            scene = world.scene()
            scene.play([Point(hook, when)])
            assert scene.outcomes == ["killed", "done"]
            assert scene.state()["stopped"] == []
            assert world.starts() == dict.fromkeys(NODES, 1)


def test_a_timer_that_would_let_clients_in_with_nodes_down_is_refused() -> None:
    seconds = expected(stages(Outage().cluster.snapshot(), NODES))
    with pytest.raises(GuardRefused, match=f"about {seconds:.0f} s") as caught:
        Outage(options=Options(outage=seconds - 1)).plan()
    assert caught.value.code == "KO-OUTAGE-SHORT"
    assert Outage(options=Options(outage=seconds)).plan().specs


def test_the_plan_says_which_outage_to_expect_and_the_end_which_one_it_was() -> None:
    world = Outage()
    closed: list[float] = []

    def tick() -> None:
        world.write()
        if any(host.closed for host in world.brokers):
            closed.append(world.clock.now)

    world.cluster.on_tick = tick
    scene = world.scene()
    seconds = expected(stages(world.cluster.snapshot(), NODES))
    assert any(f"expected outage: about {seconds:.0f} s" in line for line in lines(scene.plan))
    [ask] = [s.ask for s in scene.plan.specs if s.ask]
    assert f"about {seconds:.0f} s" in ask
    scene.play()
    [said] = [w for w in told(world, scene.plan) if w.startswith("the outage: ")]
    real = closed[-1] - closed[0]
    assert real > 5
    assert abs(float(said.split()[2]) - real) < 3
    assert figures(ended(world, scene.plan))["outage_seconds"] == float(said.split()[2])
