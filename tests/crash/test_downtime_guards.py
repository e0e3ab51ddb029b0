"""What ends an outage before more harm is done: ends that do not stand still, a timer that ran
out between two stages, a controller of another version. Nobody else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade.downtime.planner import expected
from kafkaops.upgrade.downtime.steps import Down
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.down import down as down_for
from tests.crash.downtime_scene import NODES, Outage
from tests.crash.restart_scene import RACKS, VOTERS
from tests.crash.upgrade_scene import NEW, OLD


def failed(scene: Any) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert int(caught.value.exit) == 8
    return caught.value


def down(world: Outage) -> set[int]:
    return {node.id for node in world.cluster.nodes.values() if not node.pid}


def done(world: Outage, scene: Any) -> None:
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.starts() == dict.fromkeys(NODES, 1)
    assert world.versions() == dict.fromkeys(NODES, NEW)


def test_somebody_writes_past_the_fence_and_nobody_is_stopped() -> None:
    world = Outage()
    scene = world.scene()

    def past() -> None:
        world.write()
        world.cluster.written[TopicPartition("orders", 3)] += 1

    world.cluster.on_tick = past
    error = failed(scene)
    assert error.code == "KO-NOT-STILL"
    assert "orders-3" in error.message
    assert down(world) == set()
    world.cluster.on_tick = world.write
    done(world, scene)


def test_nobody_is_stopped_without_the_proof_that_the_ends_stand_still() -> None:
    """Whatever became of the step before."""
    world = Outage()
    stop = Down(next(s for s in world.plan().specs if s.kind == "outage-down"))
    blocked = stop.safe(world.world)
    assert blocked is not None
    assert blocked.code == "KO-NOT-STILL"


def test_a_timer_that_runs_out_between_two_stages_keeps_the_others_from_their_stop() -> None:
    """Clients write again: whoever is stopped now would be missed by them, and what stood still
    does so no more."""
    world = Outage(options=Options(outage=120.0))
    for node in world.cluster.nodes.values():
        node.stop = 90.0
    error = failed(world.scene())
    assert error.code == "KO-OUTAGE-OVER"
    assert "run rollback" in error.hint
    assert down(world)
    assert set(RACKS) - down(world)
    assert down(world).isdisjoint(VOTERS)


def test_a_controller_that_starts_another_version_is_found_before_a_broker_starts() -> None:
    world = Outage()
    scene = world.scene()
    host = world.hosts[f"blue-{VOTERS[1]}"]
    start = host.unit_start

    def elsewhere(name: str, *, timeout: float = 90.0) -> Any:
        start(name, timeout=timeout)
        host.node.version = OLD
        return host.unit(name)

    host.unit_start = elsewhere  # type: ignore[method-assign]
    error = failed(scene)
    assert (error.code, error.where) == ("KO-VERSION-RUNNING", host.name)
    assert down(world) == set(RACKS)
    host.node.version = NEW  # its ExecStart was corrected, and the unit restarted
    done(world, scene)


def test_one_that_somebody_starts_before_it_has_its_version_is_stopped_anew_and_said_to_be() -> (
    None
):
    world = Outage()
    plan = world.plan()
    stop, switch = (
        world.registry[kind](next(s for s in plan.specs if s.id == f"{phase}-blue-4"))
        for kind, phase in (("outage-down", "down"), ("node-switched", "install"))
    )
    stop.act(world.world)
    world.hosts["blue-4"].unit_start("kafka")
    with pytest.raises(StepFailed) as caught:
        switch.act(world.world)
    assert caught.value.code == "KO-NODE-RUNS"
    assert down_for(world.facts, [plan]) == ([], ["blue-4"])
    stop.act(world.world)
    assert down(world) == {4}
    assert down_for(world.facts, [plan]) == (["blue-4"], [])
    switch.act(world.world)
    assert world.hosts["blue-4"].links["/opt/kafka/current"] == f"versions/{NEW}"


def test_the_outage_that_is_expected_grows_with_its_stages() -> None:
    assert expected([(1,), (2,), (3,), (101,)]) - expected([(1, 2, 3), (101,)]) == 20.0
