"""The host's file of each host of a cluster, from the config."""

from __future__ import annotations

from kafkaops.config.schema import Aws, ClusterSpec, Disk, HostSpec, Volumes
from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.host_file import AwsSettings, HostFile


def host_file(spec: ClusterSpec, host: HostSpec, aws: Aws, *, broker: bool) -> HostFile:
    """`broker` False where the node is a controller alone: the live cluster tells. ConfigError
    KO-VOLUME-NONE where the cluster has no `volumes`."""
    if spec.volumes is None:
        raise ConfigError(
            "KO-VOLUME-NONE",
            f"the config has no `volumes` for {spec.name}",
            hint="docs/volumes.md shows the section",
        )
    assert host.node_id is not None, "the config's checks ask for it"
    volumes = tuple(
        _volume(spec, spec.volumes, disk, host.node_id, broker) for disk in spec.volumes.disks
    )
    settings = AwsSettings(aws.region, aws.endpoint_url, "")  # the host has its own credentials
    return HostFile(spec.name, host.node_id, volumes, broker, spec.service, settings)


def _object(volumes: Volumes, disk: Disk, node: int) -> str:
    if volumes.mode != "s3":
        return ""
    return volumes.object.replace("{node}", str(node)).replace("{volume}", disk.name)


def _volume(spec: ClusterSpec, volumes: Volumes, disk: Disk, node: int, broker: bool) -> VolumeSpec:
    return VolumeSpec(
        cluster=spec.name,
        node=node,
        name=disk.name,
        device=disk.device,
        mountpoint=disk.mountpoint,
        mode=volumes.mode,
        key=volumes.key if volumes.mode == "wrapped" else "",
        object=_object(volumes, disk, node),
        copies=volumes.copies,
        filesystem=volumes.filesystem,
        perf=tuple(volumes.perf),
        named=not disk.device.startswith("instance-store:"),
        broker=broker,
        size=disk.size,
    )
