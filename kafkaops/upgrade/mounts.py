"""No node is started on a bare mountpoint: its log directories are mounted from their volumes."""

from __future__ import annotations

from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked
from kafkaops.ports.host import Host

CODE = "KO-VOLUME-NOT-MOUNTED"


def bare(spec: ClusterSpec, host: Host) -> tuple[str, ...]:
    """What is wrong with each mountpoint of the cluster's volumes on this host, in words."""
    faults = []
    for disk in spec.volumes.disks if spec.volumes is not None else ():
        wanted, found = f"/dev/mapper/kafka-{disk.name}", host.mounted(disk.mountpoint)
        if found is None:
            faults.append(f"nothing is mounted at {disk.mountpoint}")
        elif found != wanted:
            faults.append(f"{found} is mounted at {disk.mountpoint}, not {wanted}")
    return tuple(faults)


def blocked(spec: ClusterSpec, host: Host) -> Blocked | None:
    """Waits for the volumes: the host may be about to open them."""
    faults = bare(spec, host)
    return Blocked(CODE, f"{host.name}: {'; '.join(faults)}", _way()) if faults else None


def refuse_bare(spec: ClusterSpec, host: Host) -> None:
    """StepFailed before a start that would write to the root disk."""
    if faults := bare(spec, host):
        raise StepFailed(CODE, "; ".join(faults), where=host.name, hint=_way())


def _way() -> str:
    return "on that host: kafkaops volume mount, then repeat"
