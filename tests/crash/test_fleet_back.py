"""Killed on the way there and called back: nothing stays held for who was never touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kafkaops.engine.errors import OpsError
from kafkaops.ports.operation import Operation
from kafkaops.upgrade.downtime.operation import Outage
from kafkaops.upgrade.fleet import leaving
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.upgrade import RollingUpgrade
from tests.crash.conducting import Processes
from tests.crash.engine_harness import Fuse, Point
from tests.crash.fleet_scene import FleetRestart, as_before
from tests.crash.restart_scene import RACKS
from tests.crash.test_fleet import FleetOutage, FleetUpgrade
from tests.crash.upgrade_scene import OLD

APART = ((1, 2, 3), (4, 5, 6))
"""So that brokers 2 and 6 may go together, each in a group of its own."""


def rolling() -> FleetRestart:
    """A canary, then a batch of two."""
    return FleetUpgrade(Options(only=("1", "2", "6")), rows=APART)


def outage() -> FleetRestart:
    return FleetOutage()


Make = Callable[[], FleetRestart]
WAYS = pytest.mark.parametrize(
    ("make", "operation", "stop"),
    [
        pytest.param(rolling, RollingUpgrade(), 1, id="rolling"),
        pytest.param(outage, Outage(), 0, id="outage"),
    ],
)


def call(fuse: Fuse, name: str, number: int = 0) -> Point:
    """Right after the call of that name, the first or a later one."""
    return Point([n for n, (one, _) in enumerate(fuse.calls, 1) if name in one][number], "after")


def killed(make: Make, operation: Operation, stop: int) -> tuple[FleetRestart, Processes]:
    """A run that was killed as one node of a batch was told to stop and the others were not yet."""

    def begun(point: Point | None) -> tuple[FleetRestart, Processes, Fuse]:
        world = make()
        plan, processes = world.plan(), Processes(world)
        fuse = processes.process(lambda conduct: operation.begin(conduct, plan), point)
        return world, processes, fuse

    world, processes, _ = begun(call(begun(None)[2], "unit_stop", stop))
    world.clock.sleep(10)
    return world, processes


def held(world: FleetRestart) -> dict[str, Any]:
    """What really differs from before the run."""
    now, before = world.fleet(), FleetRestart().fleet()
    groups = {n: p for n, p in now["suspended"].items() if p != before["suspended"][n]}
    agents = {h: u for h, u in now["agents"].items() if u != before["agents"][h]}
    return {"groups": sorted(groups), "agents": sorted(agents)}


def down(world: FleetRestart) -> str:
    [node] = [n.id for n in world.cluster.nodes.values() if not n.pid]
    return f"blue-{node}"


@WAYS
def test_the_way_back_first_lets_go_of_who_was_not_touched_and_killed_again_leaves_it_so(
    make: Make, operation: Operation, stop: int
) -> None:
    world, processes = killed(make, operation, stop)
    host = down(world)
    group = f"asg-{RACKS[world.hosts[host].node.id]}"
    assert len(held(world)["groups"]) > 1
    assert len(held(world)["agents"]) > 1
    start = call(processes.process(operation.rollback), "unit_start")
    world, processes = killed(make, operation, stop)
    processes.process(operation.rollback, start)
    assert processes.outcomes == ["killed", "killed"]
    assert held(world) == {"groups": [group], "agents": [host]}
    world.clock.sleep(10)
    with leaving.restored(world.world):
        processes.process(operation.resume)
    assert processes.outcomes[-1] == "done"
    assert {world.versions()[node] for node in RACKS} == {OLD}
    assert world.cluster.faults == []
    as_before(world)


@WAYS
def test_killed_while_it_lets_go_the_run_goes_on_there_and_holds_anew(
    make: Make, operation: Operation, stop: int
) -> None:
    world, processes = killed(make, operation, stop)
    resumed = call(processes.process(operation.rollback), "scaling.resume")
    world, processes = killed(make, operation, stop)
    processes.process(operation.rollback, resumed)
    with leaving.restored(world.world):  # at once: AWS still shows suspended what is not
        processes.process(operation.resume)
    assert processes.outcomes == ["killed", "killed", "done"]
    assert world.cluster.faults == []
    as_before(world)


@WAYS
def test_what_aws_refuses_does_not_hold_up_the_way_back(
    make: Make, operation: Operation, stop: int
) -> None:
    world, processes = killed(make, operation, stop)
    world.scaling.denied = {"ResumeProcesses"}
    with pytest.raises(OpsError):
        processes.process(operation.rollback)
    assert all(n.pid for n in world.cluster.nodes.values())
    assert any("not given back yet" in line for line in world.said)
    world.scaling.denied = set()
    with leaving.restored(world.world):
        processes.process(operation.resume)
    as_before(world)
