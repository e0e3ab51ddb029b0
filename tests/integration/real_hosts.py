"""Hosts with real systemd and sshd for tests: three containers, and every way to reach one.

One package's tests share them; they end with the process that made them, kill -9 included.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import pytest
from botocore.config import Config

from kafkaops.adapters.host_command import CommandHost
from kafkaops.adapters.host_local import run_here
from kafkaops.adapters.host_ssh import SshHost
from kafkaops.adapters.host_ssm import SsmHost
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import SystemClock
from kafkaops.lab.front import Front
from kafkaops.lab.hosts import image, machine
from kafkaops.lab.hosts.engine import Engine, lacking
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api as Route53Api
from kafkaops.lab.ssm import Commands
from kafkaops.lab.ssm_rest import Api as SsmApi

CACHE = Path(__file__).parents[2] / "build" / "hosts"
BOOT = 60.0


class ContainerHost(CommandHost):
    """This machine's adapter as it would run inside the host."""

    def __init__(self, name: str, address: str, engine: Engine) -> None:
        super().__init__(name, address)
        self._engine = engine

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        return run_here(machine.inside(self._engine, self.name, argv), stdin, timeout)


@dataclass
class Machines:
    """`names[i]` is at `addresses[i]`; instance ids of SSM are `i-` and a number."""

    engine: Engine
    directory: Path
    names: list[str]
    addresses: list[str]
    front: Front
    commands: Commands
    ssh_config: Path = field(init=False)
    made: list[SshHost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ssh_config = self.directory / "ssh_config"

    def ssh(self, index: int = 0, *, user: str = "ops", **more: Any) -> SshHost:
        more.setdefault("target", f"{user}@{self.addresses[index]}")
        more.setdefault("config_file", str(self.ssh_config))
        more.setdefault("control_dir", str(self.directory / "control"))
        host = SshHost(self.names[index], self.addresses[index], **more)
        self.made.append(host)
        return host

    def ssm(self, index: int = 1, *, instance: str = "") -> SsmHost:
        name = self.names[index]
        client = boto3.client(
            "ssm",
            endpoint_url=f"http://127.0.0.1:{self.front.server.server_port}",
            region_name="eu-west-1",
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        return SsmHost(
            name,
            self.addresses[index],
            instance=instance or f"i-{index}",
            aws=Aws(),
            ssm=client,
        )

    def local(self, index: int = 2) -> ContainerHost:
        return ContainerHost(self.names[index], self.addresses[index], self.engine)


@contextmanager
def machines(
    directory: Path,
    count: int = 3,
    *,
    shared: Mapping[Path, str] | None = None,
    moto: tuple[str, int] = ("127.0.0.1", 9),
) -> Iterator[Machines]:
    """Up and `running` as systemd says. Skips with the reason where they cannot be. `shared` are
    directories of this machine that each host has too, at the same place: `ro` or `rw`. `moto` is
    where the rest of AWS is; by default nobody listens there."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    if why := lacking():
        pytest.skip(why)
    testcontainers_config.ryuk_disabled = True  # its image would come from a registry
    key = directory / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30
    )
    names = [f"ko-host-{n}" for n in range(1, count + 1)]
    addresses = machine.addresses(count)
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(CACHE / "engine"))
        tag = image.build(engine, CACHE, print)
        for name, address in zip(names, addresses, strict=True):
            options = machine.options(engine, name)
            tmpfs, volumes = options.pop("tmpfs"), options.pop("volumes")
            container = DockerContainer(
                tag,
                docker_client_kw={"environment": {"DOCKER_HOST": engine.url}},
                env={"ADDRESS": address, "AUTHORIZED": key.with_suffix(".pub").read_text().strip()},
                volumes=[
                    *((src, to["bind"], to["mode"]) for src, to in volumes.items()),
                    *((str(path), str(path), mode) for path, mode in (shared or {}).items()),
                ],
                **options,
            )
            container.tmpfs = tmpfs
            stack.enter_context(container)
        agents = {f"i-{n}": machine.Shell(engine, name) for n, name in enumerate(names)}
        commands = Commands(agents, SystemClock(), visible=0.1, taken=0.15)
        front = Front(
            Route53Api(Zone("kafka.lab.", "Z0LAB")),
            ("127.0.0.1", 0),
            moto,
            SsmApi(commands),
        )
        front.start()
        stack.callback(front.server.server_close)
        stack.callback(front.server.shutdown)
        found = Machines(engine, directory, names, addresses, front, commands)
        stack.callback(lambda: [host.close() for host in found.made])
        for name in names:
            _booted(engine, name)
        _ssh_config(found, key)
        yield found


def _booted(engine: Engine, name: str) -> None:
    deadline = time.monotonic() + BOOT
    while True:
        line = machine.inside(engine, name, ("systemctl", "is-system-running"))
        _, out, err = run_here(line, b"", 20.0)
        if out.strip() == b"running":
            return
        assert time.monotonic() < deadline, f"{name} is {out!r} {err!r}"
        time.sleep(0.2)


def _ssh_config(found: Machines, key: Path) -> None:
    """The host keys come from the machines themselves, as from their consoles."""
    known = found.directory / "known_hosts"
    with open(known, "w") as file:
        for name, address in zip(found.names, found.addresses, strict=True):
            path = "/etc/ssh/ssh_host_ed25519_key.pub"
            _, out, _ = run_here(machine.inside(found.engine, name, ("cat", path)), b"", 20.0)
            kind, public, *_ = out.decode().split()
            file.write(f"{address} {kind} {public}\n")
    found.ssh_config.write_text(
        f"Host 127.0.*\n  Port {machine.SSH_PORT}\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile {os.devnull}\n"
        "  StrictHostKeyChecking no\n"  # which the adapter must not obey
    )


def digest(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()
