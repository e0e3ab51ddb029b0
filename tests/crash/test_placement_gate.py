"""A placement beside somebody else: another state, foreign moves, replicas that lag, disks that are
full, brokers that are down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed, TimedOut
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import operation
from kafkaops.placement.applying.calling_off import call_off
from kafkaops.placement.moves import Move
from tests.crash.engine_harness import Point
from tests.crash.fake_placing import MIB, Part
from tests.crash.placement_scene import (
    PRIOR,
    ROWS,
    Scene,
    call_of,
    error_of,
    forward,
    moved,
    over_or,
)


def test_another_state_is_refused_with_the_difference() -> None:
    scene = moved()
    operate = forward(scene)
    scene.cluster.reassign({TopicPartition("orders", 0): (2, 1, 3)})
    scene.clock.sleep(2)
    error = error_of(scene, operate)
    assert (error.code, int(error.exit)) == ("KO-PLAN-DRIFT", 5)
    assert "orders-0: was [1,2,3], is [2,1,3]" in error.message
    assert len(scene.cluster.requests) == 1


def test_somebody_elses_move_of_one_of_ours_is_refused_and_left_alone() -> None:
    scene = Scene(speed=2 * MIB)
    first = forward(scene)
    scene.process(first, Point(call_of(scene, "reassign"), "after"))
    mine = {tp for request in scene.cluster.requests for tp in request}
    theirs = next(m.tp for m in scene.moves if m.tp not in mine and m.adding)
    scene.cluster.throttled = False
    scene.cluster.reassign({theirs: (6, 5, 1)})
    error = error_of(scene, first)
    assert (error.code, int(error.exit)) == ("KO-PLACEMENT-FOREIGN", 8)
    assert f"{theirs} is" in error.message
    scene.process(operation.cancel)
    assert scene.cluster.parts[theirs].replicas[:3] == (6, 5, 1)
    assert scene.throttles() == PRIOR


def test_somebody_elses_move_of_others_runs_beside_it() -> None:
    scene = moved()
    operate = forward(scene)
    other = TopicPartition("others", 1)
    scene.cluster.throttled = False
    scene.cluster.reassign({other: (1, 2, 3)})
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert scene.state()["replicas"]["others-1"] == (1, 2, 3)


def test_others_that_lag_make_it_wait() -> None:
    scene = moved()
    operate = forward(scene)
    other = TopicPartition("others", 0)
    whole: Part = scene.cluster.parts[other]
    scene.cluster.parts[other] = replace(whole, isr=(1, 2))
    back = scene.clock.monotonic() + 40
    seen: list[float] = []

    def heal() -> None:
        if scene.cluster.reassignments():
            seen.append(scene.clock.monotonic())
        if scene.clock.monotonic() >= back:
            scene.cluster.parts[other] = replace(whole)

    scene.cluster.on_tick = heal
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert min(seen) >= back


def test_a_replica_that_stays_and_lags_is_waited_for_and_named() -> None:
    scene = Scene(minimum=1)
    operate = forward(scene)
    late = TopicPartition("orders", 0)
    whole: Part = scene.cluster.parts[late]
    scene.cluster.parts[late] = replace(whole, isr=(1, 3))
    back = scene.clock.monotonic() + 40
    sent: list[float] = []

    def heal() -> None:
        if late in scene.cluster.reassignments():
            sent.append(scene.clock.monotonic())
        elif scene.clock.monotonic() >= back and scene.cluster.parts[late].replicas == (1, 2, 3):
            scene.cluster.parts[late] = whole

    scene.cluster.on_tick = heal
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert min(sent) >= back


def test_a_move_that_leaves_a_replica_on_a_broker_that_is_down_is_left_out_and_named() -> None:
    scene = moved()
    scene.cluster.die(3)
    scene.clock.sleep(2)
    plan = scene.plan()
    [note] = [n for n in plan.notes if "left out" in n]
    assert "4 partitions" in note
    assert "orders-1 stays on 3" in note
    scene.process(lambda conduct: operation.begin(conduct, plan))
    assert scene.outcomes == ["done"]
    found = scene.state()["replicas"]
    assert (found["orders-0"], found["orders-1"], found["orders-3"]) == (
        (4, 2, 1),
        (2, 3, 1),
        (2, 1, 3),
    )
    scene.moves = [m for m in scene.moves if str(m.tp) == "orders-1"]
    with pytest.raises(GuardRefused, match="orders-1 stays on 3") as refused:
        scene.plan()
    assert refused.value.code == "KO-PLACEMENT-BROKER-DOWN"


def test_the_plan_cures_what_lags_on_a_broker_that_it_drains() -> None:
    """In more than one wave: those that come later lag as well."""
    goals = [tuple(6 if b == 3 else b for b in row) for row in ROWS]
    scene = Scene(goals, concurrency=1)
    for tp, part in list(scene.cluster.parts.items()):
        if tp.topic == "orders":
            isr = tuple(b for b in part.isr if b != 3)
            scene.cluster.parts[tp] = replace(part, isr=isr, leader=isr[0])
    scene.clock.sleep(2)
    plan = scene.plan()
    assert len([s for s in plan.specs if s.phase == "waves"]) > 1
    scene.process(lambda conduct: operation.begin(conduct, plan))
    assert scene.outcomes == ["done"]


def test_a_disk_without_room_is_waited_for_and_then_told() -> None:
    scene = moved()
    operate = forward(scene)
    scene.cluster.disk = 50 * MIB
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    error = error_of(scene, operate)
    assert isinstance(error, TimedOut)
    assert error.code == "KO-PLACEMENT-DISK"
    before = {m.tp: set(m.before) for m in scene.moves}
    asked = [(tp, to) for request in scene.cluster.requests for tp, to in request.items()]
    assert [tp for tp, to in asked if to is None or not set(to) <= before[tp]] == []


def test_what_only_new_replicas_hold_is_not_called_off() -> None:
    scene = Scene(speed=2 * MIB)
    operate = forward(scene)
    scene.process(operate, Point(call_of(scene, "reassign", 2), "after"))
    tp = next(iter(scene.cluster.requests[1]))
    part = scene.cluster.parts[tp]
    new = part.adding[0]
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    scene.cluster.parts[tp] = replace(
        part, isr=(new,), leader=new, sizes={**part.sizes, new: part.whole}
    )
    scene.cluster.tick = lambda: None  # type: ignore[method-assign]
    scene.clock.others = lambda: None
    scene.cluster.lag = -1.0
    scene.cluster._past = [(0.0, scene.cluster.parts)]
    scene.clock.sleep(2)
    error = error_of(scene, operation.cancel)
    assert isinstance(error, StepFailed)
    assert error.code == "KO-PLACEMENT-KEPT"
    assert str(tp) in error.message
    assert scene.cluster.parts[tp].adding, "it goes on"
    assert scene.throttles() == PRIOR


def test_a_broker_that_is_down_in_the_end_is_told_and_passed_over() -> None:
    scene = moved()
    operate = forward(scene)
    scene.process(operate, Point(call_of(scene, "reassign"), "after"))
    scene.clock.sleep(60)
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    gone = scene.cluster.racks.pop(4)
    scene.process(over_or(operation.cancel))
    assert any("broker 4 is down" in line for line in scene.said)
    scene.cluster.racks[4] = gone
    assert scene.throttles()["topics"] == PRIOR["topics"]
    assert set(scene.throttles()["brokers"]) == {1, 2, 4}


def test_a_cancel_of_many_takes_more_than_one_request() -> None:
    scene = Scene(ROWS, throttle=None)
    count = 10_001
    scene.cluster.topic("many", [(1,)] * count)
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    scene.clock.sleep(2)
    moves = [Move(TopicPartition("many", i), (1,), (2,), MIB) for i in range(count)]
    for m in moves:
        part = scene.cluster.parts[m.tp]
        scene.cluster.parts[m.tp] = replace(part, replicas=(2, 1), adding=(2,), removing=(1,))
    found = call_off(scene.cluster, scene.clock, moves)  # type: ignore[arg-type]
    assert [len(request) for request in scene.cluster.requests] == [10_000, 1] * 2
    assert len(found.returned) == count
    assert scene.cluster.reassignments() == {}
