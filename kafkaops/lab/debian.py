"""A minimal Debian by debootstrap, kept as a tarball: what containers and virtual machines of
the lab are made from. No image registry is needed; packages come from where this machine's own
apt has them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kafkaops.engine.errors import ConfigError
from kafkaops.lab.needs import which

SUITE = "bookworm"
UNNEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
# Its mounts and processes end with it, whatever happens.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
BUILD = 3600.0  # seconds for the slowest tool on a busy machine

Say = Callable[[str], None]


def bootstrap(
    cache: Path, packages: Sequence[str], say: Say, env: Mapping[str, str] | None = None
) -> Path:
    """The tarball of a system with these packages in `cache`, made if it is not there; by one
    process at a time, for they would write to the same root. `env` is for the packages' scripts.
    ConfigError KO-LAB-HOSTS-IMAGE with the end of what the tool said."""
    cache.mkdir(parents=True, exist_ok=True)
    tarball = cache / f"base-{digest(packages, env or {})}.tar"
    with open(cache / "bootstrap.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tarball.exists():
            _bootstrap(cache, tarball, packages, say, env or {})
    return tarball


def digest(packages: Sequence[str], env: Mapping[str, str]) -> str:
    """Changes with everything that the tarball is made from."""
    parts = [SUITE, *packages, *(f"{key}={value}" for key, value in sorted(env.items()))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _bootstrap(
    cache: Path, tarball: Path, packages: Sequence[str], say: Say, env: Mapping[str, str]
) -> None:
    root, part = cache / "root", cache / "base.part"
    shutil.rmtree(root, ignore_errors=True)
    say(f"debootstrap {SUITE} (a minute or two)")
    try:
        include = f"--include={','.join(packages)}"
        tool = which("debootstrap") or "debootstrap"
        line = [*ALONE, tool, "--variant=minbase", include, SUITE, str(root), *_mirror()]
        run(line, cache / "debootstrap.log", env)
        for directory in UNNEEDED:
            shutil.rmtree(root / directory, ignore_errors=True)
        run(["tar", "-C", str(root), "-cf", str(part), "."], cache / "tar.log")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    os.replace(part, tarball)


def _mirror() -> list[str]:
    """Where this machine's own apt has that suite from; else debootstrap knows one."""
    try:
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except OSError:
        return []
    return done.stdout.split()[:1]


def run(line: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
    """A tool to its end, its output in a file. ConfigError with the end of that if it fails."""
    with open(log, "wb") as file:
        done = subprocess.run(
            line,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            timeout=BUILD,
            check=False,
        )
    if done.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise ConfigError(
            "KO-LAB-HOSTS-IMAGE", f"{Path(line[0]).name} failed: {end}", where=str(log)
        )
