"""What can be done with a host's files. Part of `ports.host.Host`.

Invariant: a path either holds the whole of what was asked for, or what it held before: files,
unpacked trees and links are made beside their place and moved there in one rename.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from kafkaops.ports.marks import mutates


class Files(Protocol):
    """Paths are absolute ones of the host. Errors, all `engine.errors.StepFailed`: KO-HOST-DISK
    (its disk is full), KO-HOST-CHECKSUM, KO-HOST-READ, KO-HOST-PUT and so on."""

    def where(self, path: str) -> str:
        """How a command on this host must name a path: the lab keeps several hosts on one
        machine, so it differs there."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None if there is none."""

    def tail(self, path: str, *, lines: int = 100) -> str | None:
        """The last lines of a text file, None if there is none."""

    def sha512(self, path: str) -> str | None:
        """A file's SHA-512 in hexadecimal, None if there is none."""

    def changed(self, path: str) -> float | None:
        """When a file was last written, epoch seconds by its clock; None if there is none."""

    def free(self, path: str) -> int:
        """Bytes that root may still write on the disk of `path`, which need not exist yet."""

    def link(self, path: str) -> str | None:
        """What a symbolic link points to, as written; None if there is none."""

    def mounted(self, path: str) -> str | None:
        """The device that is mounted at this very path; None if it is no mountpoint."""

    def open_files(self, pid: int) -> tuple[str, ...]:
        """Files that a process holds open or mapped, sorted, as the kernel names them: a file
        that was removed or replaced meanwhile ends in ` (deleted)`. KO-HOST-PROCESS if there is
        no such process. Source: proc(5), `fd/` and `maps`."""

    @mutates
    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "") -> None:
        """Write a file atomically (temporary file, checked, fsync, rename). `owner` is
        `user:group`; empty means root's, or whoever runs commands there."""

    @mutates
    def upload(
        self,
        path: str,
        source: Path,
        *,
        sha512: str,
        mode: int = 0o644,
        owner: str = "",
        timeout: float = 600.0,
    ) -> None:
        """`put` for a large file of this machine, streamed. The host counts the checksum
        itself; another one than `sha512` is KO-HOST-CHECKSUM, and nothing is put."""

    @mutates
    def fetch(
        self,
        path: str,
        url: str,
        *,
        sha512: str,
        mode: int = 0o644,
        owner: str = "",
        timeout: float = 600.0,
    ) -> None:
        """The same from an http or https address, which the host asks itself (curl)."""

    @mutates
    def unpack(
        self, tarball: str, directory: str, *, owner: str = "", timeout: float = 300.0
    ) -> None:
        """Unpack a tarball of the host, less its one top directory, as `directory`. One that is
        there already is whole, for it came by one rename, and is left as it is."""

    @mutates
    def switch(self, path: str, target: str) -> None:
        """Point the symbolic link `path` to `target`, a name relative to it, in one rename.
        KO-HOST-LINK if `path` is something else than a link."""

    @mutates
    def remove(self, path: str) -> None:
        """Remove a file, link or tree, never crossing into another file system. Absent is
        success; a top-level directory is refused (KO-HOST-REMOVE)."""
