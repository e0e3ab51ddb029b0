"""Programs of the system for disks: found on a fixed path, run without a shell, in English.

Nothing secret passes here: keys go through `adapters.key_process` alone.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kafkaops.engine.errors import ConfigError, StepFailed

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OLDEST = (2, 3, 4)
"""Of cryptsetup: the first with `--perf-no_read_workqueue` and its pair."""
PACKAGES = {
    "cryptsetup": "cryptsetup-bin (Debian) or cryptsetup (Amazon Linux, RHEL)",
    "mkfs.xfs": "xfsprogs",
    "mkfs.ext4": "e2fsprogs",
    "chattr": "e2fsprogs",
    "mount": "mount or util-linux",
}
ABSENT, TIMED_OUT = 127, 124
WORDS = 1000  # of what a tool said, at most


@dataclass(frozen=True)
class Done:
    code: int
    out: bytes
    err: str

    @property
    def said(self) -> str:
        return self.err.strip()[-WORDS:] or f"exit code {self.code}"


class Tools:
    """`path` is where programs are looked for, `uid` tells who runs this."""

    def __init__(self, path: str = SYSTEM_PATH, uid: Callable[[], int] = os.geteuid) -> None:
        self.path = path
        self._uid = uid
        self._version: tuple[int, ...] = ()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": self.path, "LC_ALL": "C"}

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60.0) -> Done:
        """A program to its end. ConfigError KO-VOLUME-TOOL-ABSENT where there is none."""
        try:
            done = subprocess.run(
                list(argv),
                input=stdin,
                capture_output=True,
                timeout=timeout,
                check=False,
                env=self.env,
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            return Done(TIMED_OUT, b"", f"not done within {timeout:g} s")
        except OSError as error:
            raise absent(argv[0], error) from None
        return Done(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def must(
        self, argv: Sequence[str], *, where: str, stdin: bytes = b"", timeout: float = 60.0
    ) -> bytes:
        """What it wrote; StepFailed with what it said where it did not succeed."""
        done = self.run(argv, stdin=stdin, timeout=timeout)
        if done.code != 0:
            raise failed(argv, done.said, where)
        return done.out

    def need_root(self) -> None:
        if self._uid() != 0:
            raise ConfigError(
                "KO-VOLUME-RIGHTS",
                "disks, mappings and mounts need root",
                hint="run it with sudo",
            )

    def need_cryptsetup(self) -> None:
        if self._version:
            return
        out = self.run(("cryptsetup", "--version")).out.decode(errors="replace")
        found = re.search(r"cryptsetup (\d+)\.(\d+)(?:\.(\d+))?", out)
        version = tuple(int(n or 0) for n in found.groups()) if found else ()
        if version < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise ConfigError(
                "KO-VOLUME-CRYPTSETUP",
                f"cryptsetup is {out.strip() or 'of no version it tells'}, and {oldest} is the "
                "oldest that will do",
                hint=f"install {PACKAGES['cryptsetup']}, {oldest} or newer",
            )
        self._version = version


def absent(program: str, error: OSError) -> ConfigError:
    code = "KO-VOLUME-CRYPTSETUP" if program == "cryptsetup" else "KO-VOLUME-TOOL-ABSENT"
    package = PACKAGES.get(program, "util-linux")
    return ConfigError(
        code, f"{program} cannot be run: {error.strerror}", hint=f"install {package}"
    )


def failed(argv: Sequence[str], said: str, where: str) -> StepFailed:
    what = " ".join(argv[:2]) if argv[0] == "cryptsetup" else argv[0]
    return StepFailed("KO-VOLUME-TOOL", f"{what}: {said}", where=where)
