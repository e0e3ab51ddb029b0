"""Rules between the keys of a cluster's encrypted volumes. Pure; all faults, not the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kafkaops.config.cluster import ClusterSpec
from kafkaops.config.faults import Fault
from kafkaops.config.volumes import Volumes


def check(colour: str, spec: ClusterSpec, region: str) -> Iterator[Fault]:
    """`region` is `aws.region`: a KMS key serves its own region alone."""
    if spec.volumes is None:
        return
    at = f"{colour}.volumes"
    yield from _keys(at, spec.volumes, region)
    for what in ("name", "device", "mountpoint"):
        values = Counter(getattr(disk, what) for disk in spec.volumes.disks)
        for value, times in values.items():
            if times > 1:
                yield Fault(f"{at}.disks", f"{what} {value} is given {times} times")
    for index, disk in enumerate(spec.volumes.disks):
        if disk.log_dir and not f"{disk.log_dir}/".startswith(f"{disk.mountpoint}/"):
            yield Fault(f"{at}.disks.{index}.log_dir", f"is not below {disk.mountpoint}")
        if disk.size and disk.device.startswith(("/dev/", "instance-store:")):
            yield Fault(f"{at}.disks.{index}.size", "is for a file: a disk has its own")
    for index, host in enumerate(spec.hosts):
        if host.node_id is None:
            yield Fault(
                f"{colour}.hosts.{index}.node_id",
                f"is required and missing: the keys of {host.name}'s volumes are bound to it",
            )


def _keys(at: str, volumes: Volumes, region: str) -> Iterator[Fault]:
    if volumes.mode == "wrapped" and not volumes.key:
        yield Fault(f"{at}.key", "is required and missing: mode is wrapped")
    if volumes.mode == "s3" and not volumes.object:
        yield Fault(f"{at}.object", "is required and missing: mode is s3")
    if volumes.key and volumes.key.split(":")[3] != region:
        yield Fault(f"{at}.key", f"is in {volumes.key.split(':')[3]}, and aws.region is {region}")
    if volumes.mode == "ephemeral" and volumes.copies:
        yield Fault(f"{at}.copies", "is of no use: an ephemeral key is kept nowhere")
