"""The plan of a rolling restart as tables, and what each of its steps says of the world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError, GuardRefused, OpsError, StepFailed, UsageFault
from kafkaops.engine.outline import lanes, units
from kafkaops.engine.plan_json import from_json, to_json
from kafkaops.engine.step import Plan, State, Step
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.choosing import Options, choose
from kafkaops.upgrade.rolling.node import Mark
from kafkaops.upgrade.rolling.phases import TITLES, Phase
from kafkaops.upgrade.rolling.planner import Way, roll
from kafkaops.upgrade.rolling.process import may_be_loading
from kafkaops.upgrade.rolling.registry import REGISTRY
from kafkaops.upgrade.rolling.roster import roster
from tests.crash.engine_harness import uncrashed
from tests.crash.restart_scene import ROWS, Restart


def planned(world: Restart) -> Plan:
    return survey.plan(world.world, world.options, "run-1")


def gates(plan: Plan) -> list[list[int]]:
    return [sorted(s.args["mates"].values()) for s in plan.specs if s.kind == "gate-open"]


def step(plan: Plan, id: str) -> Step[World]:
    spec = next(s for s in plan.specs if s.id == id)
    return REGISTRY[spec.kind](spec)


def test_controllers_first_the_active_one_last_then_a_canary_then_batches() -> None:
    order = gates(planned(Restart()))
    assert order[:3] == [[101], [102], [100]]
    assert len(order[3]) == 1
    assert sorted(n for batch in order[3:] for n in batch) == [1, 2, 3, 4, 5, 6]
    assert max(map(len, order)) == 2  # a rack's: no two share a partition


def test_combined_nodes_go_alone_the_active_one_last() -> None:
    world = Restart(voters=(2, 4, 5))
    order = gates(planned(world))
    assert [len(batch) for batch in order[:3]] == [1, 1, 1]
    assert order[2] == [2]
    assert {order[0][0], order[1][0]} == {4, 5}


def test_a_combined_node_that_is_down_is_a_broker_by_the_replicas_it_holds() -> None:
    world = Restart(voters=(2, 4, 101))
    for node in (2, 101):
        world.cluster.down(node)
    world.clock.sleep(10)
    state = world.cluster.snapshot()
    assert 2 not in {broker.id for broker in state.brokers}
    mine = {h.node_id: h for h in world.world.config.blue.hosts if h.node_id in (2, 101)}
    way = Way(down=(2, 101), back=True)
    plan = roll(world.world.config, state, mine, Options(), way, id="back", created=0.0)
    assert {s.args["node"]: s.args["broker"] for s in plan.specs if "node" in s.args} == {
        2: True,
        101: False,
    }


def test_each_node_of_a_batch_goes_its_own_way_and_every_phase_has_a_title() -> None:
    plan = planned(Restart())
    together = [unit.groups[0] for unit in units(plan) if len(unit.specs) > 1]
    assert together
    for group in together:
        ways = lanes(group)
        assert [way[0].args["host"] for way in ways] == list(group[0].args["mates"])
        for way in ways:
            assert {s.args["host"] for s in way} == {way[0].lane}
            assert [s.kind for s in way] == [
                *("node-stopped", "node-started", "node-up", "node-in-sync"),
                *("leaders-back", "node-soaked"),
            ]
    others = {Phase.BRING, Phase.TRY, Phase.INSTALL, Phase.RENEW, Phase.HOLD, Phase.RELEASE}
    assert {s.phase for s in plan.specs} == {p.value for p in set(Phase) - others}
    assert set(Phase) == set(TITLES)
    assert from_json(to_json(plan)) == from_json(to_json(from_json(to_json(plan))))
    stop = next(s for s in plan.specs if s.kind == "node-stopped")
    assert stop.deadline > 600
    assert [s.kind for s in plan.specs if s.args.get("host") == "blue-101"] == [
        *("node-stopped", "node-started", "node-up", "node-soaked"),
    ]


@pytest.mark.parametrize(
    ("only", "rack", "wanted"),
    [
        (("2",), None, {2}),
        (("blue-2", "3"), None, {2, 3}),
        ((), "b", {2, 5}),
        (("blue-2", "3"), "b", {2}),
        (("101",), None, {101}),
    ],
)
def test_a_choice(only: tuple[str, ...], rack: str | None, wanted: set[int]) -> None:
    world = Restart(Options(only=only, rack=rack))
    assert {n for batch in gates(planned(world)) for n in batch} == wanted


def hosts(*more: tuple[str, int | None]) -> ClusterSpec:
    base = [(f"blue-{n}", n) for n in (1, 2, 3, 4, 5, 6)]
    every = tuple(HostSpec(name=name, node_id=n, address="h") for name, n in (*base, *more))
    return ClusterSpec(name="blue", bootstrap=("h:9094",), hosts=every)


def without(node: int) -> ClusterSpec:
    spec = hosts()
    return spec.model_copy(update={"hosts": tuple(h for h in spec.hosts if h.node_id != node)})


@pytest.mark.parametrize(
    ("spec", "options", "kind", "code"),
    [
        (hosts(), Options(only=("blue-9",)), UsageFault, "KO-HOST-UNKNOWN"),
        (hosts(), Options(only=("9",)), UsageFault, "KO-HOST-NO-BROKER"),
        (hosts(("tool", None)), Options(only=("tool",)), UsageFault, "KO-HOST-NO-BROKER"),
        (hosts(("tool", 77)), Options(only=("tool",)), UsageFault, "KO-HOST-NO-BROKER"),
        (hosts(("twin", 3)), Options(), ConfigError, "KO-NODE-TWICE"),
        (without(4), Options(), ConfigError, "KO-BROKER-NO-HOST"),
        (hosts(), Options(rack="z"), UsageFault, "KO-RACK-UNKNOWN"),
    ],
)
def test_what_cannot_be_restarted_is_an_error_before_anything(
    spec: ClusterSpec, options: Options, kind: type[OpsError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        choose(spec, Restart().cluster.snapshot(), options)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_broker_without_a_host_may_be_left_out_and_controllers_without_one_are_named() -> None:
    found = choose(without(4), Restart().cluster.snapshot(), Options(only=("1",)))
    assert list(found.hosts) == [1]
    every = choose(hosts(), Restart().cluster.snapshot(), Options())
    assert len(every.left) == 3
    assert "controller 100" in every.left[0]


def test_who_was_restarted_since_is_left_alone() -> None:
    world = Restart(Options(since=1_000_000.0))
    world.cluster.nodes[2].started = 1_000_500.0
    plan = planned(world)
    assert 2 not in {n for batch in gates(plan) for n in batch}
    assert any("blue-2 is not restarted" in note for note in plan.notes)
    assert planned(Restart(Options(since=1.0))).specs == ()


@pytest.mark.parametrize(
    ("file", "after", "wanted"),
    [
        ("/opt/kafka/config/server.properties", 10.0, {2}),
        ("/opt/kafka/config/server.properties", -10.0, set()),
        ("/etc/elsewhere", 10.0, set()),
    ],
)
def test_whose_configuration_was_changed_since_it_started(
    file: str, after: float, wanted: set[int]
) -> None:
    world = Restart(Options(changed=True))
    host = world.hosts["blue-2"]
    host.times[file] = host.node.started + after
    plan = planned(world)
    assert {n for batch in gates(plan) for n in batch} == wanted
    assert any("blue-1 is not restarted: its configuration" in note for note in plan.notes)


def test_the_roster_tells_what_runs_what_is_next_and_who_cannot_be_asked() -> None:
    world = Restart()
    world.hosts["blue-1"].away = True
    world.cluster.die(2)
    world.hosts["blue-3"].links["/opt/kafka/current"] = "versions/4.3.1"
    world.hosts["blue-4"].times["/opt/kafka/config/server.properties"] = world.clock.wall()
    found = {e.host: e for e in roster(world.world, world.world.config.blue)}
    assert found["blue-1"].trouble.startswith("KO-HOST-AWAY")
    assert (found["blue-2"].started, found["blue-2"].release) == (0.0, "")
    assert (found["blue-3"].release, found["blue-3"].next) == ("3.9.2", "4.3.1")
    assert [e.host for e in found.values() if e.outdated] == ["blue-4"]


def test_partitions_that_no_order_keeps_writable_are_accepted_by_name_or_refused() -> None:
    def made(**options: Any) -> Plan:
        world = Restart(Options(**options))
        world.cluster.topic("lonely", [(2,)], 1)
        return planned(world)

    with pytest.raises(GuardRefused) as caught:
        made()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-RF-ONE", 5)
    assert "lonely-0" in caught.value.message
    assert made(accept=("lonely",)).specs
    assert made(only=("3",)).specs  # not on this broker


def test_a_host_that_is_not_what_the_config_says() -> None:
    world = Restart()
    world.hosts["blue-2"].files["/opt/kafka/config/server.properties"] = b"x=1\nnode.id = 5\n"
    with pytest.raises(ConfigError) as caught:
        planned(world)
    assert (caught.value.code, caught.value.where) == ("KO-NODE-OTHER", "blue-2")
    stopped = Restart()
    stopped.hosts["blue-3"].node = replace(stopped.hosts["blue-3"].node, pid=0)
    with pytest.raises(GuardRefused) as refused:
        planned(stopped)
    assert (refused.value.code, refused.value.where) == ("KO-UNIT-NOT-RUNNING", "blue-3")


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
