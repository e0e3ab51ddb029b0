"""What is on a device: known signatures by wipefs (libblkid), or data that nobody knows.

Invariant: a device is only called empty when its first 16 MiB and its last were read and are zero;
what cannot be read is an error, never an empty device.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kafkaops.adapters.disk_tools import Tools
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.model.volume import Signature

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
HEAD = 16 * MIB
"""A LUKS2 header and its keyslots lie within it."""


def signatures(tools: Tools, device: str) -> tuple[Signature, ...]:
    """Every known signature, by offset. wipefs lists what a single `blkid -p` calls ambivalent.
    No labels are asked for: they are whatever bytes the device holds."""
    argv = ("wipefs", "--no-act", "--json", "--output", "OFFSET,TYPE", device)
    out = tools.must(argv, where=device)
    try:
        rows = json.loads(out or b"{}").get("signatures", [])
        found = [Signature(int(str(r["offset"]), 0), str(r["type"])) for r in rows]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StepFailed(
            "KO-VOLUME-PROBE", f"wipefs answered no list of signatures: {out[:200]!r}", where=device
        ) from None
    return tuple(sorted(found, key=lambda s: (s.offset, s.kind)))


def data(read: Callable[[int, int], bytes], size: int) -> Signature | None:
    """Where the first byte is, in the first 16 MiB or the last one, that is not zero."""
    head = range(0, min(HEAD, size), MIB)
    for offset in dict.fromkeys((*head, max(0, size - MIB))):
        chunk = read(offset, min(MIB, size - offset))
        blank = len(chunk) - len(chunk.lstrip(b"\0"))
        if blank < len(chunk):
            return Signature(offset + blank, "data")
    return None


@contextmanager
def reading(device: str) -> Iterator[Callable[[int, int], bytes]]:
    """Reads at offsets, on a descriptor that cannot write."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        raise ConfigError(
            "KO-VOLUME-RIGHTS", f"{device} may not be read", where=device, hint="run it with sudo"
        ) from None
    except OSError as error:
        raise unread(device, error) from None

    def read(offset: int, length: int) -> bytes:
        parts = []
        try:
            while length > 0 and (part := os.pread(descriptor, length, offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        except OSError as error:
            raise unread(device, error) from None
        return b"".join(parts)

    try:
        yield read
    finally:
        os.close(descriptor)


def unread(device: str, error: OSError) -> StepFailed:
    return StepFailed("KO-VOLUME-READ", f"{device} does not read: {error.strerror}", where=device)
