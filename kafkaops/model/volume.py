"""One encrypted volume: what it is to be, and what its disk, header and mount are now.

Nothing here is secret: a key is known by where it comes from, never by its bytes. Offsets and
sizes are in bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LABEL_MOST = 47
"""LUKS2 keeps a label in 48 bytes, the last of them zero."""

Mode = Literal["wrapped", "s3", "ephemeral"]


@dataclass(frozen=True)
class VolumeSpec:
    """What a volume is to be. `device` is a path, best under /dev/disk/by-id; or an ordinary file
    of `size` bytes, on a loop device. `named`: the operator wrote this very device down, it was
    not found by a pattern. `voter` says whether Kafka's node has a vote in the metadata quorum,
    whose log is on its disks too: it does not forget that by --yes alone. `key` is the KMS key's
    ARN, of wrapped keys; `object` the S3 URI of the encrypted password, of mode s3; `copies` the
    S3 URI under which copies of the token and the header go, or empty. `perf` are cryptsetup's
    `--perf-` flags without that prefix. `log_dir` is Kafka's directory at or below the
    mountpoint, empty for that itself; `owner` its `user:group`; `cluster_id` Kafka's own id of
    the cluster, empty where the broker writes its meta.properties itself (ZooKeeper mode).
    """

    cluster: str
    node: int
    name: str
    device: str
    mountpoint: str
    mode: Mode = "wrapped"
    key: str = ""
    object: str = ""
    copies: str = ""
    filesystem: Literal["xfs", "ext4"] = "xfs"
    perf: tuple[str, ...] = ()
    named: bool = False
    voter: bool = False
    size: int = 0
    log_dir: str = ""
    owner: str = ""
    cluster_id: str = ""

    @property
    def home(self) -> str:
        """The log directory."""
        return self.log_dir or self.mountpoint

    @property
    def meta(self) -> str:
        """What Kafka's storage tool writes into the log directory of a node that joins a cluster;
        Kafka adds a directory.id itself. Empty where the cluster's id is not known. Source:
        KIP-631 and KIP-858, meta.properties version 1."""
        if not self.cluster_id:
            return ""
        return f"version=1\ncluster.id={self.cluster_id}\nnode.id={self.node}\n"

    @property
    def context(self) -> dict[str, str]:
        """KMS's encryption context: it binds a key to this volume, and CloudTrail logs it."""
        return {"cluster": self.cluster, "broker_id": str(self.node), "volume": self.name}

    @property
    def label(self) -> str:
        """The LUKS label, within LUKS2's 47 bytes: too long a name ends in its digest."""
        whole = f"kafkaops/{self.cluster}/{self.node}/{self.name}"
        if len(whole.encode()) <= LABEL_MOST:
            return whole
        digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
        return f"kafkaops/{digest}/{self.node}"

    @property
    def mapper(self) -> str:
        """The name under /dev/mapper."""
        return f"kafka-{self.name}"

    @property
    def unit(self) -> str:
        """systemd's unit that opens it at boot; a dash in its name is kept, for it is no path."""
        return f"kafkaops-volume@{self.name}.service"


@dataclass(frozen=True)
class Signature:
    """What a probe found on a device: `kind` as libblkid names it (`xfs`, `gpt`, `LVM2_member`,
    `linux_raid_member`, `crypto_LUKS`), or `data`: bytes that are not zero and nothing known, at
    the first of them in the first 16 MiB or the last MiB."""

    offset: int
    kind: str


@dataclass(frozen=True)
class Header:
    """A LUKS header. `slots` are the keyslots in use, `tokens` the JSON of each token by its id.
    `harm` says what is wrong with it in words ("the primary copy does not read"), or is empty;
    `torn` which of its two copies a write was cut off in, that cryptsetup writes anew from the
    other one when it opens the volume next.
    """

    version: int
    uuid: str
    label: str = ""
    slots: tuple[int, ...] = ()
    tokens: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    harm: str = ""
    torn: str = ""


@dataclass(frozen=True)
class Opened:
    """An active dm-crypt mapping. `uuid` of the LUKS header it was opened from; `device` below
    it; `signatures` of what it shows; `flags` that it runs with."""

    name: str
    uuid: str
    device: str
    signatures: tuple[Signature, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mounted:
    source: str
    target: str
    filesystem: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A meta.properties of Kafka: whose log directory this is."""

    cluster_id: str
    node_id: int | None


@dataclass(frozen=True)
class DiskFacts:
    """One look at a volume's disk. `kind`: `block`, `file`, `absent`, or `other` for what can hold
    no volume. `identity` is what stays with the disk over reboots (model and serial; of a file its
    path). `model` as the disk calls itself; `instance_store` when that is EC2's. `holders`
    are the devices built on it that are not our mapping (LVM, RAID, a mapping of somebody's);
    `mounts` where the raw device itself is mounted; `at` what is mounted at the mountpoint;
    `beneath` what lies in the bare mountpoint, when nothing is mounted; `node` whose log
    directory the mounted volume is; `held` some of what lies in the log directory; `founded`
    whether that is there, its owner's, and has what Kafka starts with."""

    device: str
    kind: Literal["block", "file", "absent", "other"]
    identity: str = ""
    size: int = 0
    model: str = ""
    instance_store: bool = False
    read_only: bool = False
    holders: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()
    header: Header | None = None
    mapping: Opened | None = None
    at: Mounted | None = None
    beneath: tuple[str, ...] = ()
    immutable: bool = False
    node: Node | None = None
    held: tuple[str, ...] = ()
    founded: bool = False

    @property
    def uuid(self) -> str:
        """Of the volume, by its header, or where that is lost by the open mapping; empty where
        neither tells it."""
        if self.header is not None and self.header.uuid:
            return self.header.uuid
        return self.mapping.uuid if self.mapping is not None else ""
