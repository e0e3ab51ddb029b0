"""What is mounted where, who uses it, and what a bare mountpoint holds.

Source: proc(5), /proc/PID/mountinfo; ioctl_iflags(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kafkaops.engine.errors import StepFailed
from kafkaops.model.volume import Node

GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10
UNABLE = {errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
SHOWN = 20


@dataclass(frozen=True)
class Row:
    """One mount; `number` is the device's `major:minor`."""

    number: str
    target: str
    options: tuple[str, ...]
    filesystem: str
    source: str


def mounts(proc: Path) -> tuple[Row, ...]:
    """All mounts this process sees; a later one may cover an earlier one."""
    rows = []
    for line in (proc / "self" / "mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        options = dict.fromkeys((*before[5].split(","), *after[2].split(",")))
        rows.append(Row(before[2], _plain(before[4]), tuple(options), after[0], _plain(after[1])))
    return tuple(rows)


def swaps(proc: Path) -> tuple[str, ...]:
    """Devices and files that are swapped to."""
    try:
        lines = (proc / "swaps").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return ()
    return tuple(_plain(line.split()[0]) for line in lines if line.strip())


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)


def beneath(mountpoint: str) -> tuple[str, ...]:
    """Names in a directory, the first of them."""
    try:
        return tuple(sorted(os.listdir(mountpoint))[:SHOWN])
    except OSError:
        return ()


def immutable(directory: str) -> bool:
    try:
        return bool(_flags(directory) & IMMUTABLE)
    except OSError:
        return False


def make_immutable(directory: str) -> None:
    """`chattr +i`. A file system without that attribute leaves it as it is: `immutable` tells."""
    try:
        flags = _flags(directory) | IMMUTABLE
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("l", flags))
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in UNABLE:
            raise StepFailed(
                "KO-VOLUME-MOUNTPOINT",
                f"{directory} cannot be made immutable: {error.strerror}",
                where=directory,
            ) from None


def _flags(directory: str) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found: int = struct.unpack("l", fcntl.ioctl(descriptor, GET_FLAGS, bytes(8)))[0]
    finally:
        os.close(descriptor)
    return found


def node(mountpoint: str) -> Node | None:
    """Of meta.properties in the mountpoint, or in the one directory of it that has one: an ext4
    file system has a `lost+found`, beside which Kafka keeps no log directory."""
    top = Path(mountpoint)
    try:
        inner = sorted(top.glob("*/meta.properties"))
    except OSError:
        inner = []
    for path in (top / "meta.properties", *inner):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        found = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
        number = found.get("node.id", found.get("broker.id", "")).strip()
        digits = re.fullmatch(r"-?\d+", number)
        return Node(found.get("cluster.id", "").strip(), int(number) if digits else None)
    return None


def users(proc: Path, mountpoint: str) -> tuple[str, ...]:
    """Processes with something open below it, as `pid name`: descriptors, working directories,
    and files mapped into memory, which Kafka's indexes are."""
    top = os.path.realpath(mountpoint)
    found = []
    for entry in sorted(proc.glob("[0-9]*"), key=lambda p: int(p.name)):
        if any(path == top or path.startswith(f"{top}/") for path in _opened(entry)):
            try:
                name = (entry / "comm").read_text(errors="replace").strip()
            except OSError:
                continue
            found.append(f"{entry.name} {name}")
    return tuple(found)


def _opened(entry: Path) -> Iterator[str]:
    for link in (entry / "cwd", entry / "root", entry / "exe", *_listed(entry / "fd")):
        try:
            yield os.readlink(link)
        except OSError:
            continue
    try:
        lines = (entry / "maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    yield from (line.split(None, 5)[5] for line in lines if line.count("/") > 0)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
