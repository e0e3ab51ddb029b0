"""`ports.provision.Provision`: a cluster that somebody else built, checked against the config."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.config.schema import ClusterSpec
from kafkaops.ports.cluster import Cluster


class ExistingCluster:
    """Every host of the config that has a node id must be a broker which is registered, or a
    controller which votes."""

    def __init__(self, spec: ClusterSpec, cluster: Callable[[], Cluster]) -> None:
        self._spec, self._cluster = spec, cluster

    def missing(self) -> tuple[str, ...]:
        state = self._cluster().snapshot(full=False)
        up = {b.id for b in state.brokers} | set(state.quorum.voters if state.quorum else ())
        return tuple(
            f"{host.name} (node {host.node_id}) is not registered"
            for host in self._spec.hosts
            if host.node_id is not None and host.node_id not in up
        )

    def remedy(self) -> str:
        return f"start {self._spec.service} on its hosts, then: kafkaops cluster health"
