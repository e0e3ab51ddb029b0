"""What work on the volumes of a cluster is planned from: its id and its brokers."""

from __future__ import annotations

from kafkaops.engine.step import Plan
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import planner
from kafkaops.volumes.cluster.asking import Asked
from kafkaops.volumes.cluster.planner import Members, Packed


def plan(world: World, asked: Asked, packed: Packed | None, run: str) -> Plan:
    found, now = look(world, asked), world.clock.wall()
    return planner.plan(world.config, asked, found, packed, id=run, created=now)


def look(world: World, asked: Asked) -> Members:
    """The cluster's id, and its brokers: those that are up, those included that are down but hold a
    replica (a broker whose disk was lost is not up), and those of the config that never were up:
    a new broker's volumes are made before its first start. A controller is who has a vote; where
    nobody can say who has, whoever is not known for a broker may have one."""
    cluster = world.clusters[asked.cluster]
    topics = cluster.topics()
    holders = {r for t in topics.values() for p in t.partitions for r in p.replicas}
    quorum = cluster.snapshot(full=False).quorum
    voters = frozenset(quorum.voters if quorum is not None else ())
    spec = world.config.blue if asked.cluster == "blue" else world.config.green
    known = {host.node_id for host in spec.hosts if host.node_id is not None}
    new = known - voters if quorum is not None else set()
    brokers = frozenset(holders | new | set(cluster.brokers_up()))
    return Members(cluster.cluster_id(), brokers, voters, kraft=quorum is not None)
