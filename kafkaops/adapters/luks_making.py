"""A LUKS header made whole in a file, then put on its device.

Invariant: the keyslots are on the disk before the header copies in front of them are, each synced,
so that a kill leaves a volume with its token, or no header at all. Source: LUKS2 On-Disk Format
Specification 1.1, 2.1: two copies within the first 32 KiB, keyslots behind them.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafkaops.adapters.luks_commands import HEADER
from kafkaops.engine.errors import StepFailed

COPIES = 32 * 1024
MEMORY = "/run"
"""Where the file lies, where that is: it is gone with the boot. What is in it is no secret without
the key."""


@contextmanager
def apart() -> Iterator[str]:
    """The path of a header file that is not there yet."""
    home = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kafkaops-header-", dir=home) as directory:
        yield str(Path(directory) / "header")


def put(header: str, device: str, *, shared: bool = False) -> None:
    """Write it to the beginning of the device; `shared` where its mapping is open already, or else
    the kernel refuses. StepFailed KO-VOLUME-WRITE."""
    image = Path(header).read_bytes()[:HEADER]
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        block = stat.S_ISBLK(os.stat(device).st_mode)
        descriptor = os.open(device, flags | (os.O_EXCL if block and not shared else 0))
        try:
            _write(descriptor, image, COPIES, len(image))
            _write(descriptor, image, 0, COPIES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StepFailed(
            "KO-VOLUME-WRITE", f"{device} cannot be written: {error.strerror}", where=device
        ) from None


def _write(descriptor: int, image: bytes, begin: int, end: int) -> None:
    while begin < end:
        begin += os.pwrite(descriptor, image[begin:end], begin)
    os.fsync(descriptor)
