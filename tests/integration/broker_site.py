"""The operator's side of a cluster with a broker in a virtual machine: its config, and kafkaops as
a command, whose every line is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kafkaops.lab.broker import kafka_id
from kafkaops.lab.vm.host import VmHost
from kafkaops.lab.vm.image import Image
from kafkaops.lab.vm.machine import Disk, Machine, machine
from tests.integration import broker_vm
from tests.integration.broker_vm import NODES, REPL, SSH, must
from tests.integration.volume_host import CREDENTIALS, Aws, emulated

MEMORY = 1280  # MiB
KEYS = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "secret"}


@dataclass
class Going:
    """A command under way; `out` is what it has said so far."""

    process: subprocess.Popen[bytes]
    out: Path

    def says(self, words: str, seconds: float) -> None:
        broker_vm.within(seconds, lambda: words in self.out.read_text(), self.out.read_text)

    def ends(self, seconds: float) -> None:
        assert self.process.wait(seconds) == 0, self.out.read_text()


@dataclass
class Site:
    """`figures` are seconds by what took them; `told` is what kafkaops said, command by command."""

    directory: Path
    vm: Machine
    aws: Aws
    figures: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def host(self) -> VmHost:
        return VmHost("vm-1", self.vm)

    def kafkaops(self, *argv: str, expect: int = 0) -> str:
        """stdout and stderr of a command as they come."""
        begun = time.monotonic()
        ended = subprocess.run(
            self._line(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
            env=os.environ | KEYS,
        )
        took = round(time.monotonic() - begun, 1)
        self.figures[" ".join(argv)] = took
        self.told.append(
            f"$ kafkaops {' '.join(argv)}\n{ended.stdout}({ended.returncode}, {took} s)"
        )
        (self.directory / "told").write_text("\n".join(self.told))
        assert ended.returncode == expect, self.told[-1]
        return ended.stdout

    @contextmanager
    def going(self, *argv: str) -> Iterator[Going]:
        """A command that is not waited for; ended, if it has not, when this is over."""
        out = self.directory / f"going-{len(self.told)}"
        with open(out, "wb") as file:
            process = subprocess.Popen(
                self._line(argv),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | KEYS,
            )
        try:
            yield Going(process, out)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(30)
            self.told.append(f"$ kafkaops {' '.join(argv)}\n{out.read_text()}")
            (self.directory / "told").write_text("\n".join(self.told))

    def _line(self, argv: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "kafkaops", *argv, "-c", str(self.directory / "vm.yaml")]

    def timed(self, what: str, begun: float) -> None:
        self.figures[what] = round(time.monotonic() - begun, 1)

    def broker_up(self, seconds: float = 900.0) -> None:
        begun = time.monotonic()
        broker_vm.within(seconds, lambda: 1 in broker_vm.up(), self.journal)
        self.timed("the broker is up", begun)

    def synced(self, seconds: float = 600.0) -> None:
        broker_vm.within(
            seconds,
            lambda: all(isr == [1, 2, 3] for isr in broker_vm.in_sync().values()),
            lambda: f"{broker_vm.in_sync()}\n{self.journal()}",
        )

    def journal(self) -> str:
        code, out, _ = self.vm.run(("journalctl", "-u", "kafka", "-n", "40", "--no-pager"))
        return out.decode(errors="replace") if code == 0 else self.vm.console()[-3000:]


@contextmanager
def site(image: Image, directory: Path) -> Iterator[Site]:
    """Up: two brokers, the machine without Kafka's disks made, and emulated AWS."""
    key = directory / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30
    )
    disks = (Disk("AWS1"), Disk("AWS2"))
    extras = broker_vm.extras(directory)
    cluster = kafka_id()
    with (
        emulated(broker_vm.AWS) as aws,
        broker_vm.others(directory, cluster),
        machine(image, directory / "vm", disks, MEMORY, extras) as vm,
    ):
        broker_vm.furnish(vm, key.with_suffix(".pub").read_text())
        must(vm, "mkdir", "-p", "/root/.aws")
        must(vm, "tee", "/root/.aws/credentials", stdin=CREDENTIALS)
        found = Site(directory, vm, aws)
        _ssh_config(found, key)
        _config(found)
        broker_vm.within(120, lambda: broker_vm.up() >= {2, 3}, lambda: "brokers 2 and 3 not up")
        yield found


def _ssh_config(site: Site, key: Path) -> None:
    """The host key comes from the machine itself, as from its console."""
    public = must(site.vm, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
    known = site.directory / "known_hosts"
    known.write_text(f"[{NODES[1]}]:{SSH} {public[0]} {public[1]}\n")
    (site.directory / "ssh_config").write_text(
        f"Host {NODES[1]}\n  Port {SSH}\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile {os.devnull}\n"
    )


def _config(site: Site) -> None:
    disks = [
        {"name": Path(home).name, "device": f"instance-store:{n}", "mountpoint": home}
        for n, home in enumerate(broker_vm.DIRS, 1)
    ]
    document = {
        "schema_version": 1,
        "name": "vm",
        "state": {"dir": "state", "lease": "file"},
        "ssh": {"config_file": "ssh_config"},
        "aws": {"endpoint_url": site.aws.endpoint},
        "blue": {
            "name": "vm-blue",
            "bootstrap": [f"{NODES[2]}:{REPL}"],
            "properties": "/etc/kafka/server.properties",
            "hosts": [
                {
                    "name": "vm-1",
                    "node_id": 1,
                    "address": NODES[1],
                    "via": "ssh",
                    "target": f"root@{NODES[1]}",
                }
            ],
            "volumes": {
                "key": site.aws.key,
                "copies": "s3://keys/volumes",
                "owner": "kafka:kafka",
                "disks": disks,
            },
        },
    }
    (site.directory / "vm.yaml").write_text(json.dumps(document))  # JSON is YAML
