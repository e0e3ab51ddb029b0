"""What others do to Auto Scaling, agents and instances while a restart holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kafkaops.engine.errors import TimedOut
from kafkaops.engine.events import Kind
from kafkaops.engine.run import Runner
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.node import Mark
from tests.crash.fleet_scene import FleetRestart, as_before
from tests.crash.test_fleet import leave, one


def when(world: FleetRestart, step: str, do: Callable[[], None]) -> Callable[..., None]:
    done: list[bool] = []

    def on(runner: Runner[World], event: Any) -> None:
        if event.step == step and not done:
            done.append(True)
            do()

    return on


def test_a_process_that_somebody_resumed_is_seen_before_the_stop_and_not_suspended_over_it() -> (
    None
):
    world = one()
    world.scaling.lag = 0.0
    undo = when(
        world,
        "hold-agents-blue-2",
        lambda: world.scaling.by_hand("asg-b", "Terminate", resume=True),
    )
    with pytest.raises(TimedOut) as caught:
        leave(world, on=undo)
    assert caught.value.code == "KO-FLEET-RESUMED"
    assert "Terminate of Auto Scaling group asg-b" in caught.value.message
    assert world.starts()[2] == 0
    as_before(world)
    assert any("somebody resumed Terminate" in line for line in world.said)


def test_what_somebody_suspends_meanwhile_stays_suspended() -> None:
    world = one()

    def hand() -> None:
        world.scaling.by_hand("asg-b", "AlarmNotification", resume=True)
        world.scaling.by_hand("asg-b", "AlarmNotification", "Launch")

    leave(world, on=when(world, "start-blue-2", hand))
    assert sorted(world.scaling.groups["asg-b"].suspended) == ["AlarmNotification", "Launch"]


def test_an_activity_under_way_is_waited_for_before_anything_is_suspended() -> None:
    world = one()
    group = world.scaling.groups["asg-b"]
    group.busy = ["instance refresh r-1 (InProgress)"]
    ends = world.clock.now + 200
    observe = world.cluster.on_tick

    def tick() -> None:
        observe()
        if world.clock.now < ends:
            assert not group.suspended
        else:
            group.busy = []

    world.cluster.on_tick = tick
    assert leave(world).outcome == "done"
    assert world.clock.now > ends
    world = one()
    world.scaling.groups["asg-b"].busy = ["Terminating EC2 instance: i-9 (InProgress)"]
    with pytest.raises(TimedOut) as caught:
        leave(world)
    assert caught.value.code == "KO-FLEET-ACTIVITY"
    assert world.starts()[2] == 0
    as_before(world)


def test_an_instance_that_its_group_is_about_to_end_is_not_stopped() -> None:
    world = one()
    world.scaling.groups["asg-b"].instances["i-2"] = "UNHEALTHY"
    with pytest.raises(TimedOut) as caught:
        leave(world)
    assert caught.value.code == "KO-FLEET-INSTANCE"
    assert world.starts()[2] == 0


def test_an_agent_that_something_else_starts_keeps_the_node_from_its_stop() -> None:
    world = one()
    host = world.hosts["blue-2"]

    def on(runner: Runner[World], event: Any) -> None:
        if event.step == "hold-agents-blue-2" and event.kind is Kind.DONE:
            host.units["puppet.service"] = "active"

    with pytest.raises(TimedOut) as caught:
        leave(world, on=on)
    assert caught.value.code == "KO-FLEET-AGENTS"
    assert world.starts()[2] == 0


def test_a_long_recovery_does_not_let_the_agents_come_back() -> None:
    world = one()
    world.cluster.nodes[2].boot = 3000.0
    assert leave(world).outcome == "done"
    assert world.cluster.faults == []
    as_before(world)


def test_one_that_was_marked_for_its_stop_waits_for_the_fleet_and_is_not_passed_over() -> None:
    """Killed between the mark and the stop, or its connection was lost there. It goes alone: held
    back it would never go, and the run would say that it is done."""
    world = one()
    host = world.hosts["blue-2"]
    mark = Mark(host.now(), host.node.pid, ())
    world.facts.put("restart.blue-2.mark", mark.to_json())

    def on(runner: Runner[World], event: Any) -> None:
        if event.step == "hold-agents-blue-2" and event.kind is Kind.DONE:
            host.units["puppet.service"] = "active"

    with pytest.raises(TimedOut) as caught:
        leave(world, on=on)
    assert (caught.value.code, world.starts()[2]) == ("KO-FLEET-AGENTS", 0)
    assert leave(world).outcome == "done"
    assert world.starts()[2] == 1
