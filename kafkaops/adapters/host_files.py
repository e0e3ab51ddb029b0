"""`ports.host_files.Files` by commands of the host."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from kafkaops.adapters import host_scripts as scripts
from kafkaops.engine.errors import ConfigError, StepFailed

FULL = ("No space left on device", "Disk quota exceeded")


class CommandFiles:
    """Needs `name` and `command` of `adapters.host_command.CommandHost`."""

    name: str

    def command(
        self, argv: Sequence[str], stdin: bytes | BinaryIO = b"", timeout: float = 30.0
    ) -> tuple[int, bytes, bytes]:
        raise NotImplementedError

    def where(self, path: str) -> str:
        """Where a path of this host really is: the lab keeps several hosts on one machine."""
        return path

    def read(self, path: str) -> bytes | None:
        return self._look(scripts.READ, path, timeout=120.0)

    def tail(self, path: str, *, lines: int = 100) -> str | None:
        out = self._look(scripts.TAIL, path, str(lines))
        return None if out is None else out.decode(errors="replace")

    def sha512(self, path: str) -> str | None:
        out = self._look(scripts.SHA512, path, timeout=300.0)
        return None if out is None else out.split()[0].decode()

    def changed(self, path: str) -> float | None:
        out = self._look(scripts.CHANGED, path)
        return None if out is None else float(out)

    def free(self, path: str) -> int:
        out = self._look(scripts.FREE, path)
        return int(out or 0)

    def link(self, path: str) -> str | None:
        out = self._look(scripts.LINK, path)
        return None if out is None else out.decode(errors="replace").removesuffix("\n")

    def mounted(self, path: str) -> str | None:
        out = self._look(scripts.MOUNTED, path)
        return None if out is None else out.decode(errors="replace").removesuffix("\n")

    def open_files(self, pid: int) -> tuple[str, ...]:
        code, out, err = self._script(scripts.OPEN_FILES, str(pid))
        if code == scripts.ABSENT:
            raise StepFailed("KO-HOST-PROCESS", f"there is no process {pid}", where=self.name)
        if code != 0:
            raise self._failed("KO-HOST-PROCESS", f"open files of process {pid}", err, code)
        names = out.decode(errors="replace").splitlines()
        return tuple(sorted({n for n in names if n.startswith("/") and not n.startswith("/dev/")}))

    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "") -> None:
        digest = hashlib.sha512(data).hexdigest()
        self._put(path, data, digest, mode, owner, 60.0)

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
        try:
            with open(source, "rb") as stream:
                self._put(path, stream, sha512.lower(), mode, owner, timeout)
        except OSError as error:
            raise ConfigError(
                "KO-HOST-SOURCE", f"{source} cannot be read: {error.strerror}", where=str(source)
            ) from None

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
        if not re.fullmatch(r"https?://[^\s\"\\]+", url):
            raise ConfigError("KO-HOST-SOURCE", f"not an http or https address: {url!r}")
        config = f'url = "{url}"\n'.encode()
        self._put(path, config, sha512.lower(), mode, owner, timeout, scripts.FETCH)

    def _put(
        self,
        path: str,
        data: bytes | BinaryIO,
        digest: str,
        mode: int,
        owner: str,
        timeout: float,
        script: str = scripts.PUT,
    ) -> None:
        argv = (self.where(path), f"{mode:o}", digest, owner)
        code, _, err = self._script(script, *argv, stdin=data, timeout=timeout)
        if code == scripts.CHECKSUM:
            raise self._failed("KO-HOST-CHECKSUM", path, err)
        if code != 0:
            raise self._failed("KO-HOST-PUT", path, err, code)

    def unpack(
        self, tarball: str, directory: str, *, owner: str = "", timeout: float = 300.0
    ) -> None:
        argv = (self.where(tarball), self.where(directory), owner)
        code, _, err = self._script(scripts.UNPACK, *argv, timeout=timeout)
        if code == scripts.ABSENT:
            raise self._failed("KO-HOST-UNPACK", f"there is no {tarball}", b"")
        if code == scripts.OTHER:
            raise self._failed("KO-HOST-UNPACK", f"{directory} is there and no directory", b"")
        if code != 0:
            raise self._failed("KO-HOST-UNPACK", f"{tarball} to {directory}", err, code)

    def switch(self, path: str, target: str) -> None:
        if not target or posixpath.isabs(target):
            raise ConfigError(
                "KO-HOST-LINK",
                f"a link points to a name beside it, not to {target!r}",
                where=f"{self.name}:{path}",
            )
        code, _, err = self._script(scripts.SWITCH, self.where(path), target)
        if code == scripts.OTHER:
            raise self._failed("KO-HOST-LINK", f"{path} is there and no symbolic link", b"")
        if code != 0:
            raise self._failed("KO-HOST-LINK", path, err, code)

    def remove(self, path: str) -> None:
        clean = posixpath.normpath(path)
        # `/x` is a directory of the system, and so is whatever `..` makes of a path.
        if clean.count("/") < 2 or not posixpath.isabs(path) or ".." in path.split("/"):
            raise StepFailed(
                "KO-HOST-REMOVE", f"{path!r} is not something to remove", where=self.name
            )
        code, _, err = self._script(scripts.REMOVE, self.where(clean), timeout=300.0)
        if code != 0:
            raise self._failed("KO-HOST-REMOVE", path, err, code)

    def _look(self, script: str, path: str, *more: str, timeout: float = 30.0) -> bytes | None:
        code, out, err = self._script(script, self.where(path), *more, timeout=timeout)
        if code == scripts.ABSENT:
            return None
        if code != 0:
            raise self._failed("KO-HOST-READ", path, err, code)
        return out

    def _script(
        self, script: str, *argv: str, stdin: bytes | BinaryIO = b"", timeout: float = 30.0
    ) -> tuple[int, bytes, bytes]:
        return self.command(("sh", "-c", script, "sh", *argv), stdin, timeout)

    def _failed(self, code: str, what: str, err: bytes, exit_code: int = 0) -> StepFailed:
        said = err.decode(errors="replace").strip()
        if exit_code == 124:
            said = said or "not done in time"
        if any(words in said for words in FULL):
            return StepFailed(
                "KO-HOST-DISK",
                f"{what}: the disk is full ({said})",
                where=self.name,
                hint="make room there; what was half written is removed",
            )
        return StepFailed(code, f"{what}: {said}" if said else what, where=self.name)
