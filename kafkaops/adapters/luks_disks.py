"""The disks of this host, as `ports.disks.Disks` has them: volumes, and file systems in them.

Invariant: no file system is made over another one, and nothing is unmounted that is not ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kafkaops.adapters import disk_logs, disk_mounts, disk_probe
from kafkaops.adapters.luks_volumes import LuksVolumes
from kafkaops.engine.errors import StepFailed
from kafkaops.model.volume import VolumeSpec

if TYPE_CHECKING:
    from kafkaops.ports.disks import Disks

MAKE = {
    "xfs": ("mkfs.xfs", "-q", "-K"),
    "ext4": ("mkfs.ext4", "-q", "-E", "nodiscard"),
}
"""Without discards: they would show through dm-crypt which blocks are in use, and take minutes."""


class LuksDisks(LuksVolumes):
    """Implements `ports.disks.Disks`: the volumes, and the file systems in them."""

    def make_filesystem(self, spec: VolumeSpec) -> None:
        """Never over one that is there: mkfs.ext4 would not ask."""
        self._ready()
        device = self._mapped(spec)
        found = ", ".join(s.kind for s in disk_probe.signatures(self._tools, device))
        if found:
            raise StepFailed(
                "KO-VOLUME-SIGNATURE", f"{device} holds {found} already", where=spec.device
            )
        self._tools.must((*MAKE[spec.filesystem], device), where=device, timeout=600.0)

    def mount(self, spec: VolumeSpec) -> None:
        self._ready()
        device = self._mapped(spec)
        at = self._looker.at(spec)
        if at is not None and at.source == device:
            return
        if at is not None:
            raise self._other(spec, at.source)
        try:
            os.makedirs(spec.mountpoint, mode=0o755, exist_ok=True)
        except OSError as error:
            raise StepFailed(
                "KO-VOLUME-MOUNTPOINT", f"{spec.mountpoint}: {error.strerror}", where=spec.device
            ) from None
        disk_mounts.make_immutable(spec.mountpoint)
        argv = ("mount", "-t", spec.filesystem, "-o", "noatime", device, spec.mountpoint)
        self._tools.must(argv, where=spec.mountpoint, timeout=300.0)

    def make_log_dir(self, spec: VolumeSpec) -> None:
        self._ready()
        at = self._looker.at(spec)
        if at is None or at.source != f"/dev/mapper/{spec.mapper}":
            raise StepFailed(
                "KO-VOLUME-MOUNTPOINT", f"{spec.mountpoint} is bare", where=spec.device
            )
        disk_logs.make(spec)

    def unmount(self, spec: VolumeSpec) -> None:
        self._ready()
        at = self._looker.at(spec)
        if at is None:
            return
        if at.source != f"/dev/mapper/{spec.mapper}":
            raise self._other(spec, at.source)
        done = self._tools.run(("umount", spec.mountpoint), timeout=300.0)
        if self._looker.at(spec) is not None:
            if self.users(spec) or "busy" in done.err:
                raise self._busy(spec, done.said)
            raise StepFailed("KO-VOLUME-TOOL", f"umount: {done.said}", where=spec.mountpoint)

    def unit_closed(self, spec: VolumeSpec) -> None:
        """Without the units that need it: what stops Kafka waits for Kafka, and Kafka may be what
        waits for this. A unit that is stopping is not active: it is what called."""
        if not self._blocks.places.systemd.is_dir():
            return
        if self._tools.run(("systemctl", "is-active", "--quiet", spec.unit)).code != 0:
            return
        argv = ("systemctl", "stop", "--job-mode=ignore-dependencies", spec.unit)
        self._tools.must(argv, where=spec.name, timeout=150.0)

    def _mapped(self, spec: VolumeSpec) -> str:
        if self._blocks.mapping(spec.mapper) is None:
            raise StepFailed(
                "KO-VOLUME-LOCKED",
                f"{spec.device} is not open as {spec.mapper}",
                where=spec.device,
                hint="kafkaops volume open",
            )
        return f"/dev/mapper/{spec.mapper}"

    def _other(self, spec: VolumeSpec, source: str) -> StepFailed:
        return StepFailed(
            "KO-VOLUME-MOUNTPOINT",
            f"{spec.mountpoint} has {source} on it, not this volume",
            where=spec.mountpoint,
        )


if TYPE_CHECKING:
    _fits: type[Disks] = LuksDisks
