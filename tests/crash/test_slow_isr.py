"""An ISR that recovers too slowly, and a foreign reassignment that does not end: how long they are
waited for, with which exit code the run ends, and that a resume restarts nobody twice.
"""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import TimedOut
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.engine_harness import Scene
from tests.crash.restart_scene import VOTERS, Restart
from tests.crash.test_restart import pair, when

ONCE = dict.fromkeys((1, 2, 3, 4, 5, 6, *VOTERS), 1)
BACK = 600.0


def timed_out(scene: Scene[World]) -> TimedOut:
    with pytest.raises(TimedOut) as caught:
        scene.process()
    assert int(caught.value.exit) == 7
    return caught.value


def everybody_serves(world: Restart) -> bool:
    return all(map(world.cluster.up, world.cluster.nodes)) and not world.cluster.faults


def test_slower_than_the_return_timeout_it_ends_with_exit_7_and_a_resume_waits_on() -> None:
    world = Restart(Options(return_timeout=BACK))
    scene = world.scene()
    first = next(s.args["node"] for s in scene.plan.specs if s.kind == "node-in-sync")
    world.cluster.nodes[first].catch_up = 2.5 * BACK
    begun = world.clock.now
    error = timed_out(scene)
    assert error.where == f"sync-blue-{first}"
    assert "orders-" in error.message
    assert BACK <= world.clock.now - begun < 1.5 * BACK
    assert everybody_serves(world)
    brokers = [n for n, starts in world.starts().items() if starts and n not in VOTERS]
    assert brokers == [first]
    timed_out(scene)  # it waits as long again
    assert world.clock.now - begun >= 2 * BACK
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.starts() == ONCE
    assert everybody_serves(world)


def batch_of_two() -> tuple[Restart, Scene[World], int, int]:
    world = Restart(Options(return_timeout=BACK), rows=[(1, 2, 3), (4, 5, 6)])
    scene = world.scene()
    gates = [list(s.args["mates"].values()) for s in scene.plan.specs if s.kind == "gate-open"]
    one, other = next(nodes for nodes in gates if len(nodes) == 2)
    return world, scene, one, other


def test_in_a_batch_of_several_it_is_waited_for_twice_as_long() -> None:
    world, scene, one, _ = batch_of_two()
    world.cluster.nodes[one].catch_up = 1.5 * BACK
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.starts() == ONCE


def test_and_no_longer_its_mate_comes_back_and_nobody_else_is_stopped() -> None:
    world, scene, one, other = batch_of_two()
    world.cluster.nodes[one].catch_up = 2.5 * BACK
    assert timed_out(scene).where == f"sync-blue-{one}"
    assert everybody_serves(world)
    begun = {n for n, starts in world.starts().items() if starts}
    scene.process()
    assert scene.outcomes == ["done"]
    assert {one, other} <= begun < set(ONCE)
    assert world.starts() == ONCE


def test_a_foreign_reassignment_that_does_not_end_ends_with_exit_7_and_a_resume_goes_on() -> None:
    world, scene, one, other = pair(1, 2)
    tp = TopicPartition("orders", 0)  # of both: from 1, 2, 3 to 1, 2, 4
    part = world.cluster.parts[tp]

    def begins() -> None:
        world.cluster.moving[tp] = (3,)
        part.replicas, part.ready[4] = (1, 2, 3, 4), 1e9

    when(world, one, begins)
    begun = world.clock.now
    error = timed_out(scene)
    assert error.code == "KO-ISR-BELOW-MIN"
    assert "orders-0" in error.message
    assert world.options.gate_timeout <= world.clock.now - begun < world.options.gate_timeout + 60
    assert world.starts()[other] == 0
    assert everybody_serves(world)
    del world.cluster.moving[tp]
    part.replicas, part.isr = (1, 2, 4), [1, 2, 4]
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[one], world.starts()[other]) == (1, 1)
