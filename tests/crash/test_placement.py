"""A placement killed at every port call and journal write: it comes to the same end (P11), and
cancelled at any point it gives back the exact order and throttles (P10)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.cli.operations import only_reading
from kafkaops.engine.errors import GuardRefused, OpsError, StepFailed, TimedOut
from kafkaops.engine.stepping import Interrupted
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import operation, survey
from kafkaops.placement.applying.calling_off import call_off
from kafkaops.placement.applying.moving import Moved
from kafkaops.placement.applying.planner import Options
from kafkaops.placement.moves import DirMove, Move
from tests.crash.engine_harness import Fuse, Point, points_of
from tests.crash.fake_placing import MIB, Part
from tests.crash.placement_scene import GOALS, PRIOR, ROWS, Operate, Scene, forward

SEED = 5
ORDERS = [f"orders-{i}" for i in range(6)]
DIRS = (DirMove(TopicPartition("orders", 0), 1, "/a", "/b", 40 * MIB),)


def moved() -> Scene:
    return Scene()


def between_disks() -> Scene:
    return Scene(ROWS, dirs=DIRS, two_disks=True)


def undisturbed(make: Callable[[], Scene]) -> tuple[dict[str, Any], Fuse]:
    scene = make()
    fuse = scene.process(forward(scene))
    assert scene.outcomes == ["done"]
    return scene.state(), fuse


def some(points: list[Point], share: float, seed: int = SEED) -> list[Point]:
    chance = random.Random(seed)
    return [p for p in points if chance.random() < share]


def go_on(scene: Scene, operate: Operate, wait: float = 5.0) -> None:
    """Processes until one is not killed; `wait` seconds before each."""
    for _ in range(6):
        scene.clock.sleep(wait)
        scene.process(operate)
        if scene.outcomes[-1] != "killed":
            return
    raise AssertionError(scene.outcomes)


def error_of(scene: Scene, operate: Operate) -> OpsError:
    with pytest.raises(OpsError) as caught:
        scene.process(operate)
    return caught.value


def test_undisturbed_every_partition_is_where_the_plan_says_in_that_order() -> None:
    scene = moved()
    scene.process(forward(scene))
    assert scene.outcomes == ["done"]
    end = scene.state()
    assert [end["replicas"][name] for name in ORDERS] == list(GOALS)
    assert end["moving"] == set()
    assert end["throttles"] == PRIOR
    assert [end["leaders"][name] for name in ORDERS] == [goal[0] for goal in GOALS]
    assert scene.cluster.faults == []
    assert sum(map(len, scene.cluster.requests)) == 6, "each was sent once"


@pytest.mark.parametrize(("make", "share"), [(moved, 0.35), (between_disks, 1.0)])
def test_killed_anywhere_it_resumes_to_the_same_end(
    make: Callable[[], Scene], share: float
) -> None:
    """P11."""
    expected, fuse = undisturbed(make)
    for point in some(points_of(fuse), share):
        scene = make()
        operate = forward(scene)
        scene.process(operate, point)
        assert scene.outcomes == ["killed"], point
        go_on(scene, operate)
        assert scene.state() == expected, point


def test_killed_twice_it_resumes_to_the_same_end() -> None:
    expected, fuse = undisturbed(moved)
    chance = random.Random(SEED)
    for first in some(points_of(fuse, reads=False), 0.25):
        scene = moved()
        operate = forward(scene)
        scene.process(operate, first)
        scene.clock.sleep(5)
        scene.process(operate, Point(chance.randint(1, 25), chance.choice(("before", "after"))))
        if scene.outcomes[-1] == "killed":
            go_on(scene, operate)
        assert scene.state() == expected, first


def test_cancelled_at_any_point_the_order_and_the_throttles_are_as_they_were() -> None:
    """P10: what was finished is where the plan says, all else where it was, to the order; and the
    run can be gone on with."""
    expected, fuse = undisturbed(moved)
    chance = random.Random(SEED)
    begun = next(n for n, (name, _) in enumerate(fuse.calls, 1) if name.endswith("append"))
    for point in some([p for p in points_of(fuse, reads=False) if p.call > begun], 0.7):
        scene = moved()
        operate = forward(scene)
        scene.process(operate, point)
        if chance.random() < 0.6:  # the cancel dies too
            scene.process(over_or(operation.cancel), Point(chance.randint(1, 14), "after"))
        go_on(scene, over_or(operation.cancel), wait=chance.choice((0.0, 0.5, 5.0)))
        found = scene.state()
        stands = found["replicas"]
        for i, name in enumerate(ORDERS):
            assert stands[name] in (ROWS[i], GOALS[i]), (point, name, stands[name])
        assert found["moving"] == set(), point
        assert found["throttles"] == PRIOR, point
        if scene.outcomes[-1] == "called-off":
            go_on(scene, operate)
            assert scene.state() == expected, point


def over_or(cancel: Operate) -> Operate:
    """A run that had just ended has nothing to cancel."""

    def operate(conduct: Any) -> Any:
        try:
            return cancel(conduct)
        except GuardRefused as refused:
            if refused.code != "KO-PLACEMENT-OVER":
                raise
            return operation.resume(conduct)

    return operate


def test_rolled_back_from_any_point_nothing_is_left_of_it() -> None:
    _, fuse = undisturbed(moved)
    chance = random.Random(SEED)
    begun = next(n for n, (name, _) in enumerate(fuse.calls, 1) if name.endswith("append"))
    points = [p for p in points_of(fuse, reads=False) if p.call > begun]
    for point in [*some(points, 0.3), None]:
        scene = moved()
        scene.process(forward(scene), point)
        scene.clock.sleep(5)
        scene.process(operation.rollback, Point(chance.randint(1, 120), "after"))
        if scene.outcomes[-1] == "killed":
            go_on(scene, operation.rollback)
        assert scene.outcomes[-1] in ("done", "rolled-back"), point
        assert scene.state() == scene.start, point


def test_ctrl_c_in_the_middle_of_a_wave_calls_it_off() -> None:
    scene = Scene(speed=2 * MIB)
    plan = scene.plan()

    def interrupted(conduct: Any) -> Any:
        def watch(runner: Any) -> None:
            def stop() -> None:
                if scene.cluster.reassignments():
                    runner.request_stop()

            scene.cluster.on_tick = stop

        conduct.watch = watch
        return operation.begin(conduct, plan)

    error = error_of(scene, interrupted)
    assert isinstance(error, Interrupted)
    scene.cluster.on_tick = lambda: None
    found = scene.state()
    assert found["moving"] == set()
    assert found["throttles"] == PRIOR
    assert found["replicas"]["orders-0"] == (1, 2, 3), "Kafka's own cancel leaves [2, 1, 3]"
    assert {None} < {to for request in scene.cluster.requests for to in request.values()}
    assert any("called off" in line for line in scene.said)


def test_what_was_applied_leaves_nothing_to_do() -> None:
    scene = moved()
    scene.process(forward(scene))
    left = [replace(m, before=scene.cluster.parts[m.tp].replicas) for m in scene.moves]
    made = survey.plan(only_reading(scene.world), left, (), scene.options, "run-2")
    assert made.specs == ()


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


def test_a_throttle_below_what_clients_write_is_refused() -> None:
    scene = Scene(written=5 * MIB)
    scene.options = Options(throttle=4 * MIB, concurrency=1, reserve=0)
    with pytest.raises(GuardRefused, match=r"never end: clients write 5(\.0)? MiB/s") as refused:
        scene.plan()
    assert refused.value.code == "KO-PLACEMENT-NEVER-ENDS"
    scene.options = Options(throttle=6 * MIB, concurrency=1, reserve=0)
    assert scene.plan().specs


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
    assert set(scene.throttles()["brokers"]) == {1, 4}


def test_a_cancel_of_many_takes_more_than_one_request() -> None:
    scene = Scene(ROWS, throttle=None)
    count = 10_001
    scene.cluster.topic("many", [(1,)] * count)
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    moves = [Move(TopicPartition("many", i), (1,), (2,), MIB) for i in range(count)]
    for m in moves:
        part = scene.cluster.parts[m.tp]
        scene.cluster.parts[m.tp] = replace(part, replicas=(2, 1), adding=(2,), removing=(1,))
    found = call_off(scene.cluster, scene.clock, moves)  # type: ignore[arg-type]
    assert [len(request) for request in scene.cluster.requests] == [10_000, 1] * 2
    assert len(found.returned) == count
    assert scene.cluster.reassignments() == {}


def call_of(scene: Scene, name: str, nth: int = 1) -> int:
    """The number of the nth call of this name in an undisturbed run of the same scene."""
    twin = Scene(speed=scene.cluster.speed)
    calls = twin.process(forward(twin)).calls
    found = [n for n, (called, _) in enumerate(calls, 1) if called.endswith(f".{name}")]
    return found[nth - 1]


def test_it_tells_how_far_it_is_and_which_replica_is_last() -> None:
    scene = Scene(speed=2 * MIB)
    wave = next(s for s in scene.plan().specs if s.id == "wave-2")
    step = Moved(wave)
    step.act(scene.world)
    scene.clock.sleep(3)
    found = step.progress(scene.world)
    assert found is not None
    assert (found.done, found.total, found.unit) == (18.0, 120.0, "MiB")
    assert found.detail.startswith("slowest orders-"), found.detail
    assert found.detail.endswith(", 34 MiB to go")
    scene.clock.sleep(60)
    found = step.progress(scene.world)
    assert found is not None
    assert (found.done, found.detail) == (120.0, "")


def tuned() -> Scene:
    """A rate that is measured, and measured anew while it runs: clients write less and less."""
    scene = Scene(speed=MIB // 2, written=2 * MIB)
    scene.options = Options(link=100 * MIB, concurrency=2, reserve=0)
    return scene


def test_a_rate_that_is_measured_is_tuned_while_it_runs_and_given_back() -> None:
    scene = tuned()
    plan = scene.plan()
    first = plan.specs[0].args["ours"]["brokers"]["2"]["leader.replication.throttled.rate"]
    # broker 1 leads three partitions: 2 MiB/s each to two followers and a consumer
    assert abs(int(first) - 0.9 * (100 - 18) * MIB) < MIB / 10
    seen: set[str] = set()

    def look() -> None:
        own = scene.cluster.broker_own.get(2, {})
        seen.add(own.get("leader.replication.throttled.rate", ""))
        if scene.cluster.reassignments():
            scene.cluster.written = 0.0

    scene.cluster.on_tick = look
    scene.process(lambda conduct: operation.begin(conduct, plan))
    assert scene.outcomes == ["done"]
    assert str(90 * MIB) in seen, seen
    assert any("held to 90 MiB/s" in line for line in scene.said)
    assert scene.state()["throttles"] == PRIOR


def test_killed_while_a_rate_is_tuned_it_is_given_back_all_the_same() -> None:
    expected, fuse = undisturbed(tuned)
    names = [n for n, (name, _) in enumerate(fuse.calls, 1) if "alter_broker" in name]
    assert len(names) >= 3
    for call in names:
        for when in ("before", "after"):
            scene = tuned()
            operate = forward(scene)
            scene.process(operate, Point(call, when))
            go_on(scene, operate)
            assert scene.state() == expected, (call, when)


def test_a_request_that_was_taken_in_part_is_completed_by_a_resume() -> None:
    expected, _ = undisturbed(moved)
    scene = moved()
    operate = forward(scene)
    scene.cluster.take = 1
    error = error_of(scene, operate)
    assert isinstance(error, StepFailed)
    scene.clock.sleep(5)
    go_on(scene, operate)
    assert scene.state() == expected


def test_killed_after_the_throttles_were_given_back_they_are_not_set_again() -> None:
    _, fuse = undisturbed(moved)
    last = max(n for n, (name, _) in enumerate(fuse.calls, 1) if "alter_broker" in name)
    scene = moved()
    operate = forward(scene)
    scene.process(operate, Point(last, "after"))
    scene.clock.sleep(5)
    calls = [name for name, _ in scene.process(operate).calls]
    assert scene.outcomes[-1] == "done"
    assert [name for name in calls if "alter_" in name] == []
