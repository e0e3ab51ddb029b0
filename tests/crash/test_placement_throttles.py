"""What operators had set, or set while it ran, is as they left it, however the run ends."""

from __future__ import annotations

from dataclasses import replace

from kafkaops.placement.applying import operation, registry
from kafkaops.placement.applying.throttle import FOLLOWER_RATE, LEADER_RATE
from tests.crash.engine_harness import Point
from tests.crash.placement_scene import PRIOR, RATE, Scene, call_of, forward, moved


def test_a_rate_that_an_operator_set_meanwhile_stays_and_is_told() -> None:
    scene = moved()
    scene.process(forward(scene), Point(call_of(scene, "reassign", 2), "after"))
    scene.cluster.broker_own[1][LEADER_RATE] = "999"
    scene.process(operation.cancel)
    assert scene.outcomes[-1] == "called-off"
    assert scene.throttles()["brokers"] == {**PRIOR["brokers"], 1: {LEADER_RATE: "999"}}
    said = [line for line in scene.said if f"broker 1: {LEADER_RATE} is 999 now" in line]
    assert len(said) == 1, scene.said


def test_a_resume_leaves_a_rate_that_an_operator_set_meanwhile() -> None:
    scene = moved()
    scene.process(forward(scene), Point(call_of(scene, "reassign", 2), "after"))
    scene.cluster.broker_own[1][LEADER_RATE] = "999"
    seen: set[str | None] = set()
    scene.cluster.on_tick = lambda: seen.add(scene.cluster.broker_own[1].get(LEADER_RATE))
    scene.process(operation.resume)
    assert scene.outcomes[-1] == "done"
    assert seen == {"999"}
    assert scene.throttles()["brokers"] == {**PRIOR["brokers"], 1: {LEADER_RATE: "999"}}


def test_what_a_later_run_set_is_not_taken_away_by_a_rollback() -> None:
    scene = moved()
    scene.process(forward(scene))
    later = {FOLLOWER_RATE: "555", LEADER_RATE: "555"}
    scene.cluster.broker_own[5] = dict(later)
    scene.process(operation.rollback)
    assert scene.outcomes == ["done", "done"]
    assert scene.throttles()["brokers"] == {**PRIOR["brokers"], 5: later}


def test_a_broker_that_was_down_at_the_plan_keeps_what_it_had() -> None:
    """Its settings could not be read, so they could not be given back."""
    scene = Scene(((4, 2, 3),), rows=((1, 2, 3),))
    held = scene.cluster.racks[1]
    scene.cluster.die(1)
    scene.clock.sleep(2)
    plan = scene.plan()
    ours = plan.specs[0].args["ours"]["brokers"]
    assert set(ours) == {"2", "3", "4"}
    scene.cluster.come_back(1, held)
    seen: set[str] = set()
    scene.cluster.on_tick = lambda: seen.add(scene.cluster.broker_own[1][LEADER_RATE])
    scene.process(lambda conduct: conduct.carry(plan, registry.of(plan)))
    assert scene.outcomes == ["done"]
    assert seen == {"12345"}
    assert scene.throttles()["brokers"] == PRIOR["brokers"]


def test_bytes_that_are_not_known_are_throttled_all_the_same() -> None:
    scene = moved()
    scene.moves = [replace(m, bytes=0) for m in scene.moves]
    rates = scene.plan().specs[0].args["ours"]["brokers"]
    assert rates["4"] == {FOLLOWER_RATE: str(RATE)}
    scene.process(forward(scene))
    assert scene.outcomes == ["done"], "a copy without a throttle is a fault of the scene"
