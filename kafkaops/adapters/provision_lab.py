"""`ports.provision.Provision`: the lab's green, whose brokers are processes of the lab."""

from __future__ import annotations

from kafkaops.config.schema import ClusterSpec
from kafkaops.lab import control
from kafkaops.lab.layout import Layout


class LabCluster:
    """Every host of the config must be a node of the lab whose process runs."""

    def __init__(self, spec: ClusterSpec, lab_dir: str) -> None:
        self._spec, self._lab = spec, Layout.of(lab_dir)

    def missing(self) -> tuple[str, ...]:
        rows = control.call(self._lab.socket, "status")["processes"]
        active = {row["name"] for row in rows if row["active"]}
        return tuple(
            f"{host.name} does not run in the lab"
            for host in self._spec.hosts
            if f"{host.name}/{self._spec.service}" not in active
        )

    def remedy(self) -> str:
        return f"kafkaops lab logs {self._spec.hosts[0].name}; anew: kafkaops lab down, lab up"
