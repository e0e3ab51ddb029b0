"""Hosts of the config whose node is no node of the cluster that is up. Pure.

A broker that is down is in no metadata but where it holds replicas: by these it is told from a host
that somebody named by mistake. One that is down and holds none cannot be told from such a one.
"""

from __future__ import annotations

from collections.abc import Iterator

from kafkaops.config.schema import ClusterSpec
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.refusals_codes import Finding
from kafkaops.upgrade.rolling.choosing import Options

CODE = "KO-HOST-NO-NODE"


def find(spec: ClusterSpec, state: ClusterState, options: Options) -> Iterator[Finding]:
    """Only notes where some nodes were asked for by name or rack: the others are not touched. A
    version is for all nodes, so nobody may be missed for it; a restart goes on without a node that
    has nothing to restart, and is refused for a host that is no node at all."""
    some = bool(options.only) or options.rack is not None
    nodes = {b.id for b in state.brokers} | set(state.quorum.voters if state.quorum else ())
    observers = set(state.quorum.observers if state.quorum else ())
    held = {r for t in state.topics.values() for p in t.partitions for r in p.replicas}
    for host in spec.hosts:
        node = host.node_id
        if node is None or node in nodes:
            continue
        if node in held:
            why = f"broker {node} is down: it holds replicas and is not up"
            cure = "start it"
        elif node in observers:
            why = f"node {node} follows the controllers of {spec.name} and has no vote"
            cure = "let it vote, or take it out of the config's `hosts` and see to it yourself"
        else:
            why = (
                f"node {node} is no node of {spec.name}: it is not up, holds no replica and has no"
                " vote"
            )
            cure = "take it out of the config's `hosts`; or start it, if it is a broker without any"
        known = node in held or node in observers
        yield Finding(CODE, host.name, why, cure, note=some or (known and options.to is None))
