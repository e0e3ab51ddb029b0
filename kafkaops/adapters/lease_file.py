"""Leases as locked files, for operators who share one machine.

The lock belongs to the open file (flock), so the kernel drops it when the process dies, however
it dies: there are no stale locks and nothing to break. Invariant: the file's content only
names the holder, the lock alone decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.files import refused
from kafkaops.engine.lease import Holder, held_by, lost


class FileLeases:
    """Implements `ports.lease.LeaseKeeper` in a directory of a local file system."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def acquire(self, name: str, holder: Holder, ttl: float = 0.0) -> FileLease:
        """`ttl` is not needed here: the lease ends with its process."""
        path = self._path(name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise refused(error, path) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = _read(fd)
            os.close(fd)
            raise held_by(name, found, where=str(path)) from None
        except OSError as error:
            os.close(fd)
            raise refused(error, path) from error
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(holder.to_json()).encode(), 0)
        except OSError as error:
            os.close(fd)
            raise refused(error, path) from error
        return FileLease(name, path, fd)

    def holder(self, name: str) -> Holder | None:
        path = self._path(name)
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(error, path) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(fd)
        finally:
            os.close(fd)
        return None

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ConfigError("KO-LEASE-NAME", f"{name!r} cannot name a lease")
        return self._directory / f"{name}.lease"


class FileLease:
    """A lease that is held as long as its file stays open."""

    def __init__(self, name: str, path: Path, fd: int) -> None:
        self.name, self._path, self._fd = name, path, fd

    def verify(self) -> None:
        """Lost only when the file was removed or replaced, or the lease given back."""
        if self._fd < 0:
            raise lost(self.name, "it was given back", where=str(self._path))
        try:
            there, ours = os.stat(self._path), os.fstat(self._fd)
        except OSError as error:
            raise lost(self.name, f"its file: {error.strerror}", where=str(self._path)) from error
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise lost(self.name, "its file was replaced", where=str(self._path))

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _read(fd: int) -> Holder | None:
    try:
        return Holder.read(json.loads(os.pread(fd, 4096, 0)))
    except ValueError:
        return None
