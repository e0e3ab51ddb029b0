"""What work on the volumes of a cluster is planned from: its id and its brokers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from kafkaops.engine.errors import Unreachable
from kafkaops.engine.step import Plan, Spec, State
from kafkaops.model.words import counted
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import planner
from kafkaops.volumes.cluster.asking import ERASE, INSTALL, PREPARE, Asked
from kafkaops.volumes.cluster.planner import Members, Packed
from kafkaops.volumes.cluster.registry import REGISTRY

AT_ONCE = 16
FROM_CLUSTER = (INSTALL, PREPARE, ERASE)
"""Work that depends on who has a vote, who holds replicas, and the cluster's id."""


def plan(world: World, asked: Asked, packed: Packed | None, run: str) -> Plan:
    """Without the hosts where all is as asked already: a second run finds nothing to do."""
    try:
        found, now = look(world, asked), world.clock.wall()
    except Unreachable as error:
        if asked.verb in (INSTALL, PREPARE):
            error.hint = f"start it; or, where it was never started: --new-cluster ({error.hint})"
        raise
    made = planner.plan(world.config, asked, found, packed, id=run, created=now)
    left = _unsettled(world, made)
    specs = tuple(spec for spec in made.specs if spec.args["host"] in left)
    settled = len({spec.args["host"] for spec in made.specs}) - len(left)
    notes = (f"already so on {counted(settled, 'host')}",) if settled else ()
    return replace(made, specs=specs, notes=(*made.notes, *notes) if specs else notes)


def _unsettled(world: World, made: Plan) -> frozenset[str]:
    """Hosts with a step to do, asked side by side."""
    by_host: dict[str, list[Spec]] = {}
    for spec in made.specs:
        by_host.setdefault(str(spec.args["host"]), []).append(spec)

    def todo(specs: list[Spec]) -> bool:
        try:
            return any(REGISTRY[s.kind](s).check(world) is not State.DONE for s in specs)
        except Unreachable:  # its own steps say so, and the others' hosts are not kept from theirs
            return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = zip(by_host, pool.map(todo, by_host.values()), strict=True)
        return frozenset(host for host, left in found if left)


def look(world: World, asked: Asked) -> Members:
    """Members as the cluster says; of work that does not depend on them (or of a cluster that was
    never started, whose every node may have a vote) without a question to it.

    The cluster's id, and its brokers: those that are up, those included that are down but hold a
    replica (a broker whose disk was lost is not up), and those of the config that never were up:
    a new broker's volumes are made before its first start. A controller is who has a vote; where
    nobody can say who has, whoever is not known for a broker may have one."""
    spec = world.config.blue if asked.cluster == "blue" else world.config.green
    known = {host.node_id for host in spec.hosts if host.node_id is not None}
    if asked.new or asked.verb not in FROM_CLUSTER:
        return Members("", frozenset(known), frozenset(known))
    cluster = world.clusters[asked.cluster]
    topics = cluster.topics()
    holders = {r for t in topics.values() for p in t.partitions for r in p.replicas}
    quorum = cluster.snapshot(full=False).quorum
    voters = frozenset(quorum.voters if quorum is not None else ())
    new = known - voters
    brokers = frozenset(holders | new | set(cluster.brokers_up()))
    return Members(cluster.cluster_id(), brokers, voters, kraft=quorum is not None)
