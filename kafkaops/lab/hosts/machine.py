"""How a container becomes a host: what the engine is told, and how commands get into it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from typing import Any

from kafkaops.engine.errors import ConfigError
from kafkaops.lab.hosts.engine import DOCKER, SBIN, Engine

SSH_PORT = 22
SMALL = "/small"
# As the agent does it: the script is a file, and there is nothing on its stdin.
SCRIPT = 'f=$(mktemp) && cat > "$f" && sh "$f" </dev/null; code=$?; rm -f "$f"; exit $code'
# The lab's hosts are on 127.0.1-2 of a network of their own; these are on the machine's.
BLOCKS = range(31, 61)


def options(engine: Engine, name: str) -> dict[str, Any]:
    """Arguments of the engine's `create` for a systemd host; `SMALL` is a disk of 4 MiB.
    SYS_PTRACE is what root of a real machine has, to see which files a process holds open."""
    return {
        "name": name,
        "hostname": name,
        "network_mode": "host",
        "cap_add": ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        "cgroupns": "host",
        "cgroup_parent": engine.cgroup,
        "tmpfs": {"/run": "exec", "/run/lock": "", SMALL: "size=4m"},
        "volumes": {"/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "rw"}},
    }


def addresses(count: int) -> list[str]:
    """Loopback addresses whose SSH port is free. ConfigError if something listens on it on
    every address of this machine."""
    for block in BLOCKS:
        wanted = [f"127.0.{block}.{n}" for n in range(1, count + 1)]
        if all(map(_free, wanted)):
            return wanted
    raise ConfigError(
        "KO-LAB-HOSTS",
        f"port {SSH_PORT} is taken on all of 127.0.0.0/8",
        hint="a server that listens on 0.0.0.0 has it: let it listen on its own address",
    )


def _free(address: str) -> bool:
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            link.bind((address, SSH_PORT))
            link.listen(1)
        except OSError:
            return False
        return True


def inside(engine: Engine, name: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in a host as root, with this one's stdin."""
    return [DOCKER, "-H", engine.url, "exec", "-i", name, *argv]


class Shell:
    """What stands for the SSM agent of one host: runs a script there, as root."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name

    def run(self, script: str, timeout: int) -> tuple[int, bytes, bytes]:
        """Exit code, stdout, stderr; 137 where it was killed when its time was over."""
        bound = ("timeout", "-s", "KILL", str(timeout), "sh", "-c", SCRIPT)
        done = subprocess.run(
            inside(self.engine, self.name, bound),
            input=script.encode(),
            env={**os.environ, "PATH": SBIN},
            capture_output=True,
            timeout=timeout + 60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr
