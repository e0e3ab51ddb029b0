"""What work on the volumes of a cluster is planned from: its id and its brokers."""

from __future__ import annotations

from kafkaops.engine.step import Plan
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import planner
from kafkaops.volumes.cluster.asking import Asked
from kafkaops.volumes.cluster.planner import Packed


def plan(world: World, asked: Asked, packed: Packed | None, run: str) -> Plan:
    seen, brokers = look(world, asked)
    quorum = world.clusters[asked.cluster].snapshot(full=False).quorum
    voters = tuple(quorum.voters) if quorum is not None else ()
    now, kraft = world.clock.wall(), quorum is not None
    return planner.plan(
        world.config, asked, seen, brokers, voters, packed, kraft=kraft, id=run, created=now
    )


def look(world: World, asked: Asked) -> tuple[str, frozenset[int]]:
    """The cluster's id and the ids of its brokers, those included that are down but hold a
    replica (a broker whose disk was lost is not up), and those of the config that never were up:
    a new broker's volumes are made before its first start. A controller is who has a vote; where
    nobody can say who has, whoever is not known for a broker may have one."""
    cluster = world.clusters[asked.cluster]
    topics = cluster.topics()
    holders = {r for t in topics.values() for p in t.partitions for r in p.replicas}
    quorum = cluster.snapshot(full=False).quorum
    spec = world.config.blue if asked.cluster == "blue" else world.config.green
    known = {host.node_id for host in spec.hosts if host.node_id is not None}
    new = known - set(quorum.voters) if quorum is not None else set()
    return cluster.cluster_id(), frozenset(holders | new | set(cluster.brokers_up()))
