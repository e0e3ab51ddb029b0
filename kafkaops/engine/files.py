"""What the engine asks of a file system, as a seam: crash tests kill at each of these calls.

Invariant: `append` and `create` either happen whole and durable, or (when they raise) not at
all; a process killed inside `append` leaves at most one unfinished line at the end.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from kafkaops.engine.errors import ConfigError, Exit, OpsError


class Files(Protocol):
    """Errors: OpsError KO-DISK-FULL (nothing was written), ConfigError KO-PERMISSION."""

    def read(self, path: Path) -> bytes | None:
        """A file's bytes; None where there is none."""

    def create(self, path: Path, data: bytes) -> None:
        """Write a whole file: temporary file, fsync, rename, fsync of the directory."""

    def append(self, path: Path, data: bytes) -> None:
        """Append and fsync; on an error the file is as before."""

    def truncate(self, path: Path, size: int) -> None:
        """Cut to `size` bytes and fsync."""

    def mark(self, path: Path, data: bytes) -> None:
        """Write a small file over from its beginning in one go, without fsync: a killed process
        leaves the old or the new, a power loss perhaps an older one or none. `data` is always of
        one length. What the file system refuses is let pass: nothing may depend on it."""

    def names(self, directory: Path) -> tuple[str, ...]:
        """Sorted names of what is in a directory; empty where there is none."""


class OsFiles:
    """The machine's own file system. Files are readable by their owner only: a plan holds
    names of hosts and records."""

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(error, path) from error

    def create(self, path: Path, data: bytes) -> None:
        mine = f"{os.getpid()}.{threading.get_ident()}"
        temporary = path.with_name(f".{path.name}.{mine}.new")
        try:
            for made in self._make(path.parent):
                _sync_directory(made.parent)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                self.write(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(temporary, path)
            _sync_directory(path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise refused(error, path) from error

    def append(self, path: Path, data: bytes) -> None:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise refused(error, path) from error
        try:
            size = os.fstat(fd).st_size
            try:
                self.write(fd, data)
                os.fsync(fd)
            except OSError as error:
                os.ftruncate(fd, size)
                raise refused(error, path) from error
        finally:
            os.close(fd)

    def truncate(self, path: Path, size: int) -> None:
        try:
            fd = os.open(path, os.O_WRONLY)
            try:
                os.ftruncate(fd, size)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise refused(error, path) from error

    def mark(self, path: Path, data: bytes) -> None:
        with suppress(OSError):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(fd, data, 0)
            finally:
                os.close(fd)

    def names(self, directory: Path) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(directory)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise refused(error, directory) from error

    def write(self, fd: int, data: bytes) -> None:
        """All of it; a short write goes on where it stopped."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def _make(self, directory: Path) -> Iterable[Path]:
        missing = []
        while not directory.exists():
            missing.append(directory)
            directory = directory.parent
        for made in reversed(missing):
            made.mkdir(mode=0o700, exist_ok=True)
        return missing


def refused(error: OSError, path: Path) -> OpsError:
    """The operator's sentence for what the file system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OpsError(
            "KO-DISK-FULL",
            f"no space left to write {path}",
            where=str(path.parent),
            hint="free some space, then repeat the command; nothing was begun that is not recorded",
            exit=Exit.STEP_FAILED,
        )
    return ConfigError(
        "KO-PERMISSION" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else "KO-STATE",
        f"{error.strerror}: {path}",
        where=str(path.parent),
        hint="state.dir of the config says where runs are kept",
    )


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
