"""Where holds and releases stand in a plan; and that a plan without a fleet is what it was."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.engine.plan_json import canonical, from_json, to_json
from kafkaops.engine.step import Plan
from kafkaops.upgrade.downtime import planner as downtime
from kafkaops.upgrade.fleet.planning import woven
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.planner import Change
from tests.crash.fleet_scene import FleetRestart, fleet_of, instance
from tests.crash.restart_scene import Restart


def planned(world: Restart) -> Plan:
    return survey.plan(world.world, world.options, "run-1")


def test_without_a_fleet_a_plan_stays_as_it_is_to_the_byte() -> None:
    world = Restart()
    plan = planned(world)
    hosts = {h.node_id: h for h in world.world.config.blue.hosts if h.node_id is not None}
    assert woven(plan.specs, world.world.config.blue, hosts) == list(plan.specs)
    text = canonical(to_json(plan))
    for word in ("fleet", "instance", "release", "scaling", "agents"):
        assert word not in text


def test_each_batch_is_held_between_its_gate_and_its_stops_and_given_back_at_its_end() -> None:
    plan = planned(FleetRestart())
    assert from_json(to_json(plan)) == from_json(to_json(from_json(to_json(plan))))
    batches: dict[int, list[str]] = {}
    for spec in plan.specs:
        batches.setdefault(spec.args["batch"], []).append(spec.kind)
    for kinds in batches.values():
        first = kinds.index("node-stopped")
        assert kinds[0] == "gate-open"
        held = kinds[1:first]
        assert held[0] == "scaling-held"
        assert set(held[1:]) == {"agents-held"}
        assert len(held) - 1 == kinds.count("node-stopped")
        last = max(i for i, k in enumerate(kinds) if k in ("node-soaked", "node-rested"))
        assert kinds[last + 1 :] == ["agents-back"] * (len(held) - 1) + ["scaling-back"]
    holds = [s for s in plan.specs if s.kind == "scaling-held"]
    assert {h: i for s in holds for h, i in s.args["instances"].items()} == {
        s.args["host"]: instance(s.args["host"]) for s in plan.specs if s.kind == "node-stopped"
    }
    until = {h: fact for s in holds for h, fact in s.args["until"].items()}
    assert {until[f"blue-{n}"] for n in (1, 6)} == {"in-sync"}
    assert until["blue-100"] == "up"
    assert len({s.id for s in plan.specs}) == len(plan.specs)


@pytest.mark.parametrize(
    ("auto_scaling", "agents", "kinds"),
    [
        (True, (), {"scaling-held", "scaling-back"}),
        (False, ("puppet.service",), {"agents-held", "agents-back"}),
    ],
)
def test_only_what_the_config_asks_for(
    auto_scaling: bool, agents: tuple[str, ...], kinds: set[str]
) -> None:
    world = FleetRestart()
    config = world.world.config
    blue = fleet_of(config.blue, auto_scaling, agents)
    config = config.model_copy(update={"blue": blue})
    world.world = dataclasses.replace(world.world, config=config)
    found = {s.kind for s in planned(world).specs if s.phase in ("hold", "release")}
    assert found == kinds


def outage(**more: Any) -> Plan:
    world = FleetRestart()
    config = world.world.config
    hosts = {h.node_id: h for h in config.blue.hosts if h.node_id is not None}
    change = Change("4.3.1", "versions/4.3.1", "3.9.2")
    return downtime.downtime(
        config,
        config.blue,
        world.cluster.snapshot(),
        hosts,
        hosts,
        dict.fromkeys(hosts, change),
        Options(to="4.3.1"),
        id="run-1",
        created=0.0,
    )


def test_an_outage_holds_all_hosts_before_it_begins_and_gives_them_back_after_its_end() -> None:
    kinds = [s.kind for s in outage().specs]
    assert kinds.index("scaling-held") < kinds.index("agents-held")
    assert len(kinds) - 1 - kinds[::-1].index("agents-held") < kinds.index("clients-stopped")
    assert kinds.count("agents-held") == kinds.count("outage-down") == 9
    assert kinds.index("agents-back") > len(kinds) - 1 - kinds[::-1].index("leaders-back")
    assert kinds.index("scaling-back") > kinds.index("clients-started")
    [held] = [s for s in outage().specs if s.kind == "scaling-held"]
    assert len(held.args["instances"]) == 9
    there = outage()
    touched = {"blue-1"}
    back = downtime.way_back(there, lambda h: ("3.9.2", "v"), touched, 0.0, over=False)
    kinds = [s.kind for s in back.specs]
    assert kinds.count("agents-held") == kinds.count("outage-down") == 1
    assert "scaling-held" in kinds


def test_the_plan_says_which_groups_and_what_is_suspended_already() -> None:
    world = FleetRestart(Options(only=("1", "2", "101")))
    notes = planned(world).notes
    assert (
        "Auto Scaling group asg-a (blue-1): suspended while they are down;"
        " AZRebalance, Launch suspended already, and stay so"
    ) in notes
    assert "in no Auto Scaling group: blue-101" in notes
    assert (
        "agents stopped while a node is down, where they run: puppet.service, chef-client.timer"
        in notes
    )


def test_an_agent_that_a_host_has_not_and_a_denied_action_are_told_at_the_plan() -> None:
    world = FleetRestart()
    del world.hosts["blue-3"].units["puppet.service"]
    with pytest.raises(ConfigError) as caught:
        planned(world)
    assert caught.value.code == "KO-AGENT-UNKNOWN"
    assert "blue-3 has no unit puppet.service" in caught.value.message
    world = FleetRestart()
    world.scaling.denied = {"DescribeAutoScalingInstances"}
    with pytest.raises(GuardRefused, match="DescribeAutoScalingInstances"):
        planned(world)  # AWS's own error says of a step that failed, and there is no run
