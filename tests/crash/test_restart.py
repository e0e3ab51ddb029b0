"""A rolling restart killed at its calls and journal writes; and trouble that comes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed, TimedOut
from kafkaops.engine.parallel import Parallel
from kafkaops.engine.run import Runner, RunResult
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.down import down as down_for
from kafkaops.upgrade.rolling.phases import ACCEPTED
from tests.crash.engine_harness import (
    SOAK,
    Point,
    Scene,
    backwards,
    lane_by_lane,
    raised,
    sweep,
    sweep_pairs,
    uncrashed,
)
from tests.crash.restart_scene import ONCE, VOTERS, Restart

SHARE, PAIRS = (1.0, 0.15) if SOAK else (1 / 3, 0.004)
"""Of the points, and of their pairs."""


def there() -> Scene[World]:
    return Restart().scene()


def test_undisturbed_each_node_is_restarted_once_and_nothing_is_below_min_isr() -> None:
    world = Restart()
    scene = world.scene()
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert state["starts"] == ONCE
    assert state["faults"] == []
    assert all(
        leader == int(tp and p.replicas[0])
        for (tp, p), leader in zip(
            world.cluster.parts.items(), state["leaders"].values(), strict=True
        )
    )
    assert all(sorted(p.isr) == sorted(p.replicas) for p in world.cluster.parts.values())


def test_killed_at_every_change_it_resumes_to_the_same_end() -> None:
    assert uncrashed(there)[0]["starts"] == ONCE
    assert sweep(there, reads=SOAK, share=SHARE).verdict().killed > 50


@pytest.mark.parametrize("parallel", [lane_by_lane, backwards])
def test_killed_with_one_lane_far_ahead_it_resumes_to_the_same_end(parallel: Parallel) -> None:
    def make() -> Scene[World]:
        return replace(there(), parallel=parallel)

    assert uncrashed(make)[0]["starts"] == ONCE
    assert sweep(make, reads=SOAK, share=SHARE / 3).verdict().killed > 15


def test_killed_twice_it_resumes_to_the_same_end() -> None:
    swept = sweep_pairs(there, within=12, share=PAIRS)
    assert swept.verdict().scenarios > 20


def test_killed_in_a_stop_that_takes_its_time_it_is_not_told_again() -> None:
    """The process ends after kafkaops did; by then the node has left its ISRs."""
    world = Restart()
    scene = world.scene()
    stops = [n for n, (name, _) in enumerate(uncrashed(there)[1].calls, 1) if "unit_stop" in name]
    scene.process(Point(stops[4], "before"))
    assert scene.outcomes == ["killed"]
    node = next(
        n
        for n in (1, 2, 3, 4, 5, 6)
        if world.facts.get(f"restart.blue-{n}.mark")
        and not world.facts.get(f"restart.blue-{n}.ended")
    )
    mark = world.facts.get(f"restart.blue-{node}.mark")
    assert mark["isr"], "what it had was not written down before the stop"
    world.hosts[f"blue-{node}"].unit_stop("kafka")
    world.clock.sleep(5)
    scene.play()
    assert scene.state()["starts"] == ONCE


def test_started_by_somebody_else_after_kafkaops_died_at_the_stop_it_is_not_stopped_again() -> None:
    """Nothing was written down of the end of the stop: the process alone tells."""
    stops = [n for n, (name, _) in enumerate(uncrashed(there)[1].calls, 1) if "unit_stop" in name]
    for stop in (stops[0], stops[4]):
        world = Restart()
        scene = world.scene()
        scene.process(Point(stop, "after"))
        [down] = [n.id for n in world.cluster.nodes.values() if n.pid == 0]
        assert world.facts.get(f"restart.blue-{down}.ended") is None
        world.hosts[f"blue-{down}"].unit_start("kafka")
        world.clock.sleep(10)
        scene.process()
        assert scene.outcomes == ["killed", "done"]
        assert world.starts() == ONCE


# Trouble that comes meanwhile, through the engine.


def pair(*nodes: int) -> tuple[Restart, Scene[World], int, int]:
    """Two brokers that share a partition, so each goes alone; and which of them goes first."""
    world = Restart(Options(only=tuple(map(str, nodes))))
    scene = world.scene()
    one, other = (
        n for s in scene.plan.specs if s.kind == "gate-open" for n in s.args["mates"].values()
    )
    return world, scene, one, other


def when(world: Restart, node: int, do: Any) -> None:
    """Do it once, as soon as this node has been restarted and is in sync again."""
    done: list[bool] = []

    def look() -> None:
        if not done and world.facts.get(f"restart.blue-{node}.in-sync"):
            done.append(True)
            do()

    world.cluster.on_tick = look


def test_another_broker_dies_the_gate_waits_by_name_and_goes_on_when_it_is_back() -> None:
    world, scene, one, other = pair(1, 5)
    when(world, one, lambda: world.cluster.die(6))
    error = raised(scene)
    assert isinstance(error, TimedOut)
    assert (error.code, int(error.exit)) == ("KO-ISR-BELOW-MIN", 7)
    assert "orders-4" in error.message
    assert "broker 6" in error.hint
    assert world.starts()[other] == 0
    assert world.cluster.faults == []
    world.cluster.nodes[6].broken = False
    world.cluster.start(6)
    world.clock.sleep(10)
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[one], world.starts()[other]) == (1, 1)


def test_a_gate_that_closes_between_its_looks_and_the_stop_is_waited_for_as_long() -> None:
    world, _, one, other = pair(1, 5)
    world.options = replace(world.options, gate_timeout=4 * 3600.0)
    scene = world.scene()
    last = [s.id for s in scene.plan.specs if s.kind == "gate-open"][-1]
    died: list[float] = []

    def look() -> None:
        if not died and world.facts.get(f"restart.{last}"):
            died.append(world.clock.now)
            world.cluster.die(6)
        if died and world.clock.now > died[0] + 3600 and not world.cluster.nodes[6].pid:
            world.cluster.nodes[6].broken = False
            world.cluster.start(6)

    scene.events = lambda event: look()
    world.cluster.on_tick = look
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.starts() == dict.fromkeys(world.starts(), 0) | {one: 1, other: 1, 6: 1}
    assert world.cluster.faults == []


def test_a_host_that_does_not_come_back_times_out_and_a_resume_finishes() -> None:
    world, scene, one, other = pair(2, 3)
    world.cluster.nodes[one].broken = True
    error = raised(scene)
    assert (type(error), int(error.exit), error.where) == (TimedOut, 7, f"up-blue-{one}")
    assert world.starts()[other] == 0
    assert world.cluster.faults == []
    world.cluster.nodes[one].broken = False
    world.clock.sleep(10)
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[one], world.starts()[other]) == (1, 1)


def test_a_host_that_cannot_be_reached_is_waited_for() -> None:
    world = Restart(Options(only=("2",)))
    scene = world.scene()
    world.cluster.nodes[2].broken = True
    world.cluster.on_tick = lambda: setattr(world.hosts["blue-2"], "away", world.starts()[2] == 1)
    assert raised(scene).exit == 7
    world.cluster.on_tick = lambda: None
    world.hosts["blue-2"].away = False
    world.cluster.nodes[2].broken = False
    world.clock.sleep(10)
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.starts()[2] == 1


def test_a_node_that_falls_again_stops_the_roll_whoever_shares_its_partitions() -> None:
    world = Restart(Options(gate_timeout=600.0), rows=[(1, 2, 3), (4, 5, 6)])
    scene = world.scene()
    canary = next(s.args["node"] for s in scene.plan.specs if s.args.get("broker"))
    host = f"blue-{canary}"
    fallen: list[bool] = []

    def fall() -> None:
        if not fallen and world.facts.get(f"restart.{host}.soaked"):
            fallen.append(True)
            world.cluster.die(canary)

    world.cluster.on_tick = fall
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-GATE-FALLEN", 7)
    assert host in error.message
    brokers = [n for n, starts in world.starts().items() if n not in VOTERS and starts]
    assert brokers == [canary]


@pytest.mark.parametrize("reached", ["up", "in-sync", "soak"])
def test_one_that_ends_by_itself_after_it_was_up_is_told_of_and_started_by_a_resume(
    reached: str,
) -> None:
    world, scene, one, other = pair(2, 3)
    world.options = replace(world.options, soak=30.0)
    scene = world.scene()
    world.cluster.nodes[one].catch_up = 60.0
    died: list[float] = []

    def die() -> None:
        if not died and world.facts.get(f"restart.blue-{one}.{reached}"):
            died.append(world.clock.now)
            world.cluster.die(one)

    world.cluster.on_tick = die
    begun = world.clock.now
    error = raised(scene)
    assert (error.code, int(error.exit), error.where) == ("KO-NODE-ENDED", 8, f"blue-{one}")
    assert world.clock.now < begun + 300
    assert (world.starts()[one], world.starts()[other]) == (1, 0)
    world.cluster.nodes[one].broken = False
    again = world.clock.wall()
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[one], world.starts()[other]) == (2, 1)
    reached_again = [world.facts.get(f"restart.blue-{one}.{fact}") for fact in ("up", "in-sync")]
    assert all(fact["at"] > again for fact in reached_again)
    assert world.cluster.faults == []


def test_one_that_its_unit_starts_again_while_it_is_watched_ends_the_run() -> None:
    """It is what a canary is watched for; and it may recover its logs until long after the soak."""
    world, _, one, other = pair(2, 3)
    world.options = replace(world.options, soak=30.0)
    scene = world.scene()
    node = world.cluster.nodes[one]

    def ends() -> None:
        soak = world.facts.get(f"restart.blue-{one}.soak")
        if soak and not node.restarts and world.clock.now > soak["monotonic"] + 10:
            world.cluster.down(one)
            world.cluster.start(one)
            node.boot, node.restarts, node.starts = 100.0, 1, node.starts - 1
            node.ready = world.clock.now + node.boot

    world.cluster.on_tick = ends
    error = raised(scene)
    assert (error.code, int(error.exit), error.where) == ("KO-NODE-ENDED", 8, f"blue-{one}")
    assert "waits for it anew" in error.hint
    assert down_for(world.facts, [scene.plan]) == ([], [f"blue-{one}"])
    assert world.starts()[other] == 0
    again = world.clock.wall()
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.facts.get(f"restart.blue-{one}.in-sync")["at"] > again + 50
    assert (world.starts()[one], world.starts()[other]) == (1, 1)
    assert world.cluster.faults == []


def test_a_slow_isr_is_waited_for() -> None:
    world = Restart()
    world.cluster.nodes[2].catch_up = 1200.0
    scene = world.scene()
    scene.play()
    assert scene.outcomes == ["done"]
    assert scene.state()["starts"] == ONCE
    assert world.cluster.faults == []


def test_a_topic_of_one_replica_made_meanwhile_is_refused_by_name() -> None:
    world, scene, one, other = pair(1, 2)
    when(world, one, lambda: world.cluster.topic("lonely", [(other,)], 1))
    error = raised(scene)
    assert (type(error), error.code) == (StepFailed, "KO-RF-ONE")
    assert error.message.endswith("may go: 1 partition has one replica only: lonely-0")
    assert "run resume run-1 --accept-unavailable lonely, or" in error.hint
    assert world.starts()[other] == 0


def test_what_is_accepted_while_it_goes_on_is_gone_on_with() -> None:
    world, scene, one, other = pair(1, 2)
    when(world, one, lambda: world.cluster.topic("lonely", [(other,)], 1))
    raised(scene)
    world.cluster.faults.clear()
    world.facts.put(ACCEPTED, ["lonely"])
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[one], world.starts()[other]) == (1, 1)


def test_refused_before_the_first_stop_nothing_was_changed() -> None:
    world = Restart(Options(only=("1",)))
    scene = world.scene()
    world.cluster.topic("lonely", [(1,)], 1)
    error = raised(scene)
    assert (type(error), error.code, int(error.exit)) == (GuardRefused, "KO-RF-ONE", 5)
    assert sum(world.starts().values()) == 0


def test_a_foreign_reassignment_is_waited_for() -> None:
    world, scene, one, other = pair(1, 2)
    tp = TopicPartition("orders", 0)  # of both: from 1, 2, 3 to 1, 2, 4
    part = world.cluster.parts[tp]
    ends: list[float] = []

    def begins() -> None:
        ends.append(world.clock.now + 100)
        world.cluster.moving[tp] = (3,)
        part.replicas, part.ready[4] = (1, 2, 3, 4), ends[0]

    when(world, one, begins)
    begun = world.cluster.on_tick

    def tick() -> None:
        begun()
        if ends and world.clock.now > ends[0] and tp in world.cluster.moving:
            del world.cluster.moving[tp]
            part.replicas, part.isr = (1, 2, 4), [1, 2, 4]

    world.cluster.on_tick = tick
    scene.play()
    assert scene.outcomes == ["done"]
    assert world.starts()[other] == 1
    assert world.clock.now > ends[0], "it did not wait for the reassignment"


def test_a_stop_that_was_not_clean_ends_the_run_once_with_the_node_back() -> None:
    world, scene, one, other = pair(1, 2)
    world.cluster.nodes[one].signal = 9
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-STOP-UNCLEAN", 8)
    assert world.cluster.up(one)
    assert world.starts()[other] == 0
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[one], world.starts()[other]) == (1, 1)


def test_going_back_starts_what_is_down_and_nothing_else() -> None:
    calls = uncrashed(there)[1].calls
    stops = [n for n, (name, _) in enumerate(calls, 1) if "unit_stop" in name]

    def back(runner: Runner[World]) -> RunResult:
        return runner.rollback()

    for stop in (stops[0], stops[3], stops[-1]):
        world = Restart()
        scene = world.scene()
        scene.process(Point(stop, "after"))
        down = [n.id for n in world.cluster.nodes.values() if n.pid == 0]
        assert down, "nothing was down when it was killed"
        scene.process(operate=back)
        assert scene.outcomes == ["killed", "rolled-back"]
        assert all(n.pid for n in world.cluster.nodes.values())
        assert all(world.starts()[n] == 1 for n in down)
