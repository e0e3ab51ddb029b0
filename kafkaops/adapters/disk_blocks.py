"""Block devices as sysfs shows them: size, model, partitions, what is built on them, mappings.

Source: the kernel's Documentation/ABI/stable/sysfs-block and testing/sysfs-block-dm.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SECTOR = 512  # sysfs counts in it, whatever the device's own sector is
INSTANCE_STORE = "Amazon EC2 NVMe Instance Storage"
DELETED = " (deleted)"


@dataclass(frozen=True)
class Places:
    """Where the kernel shows itself, and systemd."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")
    systemd: Path = Path("/run/systemd/system")
    """There where systemd runs: sd_booted(3)."""


@dataclass(frozen=True)
class Identity:
    """What a path is. `number` is `major:minor` of a block device; `size` that of a file."""

    kind: Literal["block", "file", "absent", "other"]
    number: str = ""
    size: int = 0


@dataclass(frozen=True)
class Dm:
    """An active device-mapper device; `node` as `dm-0`, `below` the nodes it lies on."""

    node: str
    number: str
    name: str
    uuid: str
    below: tuple[str, ...]


def identified(path: str) -> Identity:
    """What a path is, links followed."""
    try:
        found = os.stat(path)
    except OSError:
        return Identity("absent")
    if stat.S_ISBLK(found.st_mode):
        return Identity("block", f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}")
    return Identity("file" if stat.S_ISREG(found.st_mode) else "other", size=found.st_size)


class Blocks:
    def __init__(
        self, places: Places | None = None, identify: Callable[[str], Identity] = identified
    ) -> None:
        self.places = places or Places()
        self.identify = identify

    def entry(self, number: str) -> Path:
        return (self.places.sys / "dev" / "block" / number).resolve()

    def size(self, entry: Path) -> int:
        return int(_line(entry / "size") or 0) * SECTOR

    def read_only(self, entry: Path) -> bool:
        return _line(entry / "ro") == "1"

    def model(self, entry: Path) -> str:
        """As the disk calls itself; of a partition, its disk."""
        return _line(entry / "device" / "model") or _line(entry.parent / "device" / "model")

    def serial(self, entry: Path) -> str:
        """Of an NVMe or SCSI disk, or of virtio's; of a partition, its disk's with its number."""
        for home, suffix in ((entry, ""), (entry.parent, f" {_line(entry / 'partition')}")):
            for name in ("device/serial", "serial", "device/wwid"):
                if found := _line(home / name):
                    return f"{found}{suffix}".strip()
        return ""

    def instance_stores(self) -> tuple[str, ...]:
        """The instance-store disks of this host as /dev paths, by serial."""
        found = []
        for entry in sorted((self.places.sys / "block").glob("*")):
            whole = entry.resolve()
            if self.instance_store(whole, self.number(whole)):
                found.append((self.serial(whole), entry.name))
        return tuple(str(self.places.dev / name) for _, name in sorted(found))

    def instance_store(self, entry: Path, number: str) -> bool:
        """EC2's instance store, by the disk's model or udev's name for it."""
        if self.model(entry).startswith(INSTANCE_STORE):
            return True
        prefix = f"nvme-{INSTANCE_STORE.replace(' ', '_')}_"
        named = (self.places.dev / "disk" / "by-id").glob(f"{prefix}*")
        return any(self.identify(str(path)).number == number for path in named)

    def parts(self, entry: Path) -> Iterator[Path]:
        """The device itself, then its partitions."""
        yield entry
        yield from sorted(p.parent for p in entry.glob("*/partition"))

    def number(self, entry: Path) -> str:
        return _line(entry / "dev")

    def holders(self, entry: Path, own: str) -> tuple[str, ...]:
        """Devices built on this one or its partitions, but for the mapping named `own`."""
        found = []
        for part in self.parts(entry):
            for holder in sorted((part / "holders").glob("*")):
                name = _line(holder / "dm" / "name")
                if name != own:
                    found.append(f"/dev/mapper/{name}" if name else f"/dev/{holder.name}")
        return tuple(dict.fromkeys(found))

    def loops(self, file: str) -> tuple[Path, ...]:
        """The loop devices on a file."""
        real = os.path.realpath(file)
        found = sorted((self.places.sys / "block").glob("loop*/loop/backing_file"))
        return tuple(p.parent.parent.resolve() for p in found if _line(p) == real)

    def backing(self, node: str) -> str:
        """The file under a loop device, or empty."""
        entry = self.places.sys / "block" / node / "loop" / "backing_file"
        return _line(entry).removesuffix(DELETED)

    def mapping(self, name: str) -> Dm | None:
        """The active mapping of this name."""
        for file in sorted((self.places.sys / "block").glob("dm-*/dm/name")):
            if _line(file) == name:
                entry = file.parent.parent
                below = tuple(sorted(p.name for p in (entry / "slaves").glob("*")))
                uuid = _line(entry / "dm" / "uuid")
                return Dm(entry.name, self.number(entry), name, uuid, below)
        return None


def luks_uuid(dm: Dm) -> str:
    """The UUID of the LUKS header it was opened from, of `CRYPT-LUKS2-<32 hex digits>-<name>`;
    empty for any other mapping."""
    parts = dm.uuid.split("-", 3)
    if len(parts) < 4 or parts[0] != "CRYPT" or not parts[1].startswith("LUKS"):
        return ""
    digits = parts[2]
    cut = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(cut)


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
