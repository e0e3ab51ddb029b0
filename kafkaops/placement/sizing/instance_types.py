"""EC2 instance types and EBS volume types that Kafka is run on, from the package's own data file.

Invariant: every figure is the one that AWS publishes (the file names the source and the day); what
is not published, or was not found, is None, and nothing is put in its place. Rates are baselines,
which hold for ever, unless a name says burst.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from kafkaops.engine.errors import UsageFault

MB, GB = 10**6, 10**9
MIB, GIB, TIB = 2**20, 2**30, 2**40
GBIT = GB / 8
"""Bytes a second in one Gbit/s."""


@dataclass(frozen=True)
class Disks:
    """Instance store. `size` is bytes of one disk, `rate` what all of them write together in
    bytes/s, `encrypted` whether the hardware always encrypts (None: not known)."""

    count: int
    size: int
    kind: str
    encrypted: bool | None
    rate: float | None

    @property
    def total(self) -> int:
        return self.count * self.size


@dataclass(frozen=True)
class InstanceType:
    """`memory` in bytes; `network` and `ebs` in bytes/s, each direction of the network for itself.
    `ebs_optimized` is `default`, `supported` (it has to be asked for) or `unsupported` (EBS shares
    the network, and there is no figure)."""

    name: str
    vcpu: int
    memory: int
    network: float | None
    network_burst: float | None
    ebs: float | None
    ebs_burst: float | None
    ebs_optimized: str
    disks: Disks | None

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class VolumeType:
    """An EBS volume type. `rate` is what a volume has without being asked (bytes/s), `per_byte`
    what each byte of its size adds (1/s); both None where it must be given, as with io2. `least`
    and `most` are bytes of one volume, `most_rate` its fastest."""

    name: str
    rate: float | None
    per_byte: float | None
    most_rate: float
    least: int
    most: int

    def rate_of(self, size: float) -> float | None:
        """Baseline of one volume of this size, in bytes/s; None where only its owner knows."""
        if self.per_byte is not None:
            return min(self.most_rate, self.per_byte * size)
        return self.rate


@dataclass(frozen=True)
class Catalogue:
    """All of the file. `single_flow` is the most that one TCP connection carries, in bytes/s;
    `read` the day the figures were read; `sources` by part of the file."""

    types: Mapping[str, InstanceType]
    volumes: Mapping[str, VolumeType]
    single_flow: float
    read: str
    sources: Mapping[str, str]

    def type_of(self, name: str) -> InstanceType:
        """UsageFault (KO-INSTANCE-TYPE-UNKNOWN) names the nearest."""
        if name in self.types:
            return self.types[name]
        near = difflib.get_close_matches(name, self.types, n=3, cutoff=0.0)
        raise UsageFault(
            "KO-INSTANCE-TYPE-UNKNOWN",
            f"there is no figure of the instance type {name!r}; the nearest are {', '.join(near)}",
            where="--instance-type",
            hint="kafkaops placement size --list-types",
        )

    def family(self, of: InstanceType) -> tuple[InstanceType, ...]:
        """The types of its family, smallest first."""
        found = (t for t in self.types.values() if t.family == of.family)
        return tuple(sorted(found, key=lambda t: (t.vcpu, t.name)))


@cache
def catalogue() -> Catalogue:
    """The figures that ship with the package."""
    text = files("kafkaops.data").joinpath("instance_types.json").read_text(encoding="utf-8")
    document = json.loads(text)
    return Catalogue(
        {name: _type(name, row) for name, row in document["types"].items()},
        {name: _volume(name, row) for name, row in document["volumes"].items()},
        document["single_flow_gbit_s"] * GBIT,
        document["read"],
        document["sources"],
    )


def _type(name: str, row: Mapping[str, Any]) -> InstanceType:
    disks = row["disks"]
    return InstanceType(
        name,
        row["vcpu"],
        round(row["memory_gib"] * GIB),
        _times(row["network_gbit_s"], GBIT),
        _times(row["network_burst_gbit_s"], GBIT),
        _times(row["ebs_mb_s"], MB),
        _times(row["ebs_burst_mb_s"], MB),
        row["ebs_optimized"],
        disks
        and Disks(
            disks["count"],
            disks["size_gb"] * GB,
            disks["kind"],
            disks["encrypted"],
            _times(disks["mb_s"], MB),
        ),
    )


def _volume(name: str, row: Mapping[str, Any]) -> VolumeType:
    per_tib = _times(row["rate_per_tib_mib_s"], MIB)
    return VolumeType(
        name,
        _times(row["rate_mib_s"], MIB),
        per_tib and per_tib / TIB,
        row["most_rate_mib_s"] * MIB,
        row["least_size_gib"] * GIB,
        row["most_size_gib"] * GIB,
    )


def _times(value: float | None, unit: float) -> float | None:
    return None if value is None else value * unit
