"""A pause that lasts longer than it may: blue takes writes again in time, and green comes later.

Nobody is killed here. The mirror, the comparison or the tool itself is slow while blue is fenced,
once; the kernels' timers and the way back must do what a crash would need, and say why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from kafkaops.engine import history as h
from kafkaops.engine.journal import Journal
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.proof import moves_of
from tests.crash.blue_green_scene import NODES, BlueGreen, table
from tests.crash.engine_harness import JOURNAL, Scene

CONFIRMED = "KO-FENCE-NOT-CONFIRMED"

TICK = 0.5
"""Seconds between two acts of the fake clients: a pause is seen by them to one of these at its
beginning and one at its end."""


class Sluggish:
    """A cluster one call of which takes `seconds`, while `inside` says so."""

    def __init__(
        self, cluster: Any, call: str, sleep: Callable[[], None], inside: Callable[[], bool]
    ) -> None:
        self._cluster, self._call, self._sleep, self._inside = cluster, call, sleep, inside

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cluster, name)
        if name != self._call:
            return found

        def late(*args: Any, **more: Any) -> Any:
            if self._inside():
                self._sleep()
            return found(*args, **more)

        return late


class Troubled(BlueGreen):
    """Notes when blue acknowledged something. While `ill`, what a test has made slow is so."""

    ill = False

    def __init__(self) -> None:
        self.moments: list[float] = []
        super().__init__()
        self.ill = True

    def live(self) -> None:
        before = len(self.clients.acknowledged)
        super().live()
        if any(colour == "blue" for colour, _ in self.clients.acknowledged[before:]):
            self.moments.append(self.clock.monotonic())

    def inside(self) -> bool:
        """Whether blue is held back, as far as its own hosts know."""
        return self.ill and any(
            host.rules.fenced(table(host), 9092)
            for name, host in self.hosts.items()
            if name.startswith("blue")
        )

    def longest(self) -> float:
        """The longest that blue's producers waited for an answer of blue, seconds."""
        return max(b - a for a, b in pairwise(self.moments))


def slow_mirror(world: Troubled) -> World:
    """The mirror copies nothing while blue is fenced."""
    mirror = world.connect["forward"]
    copy = mirror.pump

    def pump(most: int = 5) -> None:
        if not world.inside():
            copy(most)

    mirror.pump = pump  # type: ignore[method-assign]
    return world.world


def late_tail(seconds: float) -> Callable[[Troubled], World]:
    """The comparison does not see the last record of a partition of green for so many seconds
    after it was asked to seal."""

    def made(world: Troubled) -> World:
        comparison = world.world.verification["forward"]
        seal, seen = comparison.seal, comparison._pair  # type: ignore[attr-defined]
        until = [0.0]

        def pair(tp: TopicPartition, end: int | None = None) -> tuple[list[int], list[int]]:
            ours, theirs = seen(tp, end)
            late = world.ill and world.clock.monotonic() < until[0] and tp.partition == 1
            return ours, theirs[: len(ours) - 1] if late else theirs

        def sealed(ends: Any, *, timeout: float) -> Any:
            until[0] = world.clock.monotonic() + seconds
            return seal(ends, timeout=timeout)

        comparison._pair, comparison.seal = pair, sealed  # type: ignore[attr-defined,method-assign]
        return world.world

    return made


def slow_tool(colour: str, call: str, seconds: float) -> Callable[[Troubled], World]:
    """One call of the tool to a cluster takes so many seconds in the pause."""

    def made(world: Troubled) -> World:
        clusters: dict[str, Any] = dict(world.clusters)
        clusters[colour] = Sluggish(
            clusters[colour], call, lambda: world.clock.sleep(seconds), world.inside
        )
        return replace(world.world, clusters=clusters)

    return made


def scene_of(world: Troubled, trouble: Callable[[Troubled], World]) -> Scene[World]:
    scene = world.scene()
    scene.world = trouble(world)
    return scene


def failures(scene: Scene[World]) -> set[str]:
    """The codes that the run wrote down for why a step failed."""
    journal = Journal.open(JOURNAL, scene.clock, scene.files)
    return {str(r.data["code"]) for r in journal.records if r.kind == h.FAILED}


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        pytest.param(slow_mirror, CONFIRMED, id="the mirror is stuck"),
        pytest.param(late_tail(60), "KO-VERIFY-BEHIND", id="the tail is never seen"),
        pytest.param(
            late_tail(19), "KO-VERIFY-BEHIND", id="the tail is seen when blue is open again"
        ),
        pytest.param(slow_tool("blue", "ends", 12), CONFIRMED, id="slow to read ends"),
        pytest.param(slow_tool("blue", "groups", 21), CONFIRMED, id="slow to read groups"),
        pytest.param(slow_tool("green", "commit", 19), CONFIRMED, id="slow to commit"),
        pytest.param(slow_tool("green", "commit", 90), "KO-BUDGET", id="very slow to commit"),
    ],
)
def test_blue_takes_writes_again_within_the_budget_and_a_resume_ends_on_green(
    trouble: Callable[[Troubled], World], code: str
) -> None:
    world = Troubled()
    budget = world.config.cutover.max_write_pause
    scene = scene_of(world, trouble)
    scene.process()
    assert scene.outcomes == ["returned"]
    assert failures(scene) == {code}
    assert {world.clients.reach(node) for node in NODES} == {"blue"}
    world.clock.sleep(1)
    assert budget - 5 < world.longest() <= budget + 2 * TICK
    assert (world.clients.last, world.lost("blue")) == ("blue", [])
    world.ill = False
    scene.process()
    state = scene.state()
    assert scene.outcomes == ["returned", "done"]
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)
    assert world.clients.switches == 2, "nobody was on green before the second attempt"


def test_a_tail_that_is_late_and_within_the_budget_goes_forward() -> None:
    world = Troubled()
    scene = scene_of(world, late_tail(12))
    scene.process()
    state = scene.state()
    assert (scene.outcomes, failures(scene)) == (["done"], set())
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)
    (move,) = moves_of({n: world.facts.get(n) for n in world.facts.names()}, budget=20.0)
    assert move.pause is not None
    assert 12 < {p.name: p.seconds for p in move.pause.parts}["proof"] < move.pause.total < 20
