"""Looks at a disk: blank, locked, and open, with a header of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kafkaops.model.volume import DiskFacts, Header, Mounted, Opened, Signature, VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.volumes import token
from kafkaops.volumes.verdict import Intent
from tests.unit.volumes.fake_disks import ARN, BLANK, spec_of

UUID = "0d7f1a55-6a5a-4b9e-9d0c-000000000001"
SPEC = spec_of()
KEY = Key("wrapped", ARN, "d3JhcHBlZA==", SPEC.context)
INTENT = Intent("AWS-1", UUID, KEY, 1000.0)
LUKS = (Signature(0, "crypto_LUKS"), Signature(16384, "crypto_LUKS"))
XFS = (Signature(0, "xfs"),)
AT = Mounted("/dev/mapper/kafka-data-1", SPEC.mountpoint, "xfs", ("noatime",))


def token_of(spec: VolumeSpec = SPEC, **changes: Any) -> dict[str, Any]:
    return replace(token.first(spec, KEY, 1000.0), **changes).to_json()


def header(content: dict[str, Any] | None = None, **changes: Any) -> Header:
    tokens = {0: token_of() if content is None else content}
    return replace(Header(2, UUID, SPEC.label, (0,), tokens), **changes)


def disk(**changes: Any) -> DiskFacts:
    return replace(BLANK, **changes)


def locked(**changes: Any) -> DiskFacts:
    return replace(disk(signatures=LUKS, header=header()), **changes)


def opened(*inside: Signature, **changes: Any) -> DiskFacts:
    mapping = Opened("kafka-data-1", UUID, "/dev/nvme1n1", tuple(inside))
    return replace(locked(mapping=mapping), **changes)
