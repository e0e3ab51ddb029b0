"""One node of a roll: its mark, its process, and whether it is up, in sync, leading."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Plan, State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.host_units import Unit
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.node import Mark
from kafkaops.upgrade.rolling.process import may_be_loading
from tests.crash.engine_harness import uncrashed
from tests.crash.protocol_scene import Raise
from tests.crash.restart_scene import ROWS, Restart
from tests.crash.upgrade_scene import Upgrade
from tests.unit.upgrade.rolls import planned, step


@pytest.mark.parametrize(
    ("pid", "started", "replaced"),
    [
        (7, 50.0, False),  # the same
        (8, 101.0, True),
        (7, 101.0, True),  # the same pid after a reboot
        (8, 50.0, True),  # its clock was set back
        (0, 0.0, False),  # none
    ],
)
def test_a_process_is_another_by_pid_or_by_a_start_after_the_moment_noted(
    pid: int, started: float, replaced: bool
) -> None:
    unit = Unit("kafka", "active", "running", pid, started)
    assert Mark(100.0, 7, ()).replaced_by(unit) is replaced


def test_a_mark_survives_json() -> None:
    mark = Mark(1.5, 7, (TopicPartition("a/b", 0), TopicPartition("t", 12)))
    assert Mark.of(mark.to_json()) == mark


def test_told_to_stop_again_it_keeps_what_it_had_the_first_time() -> None:
    """Who told it first died at once, and the process has left an ISR since."""
    world = Restart()
    plan = planned(world)
    lost = TopicPartition("orders", 0)
    pid = world.cluster.nodes[1].pid
    mark = Mark(world.clock.wall(), pid, (lost, TopicPartition("orders", 4)))
    world.facts.put("restart.blue-1.mark", mark.to_json())
    world.cluster.parts[lost].isr.remove(1)
    stop = step(plan, "stop-blue-1")
    assert stop.check(world.world) is State.TODO
    stop.act(world.world)
    assert lost in Mark.of(world.facts.get("restart.blue-1.mark") or {}).isr
    assert stop.check(world.world) is State.DONE
    stop.act(world.world)
    assert world.starts()[1] == 0


def stopped_and_started(world: Restart, node: int) -> Plan:
    plan = planned(world)
    for phase in ("stop", "start"):
        step(plan, f"{phase}-blue-{node}").act(world.world)
    return plan


def test_one_that_ended_by_itself_before_its_stop_is_to_be_in_sync_with_all_that_it_holds() -> None:
    world = Restart()
    plan = planned(world)
    stop, sync = step(plan, "stop-blue-1"), step(plan, "sync-blue-1")
    world.cluster.down(1)
    world.clock.sleep(60)
    stop.act(world.world)
    mark = world.facts.get("restart.blue-1.mark")
    assert mark["isr"] == [f"orders/{i}" for i, row in enumerate(ROWS) if 1 in row]
    world.cluster.nodes[1].catch_up = 100.0
    world.hosts["blue-1"].unit_start("kafka")
    world.clock.sleep(50)
    assert sync.check(world.world) is State.PENDING
    world.clock.sleep(100)
    assert sync.check(world.world) is State.DONE


def test_a_node_that_recovers_its_logs_is_pending_with_the_logs_counted() -> None:
    world = Restart()
    world.cluster.nodes[1].boot = 1000.0
    plan = stopped_and_started(world, 1)
    up: Any = step(plan, "up-blue-1")
    assert up.check(world.world) is State.PENDING
    assert up.progress(world.world).detail == "it runs and is not registered yet"
    world.hosts["blue-1"].log = (
        "Completed load of Log(dir=/d/t-0) with 1 segments in 3ms (1/40 completed in /d)\n"
        "Completed load of Log(dir=/d/t-1) with 1 segments in 3ms (7/40 completed in /d)\n"
    )
    shown = up.progress(world.world)
    assert (shown.done, shown.total, shown.unit) == (7.0, 40.0, "logs")
    world.clock.sleep(1001)
    assert up.check(world.world) is State.DONE


def test_a_process_that_ended_is_said_and_not_started_by_who_waits() -> None:
    world = Restart()
    plan = stopped_and_started(world, 1)
    world.cluster.die(1)
    up: Any = step(plan, "up-blue-1")
    assert up.check(world.world) is State.PENDING
    assert "not running (exit code 1)" in up.progress(world.world).detail
    world.hosts["blue-1"].log = "FATAL log dir is not writable"
    world.clock.sleep(30)
    assert up.check(world.world) is State.PENDING
    world.clock.sleep(30)
    with pytest.raises(StepFailed) as caught:
        up.check(world.world)
    assert caught.value.code == "KO-NODE-ENDED"
    assert "log dir is not writable" in caught.value.message
    start = step(plan, "start-blue-1")
    assert start.check(world.world) is State.TODO  # a resume starts it again


def test_a_node_that_was_killed_is_not_up_while_metadata_may_be_of_its_old_session() -> None:
    world = Restart()
    world.cluster.nodes[1].signal = 9
    world.cluster.nodes[1].boot = 0.0
    plan = stopped_and_started(world, 1)
    up = step(plan, "up-blue-1")
    world.clock.sleep(5)
    assert world.cluster.up(1), "metadata lists it already"
    assert up.check(world.world) is State.PENDING
    world.clock.sleep(30)
    assert up.check(world.world) is State.DONE


def test_another_cluster_behind_the_address_is_a_failure() -> None:
    world = Restart()
    plan = stopped_and_started(world, 1)
    world.cluster.id = "GREEN"
    with pytest.raises(StepFailed) as caught:
        step(plan, "up-blue-1").check(world.world)
    assert caught.value.code == "KO-CLUSTER-OTHER"


def test_in_sync_means_every_partition_it_had_and_names_those_that_lack() -> None:
    world = Restart()
    plan = stopped_and_started(world, 1)
    sync: Any = step(plan, "sync-blue-1")
    assert sync.check(world.world) is State.PENDING
    had = sum(1 in row for row in ROWS)
    shown = sync.progress(world.world)
    assert (shown.done, shown.total, shown.detail) == (
        0.0,
        float(had),
        "orders-0, orders-4, orders-5, orders-6",
    )
    del world.cluster.parts[TopicPartition("orders", 4)]  # deleted meanwhile: lacks nobody
    assert sync.progress(world.world).done == 0.0, "it does not answer, so nobody knows yet"
    world.clock.sleep(3)
    assert sync.check(world.world) is State.PENDING, "it is up, and catches up"
    assert sync.progress(world.world).done == 1.0
    world.clock.sleep(10)
    assert sync.check(world.world) is State.DONE
    world.cluster.parts[TopicPartition("orders", 0)].isr.remove(1)
    assert sync.check(world.world) is State.DONE  # seen once: what falters later is the gate's


def test_leaders_are_elected_only_where_it_is_in_sync_and_not_at_all_if_the_cluster_did() -> None:
    world = Restart()
    plan = stopped_and_started(world, 1)
    leaders = step(plan, "leaders-blue-1")
    world.clock.sleep(10)
    assert leaders.check(world.world) is State.TODO
    leaders.act(world.world)  # the fake refuses an election of who is not in sync
    assert leaders.check(world.world) is State.DONE
    assert world.cluster.elections == 1
    other = Restart()
    plan = stopped_and_started(other, 1)
    other.clock.sleep(10)
    for part in other.cluster.parts.values():
        part.leader = part.replicas[0]
    assert step(plan, "leaders-blue-1").check(other.world) is State.DONE
    assert other.cluster.elections == 0


@pytest.mark.parametrize("slow", [0.0, 1.2, 5.0])
def test_a_partition_that_no_election_moved_is_asked_for_again_however_slow_the_look(
    slow: float,
) -> None:
    world = Restart(Options(only=("1",), soak=0.0))
    world.cluster.slow = slow
    world.cluster.unelected = {TopicPartition("orders", 0)}
    begun = world.clock.wall()
    uncrashed(world.scene)
    assert world.cluster.elections == 2
    assert world.cluster.parts[TopicPartition("orders", 0)].leader == 1
    assert world.clock.wall() - begun < 90


def test_who_falters_once_in_sync_is_waited_for_only_where_it_is_to_lead_something() -> None:
    world = Restart()
    plan = stopped_and_started(world, 1)
    world.clock.sleep(10)
    assert step(plan, "sync-blue-1").check(world.world) is State.DONE
    leaders: Any = step(plan, "leaders-blue-1")
    world.cluster.silent = {1}
    assert leaders.check(world.world) is State.TODO
    leaders.act(world.world)
    assert world.cluster.elections == 0, "the others' word may be of before its stop"
    assert "it does not answer" in leaders.progress(world.world).detail
    for part in world.cluster.parts.values():
        if 1 in part.isr:
            part.isr.remove(1)
    assert leaders.check(world.world) is State.DONE, "for the gate of the next batch"


def test_one_that_answers_the_others_and_not_us_is_told_of() -> None:
    world = Restart()
    plan = stopped_and_started(world, 1)
    world.cluster.silent = {1}
    assert step(plan, "start-blue-1").check(world.world) is State.DONE
    up: Any = step(plan, "up-blue-1")
    world.clock.sleep(31)
    assert up.check(world.world) is State.PENDING
    assert "does not answer this machine" in up.progress(world.world).detail


LOADER = "INFO [LogLoader partition={}, dir=/d] Recovering unflushed segment 0.\n"
BEFORE = "INFO Loaded 40 logs in 12ms (kafka.log.LogManager)\nINFO shut down completed\n"


@pytest.mark.parametrize(
    ("log", "restarts", "loading"),
    [
        ("", 0, True),  # nobody can tell
        (BEFORE, 0, False),
        ("INFO Waiting for the controller\n" * 300, 0, False),
        (BEFORE + "INFO Loading logs from log dirs ArrayBuffer(/d)\n", 0, True),
        (BEFORE + "INFO Recovering 40 logs from /d since no clean shutdown file\n", 0, True),
        (BEFORE + "INFO Completed load of Log (7/40 completed in /d)\n", 0, True),
        (BEFORE + LOADER.format("orders-7"), 0, True),
        (BEFORE + LOADER.format("__cluster_metadata-0"), 0, False),
        ("INFO Completed load of Log (40/40 completed in /d)\n" + BEFORE, 0, False),
        (BEFORE + LOADER.format("orders-7"), 3, False),  # it never gets to the end
        (BEFORE + LOADER.format("orders-7"), 2, True),
    ],
)
def test_who_may_be_recovering_its_logs(log: str, restarts: int, loading: bool) -> None:
    world = Restart()
    start: Any = step(planned(world), "start-blue-1")
    world.hosts["blue-1"].log = log
    unit = Unit("kafka", "active", "running", 7, 1.0, restarts=restarts)
    assert may_be_loading(start, world.world, unit) is loading
    assert not may_be_loading(start, world.world, replace(unit, active="activating", pid=0))


@pytest.mark.parametrize(
    ("kind", "changed", "words"),
    [
        (Upgrade, "node-switched", "its version is not changed"),
        (Raise, "protocol-written", "its protocol is not written"),
    ],
)
def test_what_a_node_runs_with_is_not_changed_while_it_runs(
    kind: Any, changed: str, words: str
) -> None:
    world = kind()
    own = {s.kind: s for s in world.plan().specs if s.args.get("host") == "blue-2"}
    change = world.registry[changed](own[changed])
    blocked = change.safe(world.world)
    assert (blocked.code, blocked.reason) == ("KO-NODE-RUNS", f"blue-2 still runs: {words}")
    stop = world.registry["node-stopped"](own["node-stopped"])
    stop.act(world.world)
    assert change.safe(world.world) is None
    world.hosts["blue-2"].unit_start("kafka")  # somebody did: it is to be stopped anew
    with pytest.raises(StepFailed) as caught:
        change.act(world.world)
    assert (caught.value.code, stop.check(world.world)) == ("KO-NODE-RUNS", State.TODO)
    assert words in caught.value.message
