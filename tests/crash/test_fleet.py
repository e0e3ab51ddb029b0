"""A restart whose hosts have Auto Scaling and agents: killed anywhere, and left on every way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kafkaops.engine.errors import LeaseHeld, OpsError, StepFailed, TimedOut
from kafkaops.engine.journal import Journal
from kafkaops.engine.lease import lost
from kafkaops.engine.parallel import in_turn
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Plan
from kafkaops.engine.stepping import Interrupted
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import leaving
from kafkaops.upgrade.rolling import upgrading
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.downtime_scene import Outage, back_of
from tests.crash.engine_harness import (
    JOURNAL,
    SOAK,
    NoLease,
    Point,
    Scene,
    sweep,
    sweep_pairs,
    uncrashed,
)
from tests.crash.fleet_scene import FleetRestart, as_before
from tests.crash.restart_scene import RACKS, VOTERS
from tests.crash.upgrade_scene import NEW, OLD, Upgrade

SHARE, PAIRS = (1.0, 0.05) if SOAK else (1 / 30, 0.01)
APART = ((1, 2, 3), (4, 5, 6))
ONCE = dict.fromkeys((1, 2, 3, 4, 5, 6, *VOTERS), 1)


def there() -> Scene[World]:
    return FleetRestart().scene()


def three() -> Scene[World]:
    """A canary, then a batch of two, in two groups."""
    return FleetRestart(Options(only=("1", "2", "4")), rows=APART).scene()


def test_undisturbed_nothing_acts_while_a_node_is_down_and_all_is_as_before() -> None:
    world = FleetRestart()
    scene = world.scene()
    scene.play()
    assert world.starts() == ONCE
    assert world.cluster.faults == []
    assert leaving.left(world.facts) == []
    as_before(world)


def test_killed_at_every_change_it_resumes_to_the_same_end() -> None:
    gates = [len(s.args["mates"]) for s in three().plan.specs if s.kind == "gate-open"]
    assert sorted(gates) == [1, 2]
    assert sweep(three, reads=SOAK).verdict().killed > 20


def test_killed_twice_it_resumes_to_the_same_end() -> None:
    swept = sweep_pairs(three, within=12, share=PAIRS)
    assert swept.verdict().scenarios > 10


class FleetOutage(FleetRestart, Outage):
    """An upgrade with an outage, all of whose hosts have a fleet."""

    def plan(self) -> Plan:
        return Outage.plan(self)


def outage() -> Scene[World]:
    return Outage.scene(FleetOutage())


def test_an_outage_holds_everything_and_killed_at_every_change_it_gives_it_back() -> None:
    world = FleetOutage()
    scene = Outage.scene(world)
    scene.play()
    assert scene.outcomes == ["done"]
    assert world.cluster.faults == []
    as_before(world)
    swept = sweep(outage, reads=SOAK, share=SHARE).verdict()
    assert swept.killed > 5


def test_back_from_an_outage_no_group_is_suspended_for_who_was_never_touched() -> None:
    first = next(n for n, (name, _) in enumerate(uncrashed(outage)[1].calls, 1) if "_stop" in name)
    world = FleetOutage()
    scene = Outage.scene(world)
    scene.process(Point(first, "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if not n.pid]
    world.loud = True
    leaving.restore(world.world)
    asked: list[str] = []
    suspend = world.scaling.suspend

    def seen(group: str, processes: Sequence[str]) -> None:
        asked.append(group)
        suspend(group, processes)

    world.scaling.suspend = seen  # type: ignore[method-assign]
    back = Outage.scene(world, plan=back_of(world, scene.plan))
    with leaving.restored(world.world):
        back.play()
    assert back.outcomes == ["done"]
    assert set(asked) == {f"asg-{RACKS[down]}"}
    as_before(world)


class FleetUpgrade(FleetRestart, Upgrade):
    """A rolling upgrade of brokers, whose hosts have a fleet."""

    def __init__(self, options: Options | None = None, **more: Any) -> None:
        super().__init__(options, **more)
        self.upgraded(*VOTERS)


def test_back_from_a_rolling_upgrade_everything_is_held_too() -> None:
    world = FleetUpgrade(Options(only=("1", "2")))
    scene = Upgrade.scene(world)
    calls = uncrashed(lambda: Upgrade.scene(FleetUpgrade(Options(only=("1", "2")))))[1].calls
    stops = [n for n, (name, _) in enumerate(calls, 1) if "unit_stop" in name]
    scene.process(Point(stops[1], "after"))
    assert leaving.left(world.facts)
    back = Upgrade.scene(world, plan=upgrading.way_back(world.world, scene.plan))
    assert {"scaling-held", "agents-held"} <= {s.kind for s in back.plan.specs}
    with leaving.restored(world.world):
        back.play()
    assert back.outcomes == ["done"]
    assert world.versions() == dict.fromkeys(RACKS, OLD) | dict.fromkeys(VOTERS, NEW)
    assert world.cluster.faults == []
    as_before(world)


# The exits: what a command does around its work is `leaving.restored`.


def stops() -> list[int]:
    calls = uncrashed(there)[1].calls
    return [n for n, (name, _) in enumerate(calls, 1) if "unit_stop" in name]


def leave(
    world: FleetRestart,
    operate: Callable[[Runner[World]], RunResult] = lambda runner: runner.run(),
    *,
    lease: Any = None,
    on: Callable[[Runner[World], Any], None] = lambda runner, event: None,
) -> RunResult:
    """One command on the scene's journal, as the command line carries it."""
    scene = world.kept = getattr(world, "kept", None) or world.scene()  # type: ignore[attr-defined]
    if scene.files.read(JOURNAL) is None:
        journal = Journal.create(JOURNAL, scene.plan, world.clock, scene.files)
    else:
        journal = Journal.open(JOURNAL, world.clock, scene.files)
    runner: Runner[World] = Runner(
        journal.plan,
        scene.registry,
        world.world,
        journal,
        lease or NoLease(),
        world.clock,
        lambda event: on(runner, event),
        parallel=in_turn,
    )
    with leaving.restored(world.world):
        return operate(runner)


def one(**more: Any) -> FleetRestart:
    return FleetRestart(Options(only=("2",)), **more)


def test_success() -> None:
    world = one()
    assert leave(world).outcome == "done"
    as_before(world)
    assert not [line for line in world.said if "WARNING" in line]


def test_a_step_that_fails_with_the_node_down_gives_all_back_and_says_who_may_be_replaced() -> None:
    world = one()
    world.cluster.nodes[2].broken = True
    with pytest.raises(TimedOut) as caught:
        leave(world)
    assert caught.value.where == "up-blue-2"
    as_before(world)
    world = one()
    world.hosts["blue-2"].refused.add("3.9.2")
    world.loud = True
    with pytest.raises(StepFailed):
        leave(world)
    as_before(world)
    [told] = [line for line in world.said if "WARNING" in line]
    assert "asg-b" in told
    assert "blue-2" in told
    assert "i-2" in told


def test_a_resume_after_that_holds_anew_before_it_goes_on() -> None:
    world = one()
    world.hosts["blue-2"].refused.add("3.9.2")
    world.loud = True
    with pytest.raises(StepFailed):
        leave(world)
    world.hosts["blue-2"].refused.clear()
    seen: list[list[str]] = []

    def look(runner: Runner[World], event: Any) -> None:
        if event.step == "start-blue-2":
            world.loud = False  # from here on it must be held, though the node is still down
            seen.append(world.scaling.may_end("i-2"))

    assert leave(world, on=look).outcome == "done"
    assert seen
    assert not any(seen)
    assert world.cluster.faults == []
    as_before(world)


@pytest.mark.parametrize(
    "step", ["hold-1", "stop-blue-2", "start-blue-2", "up-blue-2", "soak-blue-2"]
)
def test_ctrl_c(step: str) -> None:
    world = one()
    world.loud = True
    world.cluster.nodes[2].boot = 30.0

    def press(runner: Runner[World], event: Any) -> None:
        if event.step == step:
            runner.request_stop()

    with pytest.raises(Interrupted):
        leave(world, on=press)
    as_before(world)
    assert leave(world).outcome == "done"
    as_before(world)


class Losing(NoLease):
    """Ours until `gone`."""

    gone = False

    def verify(self) -> None:
        if self.gone:
            raise lost("blue", "taken by a test")


def test_a_lease_that_is_lost() -> None:
    world, lease = one(), Losing()
    world.loud = True

    def lose(runner: Runner[World], event: Any) -> None:
        lease.gone = lease.gone or event.step == "stop-blue-2"

    with pytest.raises(LeaseHeld):
        leave(world, lease=lease, on=lose)
    as_before(world)


def test_rolled_back_and_killed_before() -> None:
    world = FleetRestart()
    scene = world.kept = world.scene()  # type: ignore[attr-defined]
    scene.process(Point(stops()[4], "after"))
    assert len(leaving.left(world.facts)) > 1
    assert leave(world, lambda runner: runner.rollback()).outcome == "rolled-back"
    assert all(n.pid for n in world.cluster.nodes.values())
    as_before(world)


def test_killed_the_facts_name_what_is_held_and_the_hosts_bring_their_agents_back() -> None:
    world = FleetRestart()
    world.scene().process(Point(stops()[4], "after"))
    words = "\n".join(leaving.left(world.facts))
    assert "Auto Scaling group asg-" in words
    assert "puppet.service" in words
    world.loud = True
    world.clock.sleep(901)
    assert world.fleet()["agents"] == FleetRestart().fleet()["agents"]


def test_what_aws_refuses_at_the_end_is_told_with_the_command() -> None:
    world = one()
    world.scaling.denied = {"ResumeProcesses"}
    with pytest.raises(OpsError):
        leave(world)
    told = [line for line in world.said if "WARNING: not given back" in line]
    assert "aws autoscaling resume-processes --auto-scaling-group-name 'asg-b'" in told[0]
    assert leaving.left(world.facts)
    world.scaling.denied = set()
    assert leave(world).outcome == "done"
    as_before(world)
