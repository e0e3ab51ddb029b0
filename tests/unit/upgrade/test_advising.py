"""Badly placed partitions in the plan of a roll: what they cost, the moves, the command."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from kafkaops.cli.rolls import lines
from kafkaops.engine.plan_json import to_json
from kafkaops.model.cluster import ClusterState
from kafkaops.placement.planning import planner as placing
from kafkaops.placement.planning.goals import Goals
from kafkaops.upgrade.batches import Limits, plan
from kafkaops.upgrade.rolling import advising
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.planner import Way, roll
from tests.crash.restart_scene import Restart
from tests.crash.upgrade_scene import Upgrade
from tests.unit.upgrade.placements import cluster, grown, topic
from tests.unit.upgrade.rolls import gates, planned

AWARE = [(a, b, c) for a in (1, 4) for b in (2, 5) for c in (3, 6)]
STRAY = (1, 4, 2)  # 1 and 4 are of one rack
COST = (
    "1 badly placed partition costs 1 batch: there would be 6 with 1 replica moved: orders-8 from"
    " broker 4 to 3"
)
CURE = "to move them first: kafkaops placement apply --pin orders-8=1,3,2"


@pytest.mark.parametrize("scene", [Restart, Upgrade])
def test_the_plan_names_them_what_they_cost_and_the_move(scene: Any) -> None:
    made = scene(Options(canary=False), rows=[*AWARE, STRAY]).plan()
    assert len(gates(made)) == 7
    assert {COST, CURE} <= {line.strip() for line in lines(made)}
    assert {COST, CURE} <= set(to_json(made)["notes"])
    followed = scene(Options(canary=False), rows=[*AWARE, (1, 3, 2)]).plan()
    assert len(gates(followed)) == 6
    assert not any("badly placed" in note for note in followed.notes)


def test_nobody_is_told_to_move_replicas_on_a_way_back() -> None:
    world = Restart(Options(canary=False), rows=[*AWARE, STRAY])
    state, config = world.cluster.snapshot(), world.world.config
    hosts = {h.node_id: h for h in config.blue.hosts if h.node_id is not None}
    back = roll(config, state, hosts, world.options, Way(back=True), id="r", created=0.0)
    assert not any("badly placed" in note for note in back.notes)
    assert any("badly placed" in note for note in planned(world).notes)


def pinned(command: str) -> Goals:
    """The goals of a `placement apply` command, read as an operator's shell would."""
    words = shlex.split(command)
    assert words[:3] == ["kafkaops", "placement", "apply"]
    pairs = [word.split("=") for flag, word in pairwise(words) if "pin" in flag]
    return Goals(pins=tuple((tp, tuple(int(b) for b in to.split(","))) for tp, to in pairs))


def followed(state: ClusterState, goals: Goals) -> ClusterState:
    """The cluster once `placement` did what it plans for these goals."""
    after = {m.tp: m.after for m in placing.plan(state, goals).moves}
    topics = {
        name: replace(
            t,
            partitions=tuple(
                replace(p, replicas=to, isr=to, leader=to[0])
                if (to := after.get(p.tp)) is not None
                else p
                for p in t.partitions
            ),
        )
        for name, t in state.topics.items()
    }
    return replace(state, topics=topics)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_command_makes_the_number_true(seed: int) -> None:
    state = grown(60, 3, 6_000, stray=0.001, seed=seed)
    limits = Limits(whole_racks=True)
    cost, cure = advising.moves(plan(state, limits), state, Options(whole_racks=True))
    assert "there would be 4 with" in cost
    goals = pinned(cure.partition(": ")[2])
    assert len(plan(followed(state, goals), limits).batches) == 4


def test_too_many_for_a_command_are_all_named_by_another() -> None:
    state = grown(60, 3, 6_000, stray=0.005, seed=1)
    options = Options(cluster="green", whole_racks=True, canary=False)
    found = plan(state, Limits(whole_racks=True, canary=False))
    _, more = advising.moves(found, state, options)
    assert more.endswith(": kafkaops upgrade batches --cluster green --whole-racks --no-canary")
    # of some brokers that command would find other batches
    assert len(list(advising.moves(found, state, replace(options, rack="r1")))) == 1


def test_well_placed_there_is_nothing_to_say() -> None:
    state = cluster(dict.fromkeys(range(1, 7)), topic("t", AWARE))
    assert list(advising.moves(plan(state), state, Options())) == []
