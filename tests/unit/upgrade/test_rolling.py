"""The plan of a rolling restart as tables: order, choice, roster, and what refuses it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError, GuardRefused, OpsError, UsageFault
from kafkaops.engine.outline import lanes, units
from kafkaops.engine.plan_json import from_json, to_json
from kafkaops.engine.step import Plan
from kafkaops.upgrade.rolling.choosing import Options, choose
from kafkaops.upgrade.rolling.phases import TITLES, Phase
from kafkaops.upgrade.rolling.planner import Way, roll
from kafkaops.upgrade.rolling.roster import roster
from tests.crash.restart_scene import Restart
from tests.unit.upgrade.rolls import gates, planned

KINDS = ("gate-open", "node-up", "node-in-sync", "node-rested")


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


def test_what_was_chosen_of_gates_and_waits_is_in_the_steps() -> None:
    chosen = Options(gate_looks=7, gate_timeout=77.0, return_timeout=99.0, soak=5.0)
    specs = planned(Restart(chosen)).specs
    steps = {kind: {(s.guards, s.deadline) for s in specs if s.kind == kind} for kind in KINDS}
    assert steps["gate-open"] == {(7, 77.0)}
    assert steps["node-up"] == {(1, 99.0)}
    assert steps["node-in-sync"] == {(1, 99.0), (1, 2 * 99.0)}  # alone, and with mates
    assert steps["node-rested"] == {(7, 2 * 99.0)}
    assert {s.args["soak"] for s in specs if s.kind == "node-soaked"} == {5.0}


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
        ("/etc/systemd/system/kafka.service", 10.0, {2}),
        ("/etc/systemd/system/kafka.service.d/override.conf", 10.0, {2}),
        ("/etc/systemd/system/kafka.service.d/override.conf", -10.0, set()),
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
