"""The image of a host: a minimal Debian by debootstrap, kept as a tarball, made into an image.

No image registry is needed. Where one is to be had, `KAFKAOPS_HOSTS_IMAGE` names a public Debian
image instead, and the same Dockerfile starts from that.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from kafkaops.engine.errors import ConfigError
from kafkaops.lab.hosts.engine import Engine
from kafkaops.lab.needs import which

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "procps"),
    *("ca-certificates", "nftables", "sudo", "curl"),
)
PUBLIC = "KAFKAOPS_HOSTS_IMAGE"
BASE, TAG = "kafkaops-hosts-base", "kafkaops-hosts"
CONTEXT = Path(__file__).parent
UNNEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
# Its mounts and processes end with it, whatever happens.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

Say = Callable[[str], None]


def build(engine: Engine, cache: Path, say: Say) -> str:
    """The image's name in the engine; made if it is not there, or was made from other parts.
    ConfigError with the end of what the tool said."""
    public = os.environ.get(PUBLIC, "")
    tag = f"{TAG}:{_digest(public)}"
    if engine.docker("images", "-q", tag).strip():
        return tag
    if public:
        base = public
    else:
        tarball = bootstrap(cache, say)
        base = f"{BASE}:{_digest('')}"
        say("importing the base image")
        engine.docker("import", str(tarball), base, timeout=300)
    say("building the image of a host")
    arguments = ["--build-arg", f"BASE={base}", "--build-arg", f"PACKAGES={' '.join(PACKAGES)}"]
    engine.docker("build", "--network", "host", *arguments, "-t", tag, str(CONTEXT), timeout=600)
    return tag


def bootstrap(cache: Path, say: Say) -> Path:
    """The base system's tarball in `cache`, made by debootstrap if it is not there; by one process
    at a time, for they would write to the same root."""
    cache.mkdir(parents=True, exist_ok=True)
    tarball = cache / f"base-{_digest('')}.tar"
    with open(cache / "bootstrap.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tarball.exists():
            _bootstrap(cache, tarball, say)
    return tarball


def _bootstrap(cache: Path, tarball: Path, say: Say) -> None:
    root, part = cache / "root", cache / "base.part"
    shutil.rmtree(root, ignore_errors=True)
    say(f"debootstrap {SUITE} (a minute or two)")
    try:
        include = f"--include={','.join(PACKAGES)}"
        debootstrap = which("debootstrap") or "debootstrap"
        _run(
            [*ALONE, debootstrap, "--variant=minbase", include, SUITE, str(root), *_mirror()],
            cache / "debootstrap.log",
        )
        for directory in UNNEEDED:
            shutil.rmtree(root / directory, ignore_errors=True)
        _run(["tar", "-C", str(root), "-cf", str(part), "."], cache / "tar.log")
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


def _run(line: list[str], log: Path) -> None:
    with open(log, "wb") as file:
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=900, check=False
        )
    if done.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise ConfigError(
            "KO-LAB-HOSTS-IMAGE", f"{Path(line[0]).name} failed: {end}", where=str(log)
        )


def _digest(public: str) -> str:
    """Changes with everything that the image is made from."""
    parts = [SUITE, public, *PACKAGES]
    parts += [p.read_text() for p in sorted(CONTEXT.iterdir()) if p.suffix != ".py" and p.is_file()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
