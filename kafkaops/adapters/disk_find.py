"""Which disk a volume is on, where its host's file says `instance-store:N`.

The disk that bears the volume's label, wherever it is now; else the N-th by serial.
"""

from __future__ import annotations

from dataclasses import replace

from kafkaops.adapters import disk_probe, luks_header
from kafkaops.adapters.disk_blocks import Blocks
from kafkaops.engine.errors import OpsError
from kafkaops.model.volume import VolumeSpec

STORE = "instance-store:"


def located(spec: VolumeSpec, blocks: Blocks) -> VolumeSpec:
    """The same volume on a device by its path; one that is not there keeps its name."""
    if not spec.device.startswith(STORE):
        return spec
    disks = blocks.instance_stores()
    for disk in disks:
        if _label(disk) == spec.label:
            return replace(spec, device=disk)
    number = int(spec.device.removeprefix(STORE))
    return replace(spec, device=disks[number - 1]) if number <= len(disks) else spec


def _label(disk: str) -> str:
    try:
        with disk_probe.reading(disk) as read:
            header = luks_header.find(read).header
    except OpsError:
        return ""
    return header.label if header is not None else ""
