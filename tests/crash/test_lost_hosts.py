"""A host whose connection ends in the middle of what it was told: it is looked at again, and told
again, for its node is down or may be."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.engine.errors import OpsError, Unreachable
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.fake_node_host import NodeHost
from tests.crash.restart_scene import ONCE, VOTERS, Restart, half_a_batch, shared
from tests.crash.upgrade_scene import NEW, Upgrade


def cut(host: NodeHost, call: str, *, heard: bool, times: int = 1) -> None:
    """The connection ends in this call, and the host did or did not do what it was told."""
    real, left = getattr(host, call), [times]

    def lost(*args: Any, **more: Any) -> Any:
        if left[0] <= 0:
            return real(*args, **more)
        left[0] -= 1
        if heard:
            real(*args, **more)
        raise Unreachable("KO-SSH-LOST", f"{host.name}: the connection ended")

    setattr(host, call, lost)


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("call", ["unit_stop", "switch", "unit_start"])
def test_it_is_told_again_and_nobody_is_restarted_twice(call: str, heard: bool) -> None:
    world = Upgrade(Options(only=("2", "3")))
    world.upgraded(*VOTERS)
    cut(world.hosts["blue-2"], call, heard=heard)
    scene = world.scene()
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[2], world.starts()[3]) == (1, 1)
    assert (world.versions()[2], world.versions()[3]) == (NEW, NEW)
    assert world.cluster.faults == []


def test_where_that_never_succeeds_the_run_ends_with_exit_7_and_says_why() -> None:
    world = Upgrade(Options(only=("2",)))
    world.upgraded(*VOTERS)
    cut(world.hosts["blue-2"], "unit_start", heard=False, times=10_000)
    scene = world.scene()
    with pytest.raises(OpsError, match="the connection ended") as caught:
        scene.process()
    assert (int(caught.value.exit), caught.value.where) == (7, "start-blue-2")


@pytest.mark.parametrize(("heard", "times"), [(False, 1), (False, 3), (True, 1)])
@pytest.mark.parametrize("call", ["unit_stop", "unit_start"])
def test_one_that_goes_alone_is_told_again_too(call: str, heard: bool, times: int) -> None:
    world, scene, _, left = half_a_batch()
    third = next(n for n in world.cluster.nodes if n != left and shared(world, left, n))
    world.cluster.down(third)
    world.cluster.nodes[third].boot = 300.0
    world.cluster.start(third)
    cut(world.hosts[f"blue-{left}"], call, heard=heard, times=times)
    scene.process()
    assert any(f"blue-{left}: held back" in line for line in world.said)
    assert scene.outcomes == ["killed", "done"]
    assert world.starts() == ONCE | {third: 2}  # once by itself
    assert world.cluster.faults == []


def test_a_host_that_is_away_as_the_watch_begins_is_waited_for() -> None:
    """Of one that goes alone by its plan: no lane of others waits for it."""
    world = Restart(Options(only=("1",)))
    scene = world.scene()
    host = world.hosts["blue-1"]
    away: list[float] = []

    def look() -> None:
        if world.facts.get("restart.blue-1.leaders") and not away:
            away.append(world.clock.now)
            host.away = True
        if away and world.clock.now > away[0] + 60:
            host.away = False

    scene.events = lambda event: look()
    world.cluster.on_tick = look
    scene.process()
    assert away
    assert (scene.outcomes, world.starts()[1]) == (["done"], 1)


def test_an_election_that_is_sent_to_a_broker_that_hangs_is_asked_for_again() -> None:
    world = Restart(Options(only=("1",)))
    scene = world.scene()
    elect, asked = world.cluster.elect_preferred, [0]

    def hangs(partitions: Any) -> None:
        asked[0] += 1
        if asked[0] < 3:
            raise Unreachable("KO-CLUSTER-UNREACHABLE", "blue did not answer to elect leaders")
        elect(partitions)

    world.cluster.elect_preferred = hangs  # type: ignore[method-assign]
    scene.process()
    assert (scene.outcomes, asked, world.starts()[1]) == (["done"], [3], 1)
    assert all(p.leader == p.replicas[0] for p in world.cluster.parts.values())
