"""A clock that is set in the middle of the cut: it ends on green, or goes back within budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from kafkaops.ports.world import World
from tests.crash.blue_green_scene import BlueGreen
from tests.crash.engine_harness import SEED, SOAK, Point, Scene, uncrashed

STEPS = (-3600.0, -60.0, 60.0, 3600.0) if SOAK else (-60.0, 60.0)


class Paused(BlueGreen):
    """Remembers the longest time (seconds) for which no cluster took writes."""

    longest, taken = 0.0, float("inf")

    def live(self) -> None:
        super().live()
        now = self.clock.monotonic()
        self.longest = max(self.longest, now - self.taken)
        if any(self.clients.reach(node) for node in (1, 2, 3)):
            self.taken = now


@cache
def inside() -> list[int]:
    """Numbers of calls from just before the fence until green is open: a seeded third of them."""
    _, fuse = uncrashed(lambda: Paused().scene())
    runs = [n for n, (name, _) in enumerate(fuse.calls, 1) if name.endswith("].run")]
    told = [n for n, (name, _) in enumerate(fuse.calls, 1) if name == "facts.put"]
    closing = [n for n, (name, _) in enumerate(fuse.calls, 1) if name.endswith("].firewall")]
    disarmed = next(n for n in closing if n > runs[0] + 12)
    calls = range(runs[0] - 2, next(n for n in told if n > disarmed + 6) + 1)
    assert len(calls) > 60
    return list(calls if SOAK else calls[SEED % 3 :: 3])


def shaken(call: int, shake: Callable[[Paused], None]) -> tuple[Paused, Scene[World]]:
    world = Paused()
    scene = world.scene()
    scene.shake = lambda: shake(world)
    scene.play([Point(call, "shaken")])
    return world, scene


def ends_well(world: Paused, scene: Scene[World], words: str) -> None:
    state = scene.state()
    assert (state["lost"], state["duplicated"]) == ([], 0), words
    assert state["serves"] == "green", words
    assert world.longest <= world.config.cutover.max_write_pause, words


@pytest.mark.parametrize("seconds", STEPS)
def test_our_clock_set_inside_the_cut_costs_nothing(seconds: float) -> None:
    usual = Paused()
    usual.scene().play()
    for call in inside():

        def ours(world: Paused) -> None:
            world.clock.offset += seconds

        world, scene = shaken(call, ours)
        words = f"{seconds:+g} s at call {call}"
        assert scene.outcomes == ["done"], words
        assert world.clock.offset == seconds, words
        assert world.longest <= usual.longest + 0.5, words
        ends_well(world, scene, words)


@pytest.mark.parametrize("seconds", STEPS)
def test_a_host_whose_clock_is_set_inside_the_cut_holds_nobody_past_the_budget(
    seconds: float,
) -> None:
    for call in inside():

        def theirs(world: Paused) -> None:
            world.hosts["blue-2"].ahead += seconds

        world, scene = shaken(call, theirs)
        words = f"{seconds:+g} s at call {call}, {scene.outcomes}"
        assert scene.outcomes[-1] == "done", words
        ends_well(world, scene, words)
