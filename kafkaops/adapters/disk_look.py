"""One look at a volume's disk: everything that its state is decided by.

Invariant: nothing is opened for writing and nothing is run that writes.
"""

from __future__ import annotations

import os
from pathlib import Path

from kafkaops.adapters import disk_logs, disk_mounts, disk_probe, luks_header
from kafkaops.adapters.disk_blocks import Blocks, Dm, luks_uuid
from kafkaops.adapters.disk_mounts import Row
from kafkaops.adapters.disk_tools import Tools
from kafkaops.adapters.luks_header import LuksHeader
from kafkaops.model.volume import DiskFacts, Mounted, Opened, Signature, VolumeSpec


class Looker:
    def __init__(self, tools: Tools, blocks: Blocks) -> None:
        self.tools, self.blocks = tools, blocks
        self._proc = blocks.places.proc

    def facts(self, spec: VolumeSpec) -> DiskFacts:
        """Raises ConfigError KO-VOLUME-RIGHTS, StepFailed KO-VOLUME-READ, KO-VOLUME-PROBE."""
        rows = disk_mounts.mounts(self._proc)
        what = self.blocks.identify(spec.device)
        entry = self.blocks.entry(what.number) if what.number else None
        size = self.blocks.size(entry) if entry else what.size
        kind = "other" if what.kind == "block" and size == 0 else what.kind
        found = LuksHeader(None)
        signatures: tuple[Signature, ...] = ()
        if kind in {"block", "file"}:
            found, signatures = self._contents(spec.device, size)
        mapping = self.blocks.mapping(spec.mapper)
        at = self.at(spec, rows)
        disks = self.disks(spec)
        return DiskFacts(
            device=spec.device,
            kind=kind,
            identity=self._identity(spec, entry),
            size=size,
            model=self.blocks.model(entry) if entry else "",
            instance_store=entry is not None and self.blocks.instance_store(entry, what.number),
            read_only=self._read_only(spec.device, entry),
            holders=self._holders(disks, spec.mapper),
            mounts=self._mounts(disks, rows),
            signatures=signatures,
            header=found.header,
            mapping=self._opened(spec, mapping) if mapping else None,
            at=at,
            beneath=() if at else disk_mounts.beneath(spec.mountpoint),
            immutable=not at and disk_mounts.immutable(spec.mountpoint),
            node=disk_mounts.node(spec.home) if at else None,
            held=disk_logs.held(spec) if at else (),
            founded=bool(at) and disk_logs.founded(spec),
        )

    def glance(self, spec: VolumeSpec) -> DiskFacts:
        """Its mapping and its mount alone: no byte of the disk is read."""
        dm = self.blocks.mapping(spec.mapper)
        opened = Opened(dm.name, luks_uuid(dm), self._below(spec, dm)) if dm else None
        kind = self.blocks.identify(spec.device).kind
        return DiskFacts(spec.device, kind, mapping=opened, at=self.at(spec))

    def _identity(self, spec: VolumeSpec, entry: Path | None) -> str:
        """What stays with the disk over reboots."""
        if entry is None:
            return f"file {os.path.realpath(spec.device)}"
        serial = self.blocks.serial(entry)
        return f"{self.blocks.model(entry)} {serial}".strip() or os.path.realpath(spec.device)

    def header(self, spec: VolumeSpec) -> LuksHeader:
        with disk_probe.reading(spec.device) as read:
            return luks_header.find(read)

    def disks(self, spec: VolumeSpec) -> tuple[Path, ...]:
        """The device with its partitions, or the loop devices on the file with theirs."""
        what = self.blocks.identify(spec.device)
        if what.kind == "file":
            whole = self.blocks.loops(spec.device)
        else:
            whole = (self.blocks.entry(what.number),) if what.number else ()
        return tuple(part for entry in whole for part in self.blocks.parts(entry))

    def at(self, spec: VolumeSpec, rows: tuple[Row, ...] | None = None) -> Mounted | None:
        """What is mounted at the mountpoint, topmost; our mapping under its name."""
        target = os.path.realpath(spec.mountpoint)
        there = [r for r in rows or disk_mounts.mounts(self._proc) if r.target == target]
        if not there:
            return None
        top, dm = there[-1], self.blocks.mapping(spec.mapper)
        source = f"/dev/mapper/{dm.name}" if dm and dm.number == top.number else top.source
        return Mounted(source, spec.mountpoint, top.filesystem, top.options)

    def _contents(self, device: str, size: int) -> tuple[LuksHeader, tuple[Signature, ...]]:
        known = disk_probe.signatures(self.tools, device)
        with disk_probe.reading(device) as read:
            found = luks_header.find(read)
            if known or found.header:
                return found, known
            unknown = disk_probe.data(read, size)
        return found, (unknown,) if unknown else ()

    def _read_only(self, device: str, entry: Path | None) -> bool:
        if entry:
            return self.blocks.read_only(entry)
        return os.path.exists(device) and not os.access(device, os.W_OK)

    def _holders(self, disks: tuple[Path, ...], own: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(h for d in disks for h in self.blocks.holders(d, own)))

    def _mounts(self, disks: tuple[Path, ...], rows: tuple[Row, ...]) -> tuple[str, ...]:
        numbers = {self.blocks.number(d) for d in disks}
        found = [r.target for r in rows if r.number in numbers]
        swapped = {self.blocks.identify(path).number for path in disk_mounts.swaps(self._proc)}
        return tuple(dict.fromkeys((*found, *(["[SWAP]"] if numbers & swapped - {""} else []))))

    def _opened(self, spec: VolumeSpec, dm: Dm) -> Opened:
        """Known signatures alone: whatever was never written decrypts to noise."""
        path = f"/dev/mapper/{dm.name}"
        return Opened(
            name=dm.name,
            uuid=luks_uuid(dm),
            device=self._below(spec, dm),
            signatures=disk_probe.signatures(self.tools, path),
            flags=self._flags(dm.name),
        )

    def _below(self, spec: VolumeSpec, dm: Dm) -> str:
        """The spec's own name for the device where it is that one."""
        own = {entry.name for entry in self.disks(spec)}
        for node in dm.below:
            if node in own:
                return spec.device
            return self.blocks.backing(node) or f"/dev/{node}"
        return ""

    def _flags(self, name: str) -> tuple[str, ...]:
        out = self.tools.must(("cryptsetup", "status", name), where=name)
        for line in out.decode(errors="replace").splitlines():
            key, _, value = line.strip().partition(":")
            if key == "flags":
                return tuple(value.split())
        return ()
