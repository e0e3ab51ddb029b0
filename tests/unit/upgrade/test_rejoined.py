"""Consumers are held until their groups have come together, and never longer than the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kafkaops.cutover import fence
from kafkaops.engine.step import Spec, State
from kafkaops.model.cluster import Group, Member
from kafkaops.upgrade.blue_green.settling import Rejoined
from tests.crash.blue_green_scene import BlueGreen

WINDOW = 5.0


class Arriving:
    """Shows one answer after the other: (state, members) of the group."""

    def __init__(self, answers: Sequence[tuple[str, int]]) -> None:
        self.answers = list(answers)
        self.looks = 0

    def groups(self, *, offsets: bool = True) -> tuple[Group, ...]:
        self.looks += 1
        state, count = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        members = tuple(Member(f"m{n}", "c", "/127.0.0.1") for n in range(count))
        return (Group("readers", "classic", state, "range", members),)


def held(*answers: tuple[str, int]) -> tuple[BlueGreen, Rejoined, Arriving]:
    world = BlueGreen()
    hosts = [h for name, h in world.hosts.items() if name.startswith("green")]
    fence.open_(hosts, 9092, rejoin=WINDOW)
    world.facts.put("forward.members", {"readers": 2})
    arriving = Arriving(answers)
    clusters: Any = {**world.clusters, "green": arriving}
    object.__setattr__(world.world, "clusters", clusters)
    args = {"src": "blue", "dst": "green"}
    return world, Rejoined(Spec("r", "rejoined", "", "settle", args)), arriving


@pytest.mark.parametrize(
    ("answers", "looks"),
    [
        ([("Stable", 2)], 1),
        ([("Empty", 0), ("PreparingRebalance", 2), ("CompletingRebalance", 2), ("Stable", 2)], 4),
        ([("Stable", 1), ("PreparingRebalance", 1), ("Stable", 2)], 3),  # the other one is late
    ],
)
def test_they_may_fetch_once_the_group_is_whole_again(
    answers: list[tuple[str, int]], looks: int
) -> None:
    world, step, arriving = held(*answers)
    before = world.clock.monotonic()
    assert step.check(world.world) is State.TODO
    step.act(world.world)
    assert arriving.looks == looks
    assert world.clock.monotonic() - before < 1.0
    assert step.check(world.world) is State.DONE


def test_a_member_that_does_not_come_holds_the_others_no_longer_than_the_window() -> None:
    world, step, _ = held(("Stable", 1))
    before = world.clock.monotonic()
    step.act(world.world)
    assert WINDOW <= world.clock.monotonic() - before < WINDOW + 1
    assert step.check(world.world) is State.DONE


def test_with_nobody_acting_the_kernels_end_it() -> None:
    world, step, _ = held(("Empty", 0))
    world.clock.sleep(WINDOW + 0.1)
    assert step.check(world.world) is State.DONE
