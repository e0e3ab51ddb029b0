"""The image of a host: a minimal Debian by debootstrap, kept as a tarball, made into an image.

No image registry is needed. Where one is to be had, `KAFKAOPS_HOSTS_IMAGE` names a public Debian
image instead, and the same Dockerfile starts from that.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kafkaops.lab.debian import SUITE, Say, bootstrap
from kafkaops.lab.hosts.engine import Engine

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "procps"),
    *("ca-certificates", "nftables", "sudo", "curl"),
)
PUBLIC = "KAFKAOPS_HOSTS_IMAGE"
BASE, TAG = "kafkaops-hosts-base", "kafkaops-hosts"
CONTEXT = Path(__file__).parent


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
        tarball = bootstrap(cache, PACKAGES, say)
        base = f"{BASE}:{_digest('')}"
        say("importing the base image")
        engine.docker("import", str(tarball), base, timeout=300)
    say("building the image of a host")
    arguments = ["--build-arg", f"BASE={base}", "--build-arg", f"PACKAGES={' '.join(PACKAGES)}"]
    engine.docker("build", "--network", "host", *arguments, "-t", tag, str(CONTEXT), timeout=600)
    return tag


def _digest(public: str) -> str:
    """Changes with everything that the image is made from."""
    parts = [SUITE, public, *PACKAGES]
    parts += [p.read_text() for p in sorted(CONTEXT.iterdir()) if p.suffix != ".py" and p.is_file()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
