"""Loop devices under file-backed volumes.

Invariant: a loop device goes away with what uses it. It is let go as soon as it is in use, which
the kernel carries out when the last user has closed it (losetup(8), autoclear), so a kill leaves
at most one that the next opening finds and takes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kafkaops.adapters.disk_blocks import Blocks
from kafkaops.adapters.disk_tools import Tools
from kafkaops.engine.errors import StepFailed


def make(path: str, size: int) -> None:
    """A file of `size` bytes, all of them allocated: a sparse one would find the disk full in the
    middle of a write."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _failed(path, error) from None
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    except OSError as error:
        os.unlink(path)
        raise _failed(path, error) from None
    finally:
        os.close(descriptor)


@contextmanager
def attached(tools: Tools, blocks: Blocks, device: str) -> Iterator[str]:
    """The block device to open: `device` itself, or a loop device on the file for as long as it
    is used."""
    if blocks.identify(device).kind != "file":
        yield device
        return
    found = blocks.loops(device)
    if found:
        loop = f"/dev/{found[0].name}"
    else:
        argv = ("losetup", "--find", "--show", "--", device)
        loop = tools.must(argv, where=device).decode().strip()
        # One page cache, not two; a file system that cannot do that keeps the second.
        tools.run(("losetup", "--direct-io=on", loop))
    try:
        yield loop
    finally:
        tools.run(("losetup", "--detach", loop))


def _failed(path: str, error: OSError) -> StepFailed:
    hint = {
        errno.ENOENT: f"make its directory: mkdir -p {os.path.dirname(path)}",
        errno.ENOSPC: f"df -h {os.path.dirname(path)}: name a smaller size, or another disk",
    }
    return StepFailed(
        "KO-VOLUME-FILE",
        f"{path} cannot be made: {error.strerror}",
        where=path,
        hint=hint.get(error.errno or 0, ""),
    )
