"""A placement called off, or failed, in a world that changed meanwhile: brokers that are gone,
orders that operators gave, a lease that is lost."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import LeaseHeld, OpsError, StepFailed, TimedOut
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import operation
from tests.crash.engine_harness import Point
from tests.crash.fake_placing import MIB
from tests.crash.placement_scene import (
    GOALS,
    PRIOR,
    ROWS,
    Scene,
    call_of,
    error_of,
    forward,
    moved,
)

FIRST = TopicPartition("orders", 0)


class Lost:
    """Somebody else has the lease by now."""

    def verify(self) -> None:
        raise LeaseHeld("KO-LEASE-LOST", "the lease is another run's now")

    def release(self) -> None: ...


def copying(nth: int = 2) -> Scene:
    """Killed just after a wave of copies was sent."""
    scene = Scene(speed=2 * MIB)
    scene.process(forward(scene), Point(call_of(scene, "reassign", nth), "after"))
    assert scene.cluster.reassignments()
    return scene


def test_a_broker_that_is_registered_no_more_does_not_keep_a_cancel_from_its_end() -> None:
    scene = copying()
    sent = [tp for tp in scene.cluster.requests[1] if 3 in ROWS[tp.partition]]
    scene.cluster.die(3)
    scene.cluster.unregistered.add(3)
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    scene.process(operation.cancel)
    assert scene.outcomes[-1] == "called-off"
    assert {b: own for b, own in scene.cluster.broker_own.items() if own and b != 3} == dict(
        PRIOR["brokers"]
    )
    assert scene.throttles()["topics"] == PRIOR["topics"]
    assert scene.cluster.reassignments() == {}
    for tp in sent:
        assert set(scene.cluster.parts[tp].replicas) == set(ROWS[tp.partition])
    told = [line for line in scene.said if "does not get back" in line]
    assert {tp for tp in sent for line in told if f": {tp} does" in line} == set(sent), told


def test_a_cancel_that_fails_gives_the_throttles_back_all_the_same() -> None:
    scene = copying()
    scene.cluster.take = 1
    error = error_of(scene, operation.cancel)
    assert isinstance(error, StepFailed)
    assert scene.throttles() == PRIOR
    scene.cluster.throttled = False
    scene.process(operation.cancel)
    assert scene.outcomes[-1] == "called-off"


def test_an_order_that_an_operator_gave_to_what_was_there_is_left_alone() -> None:
    """To submit the order of before over other brokers would copy, behind no gate."""
    scene = moved()
    scene.process(forward(scene), Point(call_of(scene, "reassign", 2), "after"))
    scene.clock.sleep(60)
    there = min(scene.cluster.requests[1])
    goal = GOALS[there.partition]
    assert scene.cluster.parts[there].replicas == goal
    other = (goal[1], goal[0], *goal[2:])
    scene.cluster.reassign({there: other})
    scene.clock.sleep(2)
    before = len(scene.cluster.requests)
    scene.process(operation.cancel)
    assert scene.outcomes[-1] == "called-off"
    asked = {tp for request in scene.cluster.requests[before:] for tp in request}
    assert there not in asked
    assert scene.cluster.parts[there].replicas == other
    assert any(f"left alone: {there}" in line for line in scene.said), scene.said


def test_without_its_lease_nothing_is_called_off_and_no_throttle_touched() -> None:
    scene = copying()
    before, held = len(scene.cluster.requests), scene.throttles()
    with pytest.raises(LeaseHeld):
        scene.process(operation.cancel, lease=Lost())
    assert len(scene.cluster.requests) == before
    assert scene.throttles() == held


def test_what_fails_with_nothing_on_its_way_gives_the_throttles_back() -> None:
    scene = moved()
    operate = forward(scene)
    scene.cluster.disk = 50 * MIB
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    assert error_of(scene, operate).code == "KO-PLACEMENT-DISK"
    assert scene.throttles() == PRIOR


def test_what_fails_while_copies_run_names_the_throttles_and_what_clears_them() -> None:
    scene = Scene(speed=1)
    error = error_of(scene, forward(scene))
    assert isinstance(error, TimedOut)
    assert scene.cluster.reassignments()
    [told] = [line for line in scene.said if "still set" in line]
    own = scene.cluster.broker_own
    for name in {n for values in own.values() for n in values}:
        mine = [b for b in sorted(own) if own[b].get(name) not in (None, prior(b, name))]
        assert f"{name} on broker {', '.join(map(str, mine))}" in told
    assert "topic orders" in told
    assert any("kafkaops placement cancel run-1" in line for line in scene.said)
    scene.process(operation.cancel)
    assert scene.throttles() == PRIOR


def test_a_throttle_left_on_a_broker_that_was_down_in_the_end_is_cleared_once_it_is_up() -> None:
    scene = moved()
    scene.cluster.watch = lambda: None  # type: ignore[method-assign]
    operate = forward(scene)

    def die() -> None:
        if scene.cluster.parts[FIRST].replicas == (4, 2, 1) and 4 in scene.cluster.racks:
            del scene.cluster.racks[4]

    scene.cluster.on_tick = die
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert 4 in scene.throttles()["brokers"]
    assert any("placement cancel clears them" in line for line in scene.said)
    assert error_of(scene, operation.cancel).code == "KO-PLACEMENT-OVER"
    scene.cluster.on_tick = lambda: None
    scene.cluster.racks[4] = "a"
    scene.process(operation.cancel)
    assert scene.outcomes[-1] == "cleared"
    assert scene.throttles() == PRIOR
    assert error_of(scene, operation.cancel).code == "KO-PLACEMENT-OVER"


def prior(broker: int, name: str) -> str | None:
    found: dict[int, dict[str, str]] = PRIOR["brokers"]  # type: ignore[assignment]
    return found.get(broker, {}).get(name)


def test_a_lease_that_is_lost_changes_no_throttle_and_tells_what_clears_them() -> None:
    scene = moved()
    with pytest.raises(OpsError) as caught:
        scene.process(forward(scene), lease=LostLater(12))
    assert caught.value.code == "KO-LEASE-LOST"
    assert scene.throttles() != PRIOR
    assert any("kafkaops placement cancel run-1" in line for line in scene.said), scene.said


class LostLater(Lost):
    """Lost after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def verify(self) -> None:
        self.left -= 1
        if self.left < 0:
            super().verify()
