"""The target's leader epochs end above the source's, and each partition in its own order."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Spec, State
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade.blue_green.leading import MARGIN, EpochsAhead
from tests.crash.blue_green_scene import BlueGreen

STEP = EpochsAhead(Spec("e", "epochs-ahead", "", "sanity", {"src": "blue", "dst": "green"}))


def ready() -> tuple[BlueGreen, list[TopicPartition]]:
    world = BlueGreen()
    parts = sorted(tp for tp in world.blue.logs if tp.topic == "orders")
    for tp in parts:
        world.green.logs.setdefault(tp, [])
    return world, parts


@pytest.mark.parametrize(("blue", "green"), [(0, 0), (57, 2), (3, 2), (4, 7)])
def test_epochs_are_raised_as_far_as_it_takes(blue: int, green: int) -> None:
    world, parts = ready()
    for tp in parts:
        world.blue.elections[tp], world.green.elections[tp] = blue, green
    assert STEP.check(world.world) is State.TODO
    STEP.act(world.world)
    assert STEP.check(world.world) is State.DONE
    for tp in parts:
        assert world.green.elections[tp] >= blue + MARGIN
        assert world.green.orders[tp] == world.green.nodes
        assert tp not in world.green.leaders
    assert sum(world.blue.elections.values()) == blue * len(parts)


def test_far_enough_ahead_nothing_is_elected() -> None:
    world, parts = ready()
    for tp in parts:
        world.green.elections[tp] = MARGIN
    assert STEP.check(world.world) is State.DONE


def test_killed_in_the_middle_the_order_is_restored() -> None:
    world, parts = ready()
    nodes = world.green.nodes
    STEP.put(world.world, "orders", {f"{parts[0].topic}/{parts[0].partition}": list(nodes)})
    for tp in parts:
        world.green.elections[tp] = MARGIN
    world.green.reorder({parts[0]: (nodes[1], nodes[0], *nodes[2:])})
    world.green.elect_preferred([parts[0]])
    assert STEP.check(world.world) is State.TODO
    STEP.act(world.world)
    assert STEP.check(world.world) is State.DONE
    assert world.green.orders[parts[0]] == nodes


def test_elections_that_raise_nothing_are_an_error_and_no_endless_loop() -> None:
    world, _ = ready()
    world.green.elect_preferred = lambda partitions: None  # type: ignore[method-assign]
    with pytest.raises(StepFailed) as caught:
        STEP.act(world.world)
    assert caught.value.code == "KO-EPOCHS"


def test_a_leader_that_was_out_of_sync_just_then_is_asked_for_again() -> None:
    world, parts = ready()
    nodes = world.green.nodes
    STEP.put(world.world, "orders", {f"{parts[0].topic}/{parts[0].partition}": list(nodes)})
    for tp in parts:
        world.green.elections[tp] = MARGIN
    world.green.leaders[parts[0]] = nodes[1]
    elect, refused = world.green.elect_preferred, iter(range(3))

    def out_of_sync(partitions: Collection[TopicPartition]) -> None:
        if next(refused, None) is None:
            elect(partitions)

    world.green.elect_preferred = out_of_sync  # type: ignore[method-assign]
    STEP.act(world.world)
    assert STEP.check(world.world) is State.DONE
