"""Zeros over a device's headers and signatures, proven by reading.

`wipefs` alone leaves the second LUKS2 header and the key material between, and a device with
that on it is not blank. Source: LUKS2 On-Disk Format Specification 1.1, 2.1 (the whole of the
metadata lies within the first 16 MiB as cryptsetup lays it out; other formats keep copies at the
device's end).
"""

from __future__ import annotations

import errno
import os
import stat

from kafkaops.adapters import disk_probe, luks_header
from kafkaops.adapters.disk_probe import MIB
from kafkaops.adapters.disk_tools import Tools
from kafkaops.engine.errors import StepFailed

HEAD = 16 * MIB


def zero(tools: Tools, device: str) -> None:
    """Zero the first 16 MiB, the last one, and every signature between. StepFailed KO-VOLUME-BUSY
    where something uses the device, KO-VOLUME-WIPE where something known is left."""
    descriptor = _exclusive(device)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        _zeros(descriptor, 0, min(HEAD, size))
        if size > HEAD:
            _zeros(descriptor, max(HEAD, size - MIB), size)
        os.fsync(descriptor)
    except OSError as error:
        raise StepFailed(
            "KO-VOLUME-WIPE", f"{device} cannot be written: {error.strerror}", where=device
        ) from None
    finally:
        os.close(descriptor)
    tools.must(("wipefs", "--all", "--quiet", device), where=device)
    left = _known(tools, device)
    if left:
        raise StepFailed("KO-VOLUME-WIPE", f"{device} still holds {left}", where=device)


def _known(tools: Tools, device: str) -> str:
    """Signatures in words, or empty."""
    found = [f"{s.kind} at {s.offset}" for s in disk_probe.signatures(tools, device)]
    with disk_probe.reading(device) as read:
        if luks_header.find(read).header is not None and not found:
            found = ["a LUKS header"]
    return ", ".join(found)


def _exclusive(device: str) -> int:
    """O_EXCL on a block device: the kernel refuses where it is mounted, held or swapped to."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        if stat.S_ISBLK(os.stat(device).st_mode):
            flags |= os.O_EXCL
        return os.open(device, flags)
    except OSError as error:
        code = "KO-VOLUME-BUSY" if error.errno == errno.EBUSY else "KO-VOLUME-WIPE"
        raise StepFailed(code, f"{device}: {error.strerror}", where=device) from None


def _zeros(descriptor: int, begin: int, end: int) -> None:
    block = bytes(MIB)
    while begin < end:
        begin += os.pwrite(descriptor, block[: end - begin], begin)
