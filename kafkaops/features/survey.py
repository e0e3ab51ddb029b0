"""What a change of levels is planned from: the cluster read once, and its controller asked to try.

Invariant: nothing is changed here; what the controller would refuse is refused before a plan is
shown.
"""

from __future__ import annotations

from kafkaops.engine.step import Plan
from kafkaops.features import asking, planner, refusals
from kafkaops.features.asking import Asked
from kafkaops.model.features import Features
from kafkaops.ports.world import World


def look(world: World, colour: str) -> Features:
    """GuardRefused for a cluster that has no features."""
    features = world.clusters[colour].features()
    spec = world.config.blue if colour == "blue" else world.config.green
    asking.refuse_without_features(features, spec.name)
    return features


def plan(world: World, asked: Asked, run: str) -> Plan:
    """The plan, one without steps where every level is reached; or GuardRefused."""
    cluster = world.clusters[asked.cluster]
    features = look(world, asked.cluster)
    moves = asking.wanted(features, asked)
    switched_off = any(c.new == 0 and c.feature in refusals.GROUPS for c in moves)
    groups = cluster.groups(offsets=False) if switched_off else ()
    refusals.refuse(features, moves, groups)
    said = cluster.try_features([c.way for c in moves]) if moves else ""
    if said:
        raise refusals.judged(features, said)
    return planner.plan(world.config, features, asked, moves, id=run, created=world.clock.wall())


def snapshot(world: World, asked: Asked) -> dict[str, object]:
    """The same values as in a plan, as they are now."""
    return planner.snapshot_of(world.clusters[asked.cluster].features(), asked)
