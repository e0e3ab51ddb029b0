"""A placement killed at every port call and journal write: it comes to the same end (P11), and
cancelled at any point it gives back the exact order and throttles (P10)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.cli.operations import only_reading
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.stepping import Interrupted
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import operation, survey
from kafkaops.placement.moves import DirMove
from tests.crash.engine_harness import Point, points_of
from tests.crash.fake_placing import MIB
from tests.crash.placement_scene import (
    GOALS,
    ORDERS,
    PRIOR,
    ROWS,
    SEED,
    Scene,
    call_of,
    error_of,
    forward,
    go_on,
    moved,
    over_or,
    some,
    undisturbed,
)

DIRS = (DirMove(TopicPartition("orders", 0), 1, "/a", "/b", 40 * MIB),)


def between_disks() -> Scene:
    return Scene(ROWS, dirs=DIRS, two_disks=True)


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


def test_what_others_did_to_waves_that_were_never_begun_is_not_taken_back() -> None:
    scene = moved()
    scene.process(forward(scene), Point(call_of(scene, "reassign"), "after"))
    mine = {tp for request in scene.cluster.requests for tp in request}
    theirs = next(m for m in scene.moves if m.tp not in mine and not m.adding and not m.removing)
    scene.cluster.reassign({theirs.tp: theirs.after})
    scene.clock.sleep(30)
    scene.process(operation.rollback)
    assert scene.cluster.parts[theirs.tp].replicas == theirs.after
    assert all(scene.cluster.parts[tp].replicas == ROWS[tp.partition] for tp in mine)


def test_a_disk_that_failed_is_not_taken_for_a_replica_that_arrived() -> None:
    scene = between_disks()
    operate = forward(scene)

    def fail() -> None:
        if scene.cluster.arriving:
            scene.cluster.failed.add((1, "/a"))
            scene.cluster.arriving.clear()

    scene.cluster.on_tick = fail
    error = error_of(scene, operate)
    assert error.code in ("KO-STEP-TIMEOUT", "KO-PLACEMENT-DISK")
    again = error_of(scene, operate)
    assert again.code == "KO-PLACEMENT-DISK"
    assert "orders-0 of broker 1 is in no directory, and /a cannot be read" in again.message


def test_what_was_applied_leaves_nothing_to_do() -> None:
    scene = moved()
    scene.process(forward(scene))
    left = [replace(m, before=scene.cluster.parts[m.tp].replicas) for m in scene.moves]
    made = survey.plan(only_reading(scene.world), left, (), scene.options, "run-2")
    assert made.specs == ()


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
