"""The host's file of each host of a cluster, from the config."""

from __future__ import annotations

from dataclasses import replace

from kafkaops.config.schema import Aws, ClusterSpec, HostSpec
from kafkaops.config.volumes import Disk, Volumes
from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.host_file import AwsSettings, HostFile


def host_file(
    spec: ClusterSpec,
    host: HostSpec,
    aws: Aws,
    *,
    broker: bool,
    voter: bool = False,
    cluster_id: str = "",
) -> HostFile:
    """`broker` False where the node is a controller alone, `voter` True on every controller,
    `cluster_id` Kafka's own: the live cluster tells. ConfigError KO-VOLUME-NONE where
    the cluster has no `volumes`."""
    if spec.volumes is None:
        raise ConfigError(
            "KO-VOLUME-NONE",
            f"the config has no `volumes` for {spec.name}",
            hint="docs/volumes.md shows the section",
        )
    assert host.node_id is not None, "the config's checks ask for it"
    found = replace(_volume(spec, spec.volumes), node=host.node_id, voter=voter)
    found = replace(found, cluster_id=cluster_id)
    volumes = tuple(_disk(found, spec.volumes, disk) for disk in spec.volumes.disks)
    settings = AwsSettings(aws.region, aws.endpoint_url, "")  # the host has its own credentials
    owner = spec.volumes.owner
    return HostFile(
        *(spec.name, host.node_id, volumes, broker, spec.service, settings, owner, cluster_id),
        voter=voter,
    )


def _volume(spec: ClusterSpec, volumes: Volumes) -> VolumeSpec:
    """What the volumes of a cluster have in common."""
    return VolumeSpec(
        cluster=spec.name,
        node=-1,
        name="",
        device="",
        mountpoint="",
        mode=volumes.mode,
        key=volumes.key if volumes.mode == "wrapped" else "",
        copies=volumes.copies,
        filesystem=volumes.filesystem,
        perf=tuple(volumes.perf),
        owner=volumes.owner,
    )


def _disk(common: VolumeSpec, volumes: Volumes, disk: Disk) -> VolumeSpec:
    password = volumes.object.replace("{node}", str(common.node)).replace("{volume}", disk.name)
    return replace(
        common,
        name=disk.name,
        device=disk.device,
        mountpoint=disk.mountpoint,
        object=password if volumes.mode == "s3" else "",
        named=not disk.device.startswith("instance-store:"),
        size=disk.size,
        log_dir=disk.log_dir,
    )
