"""A batch of which one node is down and the other is not: who waits, and who is held back."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.engine.errors import Unreachable
from kafkaops.upgrade.rolling import gating
from kafkaops.upgrade.rolling.node import Mark, NodeStep
from kafkaops.upgrade.rolling.phases import WITHOUT
from tests.crash.engine_harness import (
    lane_by_lane,
    raised,
)
from tests.crash.restart_scene import ONCE, Restart, half_a_batch, shared


def dies_for_a_while(world: Restart, left: int) -> None:
    """A broker that shares partitions with `left` is away for ten minutes."""
    third = next(n for n in world.cluster.nodes if n != left and shared(world, left, n))
    world.cluster.down(third)
    world.cluster.nodes[third].boot = 600.0
    world.cluster.start(third)


def test_killed_between_two_stops_and_another_broker_dead_the_rest_is_held_back() -> None:
    """What is down comes up first: nothing waits for a gate that only it could open."""
    world, scene, down, left = half_a_batch()
    dies_for_a_while(world, left)
    scene.process()
    assert any(f"blue-{left}: held back" in line for line in world.said)
    assert scene.outcomes == ["killed", "done"]
    assert (world.starts()[down], world.starts()[left]) == (1, 1)
    ups = [world.facts.get(f"restart.blue-{n}.up")["at"] for n in (down, left)]
    assert ups[0] + 300 < ups[1], "what was down waited for what could not go"


def test_killed_before_the_stop_of_the_rest_it_is_held_back_like_one_that_nobody_marked() -> None:
    """What was written down for a stop that was never asked for opens no gate."""
    world, scene, down, left = half_a_batch()
    host = world.hosts[f"blue-{left}"]
    mark = Mark(host.now(), host.node.pid, ())
    world.facts.put(f"restart.blue-{left}.mark", mark.to_json())
    dies_for_a_while(world, left)
    scene.process()
    assert any(f"blue-{left}: held back" in line for line in world.said)
    assert scene.outcomes == ["killed", "done"]
    assert (world.starts()[down], world.starts()[left]) == (1, 1)
    assert world.cluster.faults == []


@pytest.mark.parametrize("stopped", [False, True], ids=["it runs", "it was told to stop"])
def test_what_is_down_does_not_wait_for_the_host_of_a_mate(stopped: bool) -> None:
    world, scene, down, left = half_a_batch()
    host = world.hosts[f"blue-{left}"]
    if stopped:  # killed before it heard that
        mark = Mark(host.now(), host.node.pid, ())
        world.facts.put(f"restart.blue-{left}.mark", mark.to_json())
        host.unit_stop("kafka")
    host.away = True
    world.clock.sleep(120)  # the gate was passed long ago
    scene.parallel = lane_by_lane
    begun = world.clock.wall()
    error = raised(scene)
    assert (error.where, int(error.exit)) == (f"stop-blue-{left}", 7)
    assert (world.starts()[down], world.starts()[left]) == (1, 0)
    assert world.facts.get(f"restart.blue-{down}.up")["at"] < begun + 60
    host.away = False
    scene.process()
    assert scene.outcomes == ["killed", "done"]
    assert world.starts() == ONCE
    assert world.cluster.faults == []


def test_nor_for_one_whose_host_hangs_longer_than_a_passed_gate_counts() -> None:
    """As one by SSM may: minutes for each question."""
    world, scene, down, left = half_a_batch()
    host = world.hosts[f"blue-{left}"]
    mark = Mark(host.now(), host.node.pid, ())
    world.facts.put(f"restart.blue-{left}.mark", mark.to_json())

    def hangs() -> None:
        world.clock.sleep(gating.FRESH + 10)
        raise Unreachable("KO-SSM-TIMEOUT", f"{host.name} does not answer")

    host._reached = hangs  # type: ignore[method-assign]
    world.clock.sleep(120)  # the gate was passed long ago
    scene.parallel = lane_by_lane
    begun = world.clock.wall()
    assert raised(scene).where == f"stop-blue-{left}"
    assert world.facts.get(f"restart.blue-{down}.up")["at"] < begun + 600


def test_the_rest_of_a_batch_waits_with_nobody_for_one_that_the_run_goes_on_without() -> None:
    """It does not come back: the gate itself is waited for, and says why it is closed."""
    world, scene, down, left = half_a_batch()
    world.hosts[f"blue-{down}"].away = True
    world.facts.put(WITHOUT, [f"blue-{down}"])
    third = next(n for n in world.cluster.nodes if n != left and shared(world, left, n))
    world.cluster.die(third)
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-ISR-BELOW-MIN", 7)
    assert f"broker {third}" in error.hint
    assert world.starts()[left] == 0
    assert not any("held back" in line for line in world.said)


def test_one_that_is_up_and_not_in_sync_again_is_not_what_the_other_waits_with() -> None:
    """A gate that is closed for it may be so for hours: the other one goes alone, later."""
    world, scene, away, left = half_a_batch()
    world.cluster.nodes[away].catch_up = 3600.0
    world.cluster.start(away)
    world.clock.sleep(10)
    for reached in ("ended", "up"):
        world.facts.put(f"restart.blue-{away}.{reached}", {"at": world.clock.wall(), "clean": True})
    third = next(n for n in world.cluster.nodes if n != left and shared(world, left, n))
    world.cluster.down(third)
    [stop] = [s for s in scene.plan.specs if s.id == f"stop-blue-{left}"]
    step = NodeStep(stop)
    assert gating.look(step, world.world) is None
    assert step.held(world.world)
    world.facts.put(f"restart.blue-{left}.held", None)
    world.facts.put(f"restart.blue-{away}.in-sync", {"at": world.clock.wall()})
    blocked = gating.look(step, world.world)
    assert blocked is not None
    assert blocked.transient
    world.cluster.down(away)  # it was back, and died: only its own steps tell of that
    assert gating.look(step, world.world) is None
    assert step.held(world.world)


def test_a_mate_that_is_marked_for_its_stop_while_another_lane_holds_it_back_keeps_its_mark() -> (
    None
):
    """It is told to stop next: without the mark it would be left down until the others are back."""
    world, scene, down, left = half_a_batch()
    world.cluster.down(next(n for n in world.cluster.nodes if n != left and shared(world, left, n)))
    host = world.hosts[f"blue-{left}"]
    mark = Mark(host.now(), host.node.pid, ()).to_json()
    put = world.facts.put

    def meanwhile(name: str, value: Any) -> None:
        put(name, value)
        if name == f"restart.blue-{left}.held":
            put(f"restart.blue-{left}.mark", mark)

    world.facts.put = meanwhile  # type: ignore[method-assign]
    [stop] = [s for s in scene.plan.specs if s.id == f"stop-blue-{down}"]
    assert gating.look(NodeStep(stop), world.world) is None
    assert any(f"blue-{left}: held back" in line for line in world.said)
    assert world.facts.get(f"restart.blue-{left}.mark") == mark


def test_one_that_was_held_back_waits_for_its_gate_no_longer_than_any_other() -> None:
    world, scene, down, left = half_a_batch()
    third = next(n for n in world.cluster.nodes if n != left and shared(world, left, n))
    world.cluster.die(third)
    begun = world.clock.now
    error = raised(scene)
    assert (error.where, int(error.exit)) == (f"rest-blue-{left}", 7)
    assert world.starts()[down] == 1
    assert world.clock.now - begun < world.options.gate_timeout + 120
