"""Which disks the volumes of a host are on, where its file says `instance-store:N`.

In this order: the disk beneath the volume's open mapping; the disk that bears its label, wherever
it is now; the N-th by serial; where that one is another volume's, the first that is nobody's: a
new disk may come before or behind the old ones.

Invariant: no disk is two volumes', and none that bears the label of one volume of the file is
another's. What comes out depends on the disks, their labels and the file alone, not on which volume
asks, and a volume that was made stays where it was found to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kafkaops.adapters import disk_probe, luks_header
from kafkaops.adapters.disk_blocks import Blocks
from kafkaops.engine.errors import OpsError
from kafkaops.model.volume import VolumeSpec

STORE = "instance-store:"


def located(volumes: Sequence[VolumeSpec], blocks: Blocks) -> tuple[VolumeSpec, ...]:
    """All volumes of a host's file on devices by their paths; one whose disk is not there keeps its
    name."""
    sought = sorted((v for v in volumes if v.device.startswith(STORE)), key=_number)
    if not sought:
        return tuple(volumes)
    named = {blocks.identify(v.device).number for v in volumes if v not in sought} - {""}
    disks = blocks.instance_stores()
    search = _Search(
        disks,
        {disk: _label(disk) for disk in disks},
        frozenset(v.label for v in volumes),
        frozenset(disk for disk in disks if blocks.identify(disk).number in named),
    )
    opened = {v.name: disk for v in sought if (disk := _beneath(v, disks, blocks))}
    found = search.assigned(sought, opened)
    return tuple(replace(v, device=found.get(v.name, v.device)) for v in volumes)


@dataclass(frozen=True)
class _Search:
    """`disks` by serial, `labels` by disk; `known` are the labels of the host's own volumes,
    `named` disks that its file names by a path."""

    disks: Sequence[str]
    labels: Mapping[str, str]
    known: frozenset[str]
    named: frozenset[str]

    def assigned(
        self, sought: Sequence[VolumeSpec], opened: Mapping[str, str]
    ) -> Mapping[str, str]:
        """The device of each volume that has one. `opened` is what lies beneath open mappings."""
        found: dict[str, str] = {}
        ways: tuple[Callable[[VolumeSpec], Iterable[str]], ...] = (
            lambda v: (opened[v.name],) if v.name in opened else (),
            lambda v: (d for d in self.disks if self.labels[d] == v.label),
            lambda v: self.disks[_number(v) - 1 : _number(v)],
            lambda v: self.disks if _number(v) <= len(self.disks) else (),
        )
        for way in ways:
            for spec in (v for v in sought if v.name not in found):
                own = (d for d in way(spec) if d not in found.values() and self._free(d, spec))
                if disk := next(own, None):
                    found[spec.name] = disk
        return found

    def _free(self, disk: str, spec: VolumeSpec) -> bool:
        label = self.labels.get(disk, "")
        return disk not in self.named and (label == spec.label or label not in self.known)


def _number(spec: VolumeSpec) -> int:
    return int(spec.device.removeprefix(STORE))


def _beneath(spec: VolumeSpec, disks: Sequence[str], blocks: Blocks) -> str:
    """The disk beneath the volume's open mapping. Where that is gone it is the volume's own name:
    no other disk is its until the mapping is closed. Empty where nothing is open, or on what is no
    instance store."""
    mapping = blocks.mapping(spec.mapper)
    if mapping is None:
        return ""
    paths = [str(blocks.places.dev / node) for node in mapping.below]
    there = [path for path in paths if blocks.identify(path).kind != "absent"]
    if not there:
        return spec.device
    return next((path for path in there if path in disks), "")


def _label(disk: str) -> str:
    try:
        with disk_probe.reading(disk) as read:
            header = luks_header.find(read).header
    except OpsError:
        return ""
    return header.label if header is not None else ""
