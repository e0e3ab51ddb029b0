"""LUKS headers, read from the device's bytes alone.

Invariant: nothing is written. cryptsetup, even `luksDump`, writes a damaged copy anew from the
other one as soon as it may open the device for writing, so a look that ran it would change what
it looks at, and would not tell of the harm.
Source: LUKS2 On-Disk Format Specification 1.1 (binary header, JSON area, two copies, checksum);
LUKS1 On-Disk Format Specification 1.2.3.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkaops.model.volume import Header

Read = Callable[[int, int], bytes]
"""Bytes of the device: offset and length; fewer at its end."""

PRIMARY, SECONDARY = b"LUKS\xba\xbe", b"SKUL\xba\xbe"
SIZES = tuple(0x4000 << n for n in range(9))  # of one copy; the second begins where the first ends
BINARY = struct.Struct(">6sHQQ48s32s64s40s48sQ")
CHECKSUM = slice(448, 512)
JSON_AT = 4096
LUKS1_SLOTS = struct.Struct(">" + "I44x" * 8)
LUKS1_ACTIVE = 0x00AC71F3


@dataclass(frozen=True)
class LuksHeader:
    """`flags` are those that the header itself says it is to be opened with, as `no_read_workqueue`
    and so on (cryptsetup's `--persistent`). `header` is None where there is no trace of one."""

    header: Header | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Copy:
    """`there`: the magic was found, whatever follows it; `fault` why it is not to be trusted."""

    there: bool
    fault: str = ""
    sequence: int = 0
    size: int = 0
    label: str = ""
    uuid: str = ""
    area: Mapping[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return self.there and not self.fault


def find(read: Read) -> LuksHeader:
    """The header, of the newer copy where both are good.

    Two good copies of different age are no harm: cryptsetup was ended between its two writes, and
    takes the newer one."""
    start = read(0, 592)
    if start[:6] == PRIMARY and start[6:8] == b"\0\x01":
        return LuksHeader(_luks1(start))
    first = _copy(read, 0, PRIMARY)
    where = (first.size,) if first.good else SIZES
    seconds = [_copy(read, offset, SECONDARY) for offset in where]
    second = next((c for c in seconds if c.good), None)
    second = second or next((c for c in seconds if c.there), _Copy(False, "does not read"))
    if not first.there and not second.there:
        return LuksHeader(None)
    return _joined(first, second)


def _joined(first: _Copy, second: _Copy) -> LuksHeader:
    if not first.good and not second.good:
        harm = f"the primary copy {first.fault}, and the secondary copy {second.fault}"
        return LuksHeader(Header(2, "", harm=harm))
    best = max((c for c in (first, second) if c.good), key=lambda c: c.sequence)
    harm = _harm(first, second) or _unfinished(best.area)
    slots = tuple(sorted(int(n) for n in best.area.get("keyslots", {})))
    tokens = {int(n): token for n, token in best.area.get("tokens", {}).items()}
    flags = tuple(str(f).replace("-", "_") for f in best.area.get("config", {}).get("flags", ()))
    torn = "" if harm else _torn(first, second)
    return LuksHeader(Header(2, best.uuid, best.label, slots, tokens, harm, torn), flags)


def _torn(first: _Copy, second: _Copy) -> str:
    """What a power cut in a header's update leaves: its magic is written first."""
    if not first.good:
        return f"the primary copy {first.fault}"
    return "" if second.good else f"the secondary copy {second.fault}"


def _harm(first: _Copy, second: _Copy) -> str:
    if not first.there:  # somebody wiped it, and may have put something in its place
        return f"the primary copy {first.fault}"
    if not second.there:
        return f"the secondary copy {second.fault}"
    if first.good and second.good and first.uuid != second.uuid:
        return f"the copies are of two volumes: {first.uuid} and {second.uuid}"
    return ""


def _unfinished(area: Mapping[str, Any]) -> str:
    asked = area.get("config", {}).get("requirements", {}).get("mandatory", ())
    return f"cryptsetup has unfinished work on it: {', '.join(asked)}" if asked else ""


def _copy(read: Read, offset: int, magic: bytes) -> _Copy:
    raw = read(offset, JSON_AT)
    if len(raw) < JSON_AT or raw[:6] != magic:
        return _Copy(False, "does not read")
    _, version, size, sequence, label, algorithm, _, uuid, _, own = BINARY.unpack_from(raw)
    if version != 2 or size not in SIZES or own != offset:
        return _Copy(True, "has wrong sizes in it")
    area = read(offset + JSON_AT, size - JSON_AT)
    if raw[CHECKSUM].rstrip(b"\0") != _checksum(_text(algorithm), raw, area):
        return _Copy(True, "does not match its checksum")
    try:
        found = json.loads(area.split(b"\0", 1)[0])
    except ValueError:
        return _Copy(True, "holds no JSON")
    if not isinstance(found, dict):
        return _Copy(True, "holds no JSON")
    return _Copy(True, "", sequence, size, _text(label), _text(uuid), found)


def _checksum(algorithm: str, raw: bytes, area: bytes) -> bytes:
    """Over the whole copy, with zeros where the checksum stands."""
    try:
        digest = hashlib.new(algorithm)
    except ValueError:
        return b"?"
    digest.update(raw[: CHECKSUM.start] + bytes(64) + raw[CHECKSUM.stop :])
    digest.update(area)
    return digest.digest().rstrip(b"\0")


def _luks1(start: bytes) -> Header:
    active = LUKS1_SLOTS.unpack_from(start.ljust(592, b"\0"), 208)
    slots = tuple(n for n, state in enumerate(active) if state == LUKS1_ACTIVE)
    return Header(1, _text(start[168:208]), slots=slots)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace")
