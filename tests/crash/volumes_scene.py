"""Work on the volumes of a cluster on fakes: three brokers and a controller, a blank disk each.

What is typed on a host is typed at the real command line, on that host's own strict fakes.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha512
from pathlib import Path
from typing import Any

from kafkaops.cli.main import run
from kafkaops.cli.operations import only_reading
from kafkaops.config.schema import Config
from kafkaops.engine.errors import Unreachable
from kafkaops.engine.facts import MemoryFacts
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.facts import Facts
from kafkaops.ports.host import Host, Ran
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.volumes import host_file
from kafkaops.volumes.cluster import survey
from kafkaops.volumes.cluster.asking import Asked
from kafkaops.volumes.cluster.planner import Packed
from kafkaops.volumes.cluster.registry import REGISTRY
from kafkaops.volumes.module import COMMAND, CURRENT
from tests.crash.engine_harness import Scene
from tests.crash.fake_nodes import LiveClock, LiveCluster, Node
from tests.crash.fake_world import world_of
from tests.unit.cli.test_volume import OnHost
from tests.unit.volumes.fake_disks import ARN, Stage

PROTOCOLS: dict[str, type[Any]] = {"clusters": Cluster, "hosts": Host, "facts": Facts}
NODES = (1, 2, 3, 100)
DISK = {"name": "data-1", "device": "instance-store:1", "mountpoint": "/var/lib/kafka/data-1"}
TYPING = threading.Lock()
"""Hosts that are asked side by side share this process's stdout."""


class VolumeHost:
    """What this work uses of `ports.host.Host`. `module` False: nobody installed it."""

    def __init__(self, name: str, node: int, voter: bool) -> None:
        self.name, self.stage, self.module = name, Stage(), True
        self.away = False
        self.cli = OnHost(self.stage, node=node, voter=voter, cluster="blue")
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.trees: set[str] = set()
        self.enabled: set[str] = set()
        self.loaded: set[str] = set()
        self.typed: list[tuple[str, ...]] = []

    def where(self, path: str) -> str:
        return path

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        if self.away:
            raise Unreachable("KO-UNREACHABLE", f"{self.name} does not answer", where=self.name)
        if argv[0] != COMMAND or not self.module:
            return Ran(127, "", f"{argv[0]}: not found")
        self.typed.append(tuple(argv[2:]))
        out, err = io.StringIO(), io.StringIO()
        with TYPING, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(argv[1:]), self.cli)
        return Ran(code, out.getvalue(), err.getvalue())

    def query(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        return self.run(argv, timeout=timeout)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "") -> None:
        self.files[path] = data

    def upload(self, path: str, source: Path, *, sha512: str, **more: Any) -> None:
        assert _digest(source) == sha512
        self.files[path] = source.read_bytes()

    def unpack(self, tarball: str, directory: str, **more: Any) -> None:
        assert tarball in self.files or directory in self.trees
        self.trees.add(directory)

    def remove(self, path: str) -> None:
        self.files.pop(path, None)
        self.links.pop(path, None)

    def link(self, path: str) -> str | None:
        return self.links.get(path)

    def changed(self, path: str) -> float | None:
        return 1000.0 if path in self.files else None

    def switch(self, path: str, target: str) -> None:
        assert path not in self.files, "it is there and no symbolic link"
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        assert there in self.trees or (there == COMMAND and CURRENT in self.links), "to nothing"
        self.links[path] = target

    def units_reload(self) -> None:
        self.loaded = {posixpath.basename(p) for p in self.files if p.startswith("/etc/systemd")}

    def unit(self, name: str) -> Unit:
        stale = self.template(name) not in self.loaded
        return Unit(name, "inactive", "dead", enabled=name in self.enabled, stale=stale)

    def unit_enable(self, name: str, *, on: bool = True) -> None:
        if on:
            assert self.template(name) in self.loaded, "systemd knows no such unit"
            self.enabled.add(name)
        else:
            self.enabled.discard(name)

    @staticmethod
    def template(name: str) -> str:
        head, at, _ = name.partition("@")
        return f"{head}@.service" if at else name


class OperatorsCopies:
    """What hosts keep in S3, as seen by who may delete it."""

    def __init__(self, hosts: Mapping[str, VolumeHost]) -> None:
        self.hosts = hosts

    def listed(self, uri: str) -> tuple[str, ...]:
        return tuple(name for h in self.hosts.values() for name in h.stage.copies.listed(uri))

    def delete(self, uri: str) -> None:
        for host in self.hosts.values():
            host.stage.copies.objects.pop(uri, None)


def _digest(path: Path) -> str:
    return sha512(path.read_bytes()).hexdigest()


def config() -> Config:
    hosts = [{"name": f"blue-{n}", "node_id": n, "address": f"127.0.1.{n}"} for n in NODES]
    volumes = {"key": ARN, "copies": "s3://keys/volumes", "disks": [DISK]}
    blue = {"name": "blue", "bootstrap": ["127.0.1.1:9094"], "hosts": hosts, "volumes": volumes}
    return Config.model_validate({"name": "demo", "blue": blue})


class Volumes:
    """One fresh world; `asked` is the command, `voters` have a vote in the metadata quorum."""

    def __init__(
        self, asked: Asked, packed: Packed | None = None, voters: tuple[int, ...] = (100,)
    ) -> None:
        self.asked, self.packed = asked, packed
        self.clock = LiveClock()
        nodes = [Node(n, None, broker=n < 100) for n in NODES]
        self.cluster = LiveCluster(self.clock, nodes, voters)
        self.cluster.topic("orders", [(1, 2, 3), (2, 3, 1), (3, 1, 2)], 2)
        self.hosts = {f"blue-{n}": VolumeHost(f"blue-{n}", n, n in voters) for n in NODES}
        self.facts = MemoryFacts()
        self.world = world_of(
            config(), self.clock, {"blue": self.cluster}, self.facts, hosts=self.hosts
        )
        object.__setattr__(self.world, "copies", OperatorsCopies(self.hosts))

    def prepared(self) -> Volumes:
        """Every volume made and mounted beforehand."""
        for name, host in self.hosts.items():
            label = host.cli.spec.label
            done = host.run([COMMAND, "volume", "prepare", "--confirm", label, "-o", "json"])
            assert done.code == 0, (name, done)
            host.typed.clear()
        return self

    def plan(self) -> Plan:
        return survey.plan(only_reading(self.world), self.asked, self.packed, "run-1")

    def state(self) -> Any:
        return {
            name: {
                "formats": host.stage.disks.formats,
                "mounted": host.stage.disks.facts.at is not None,
                "slots": sorted(host.stage.disks.locks),
                "opens": host.stage.disks.facts.header is None or host.stage.opens(host.cli.spec),
                "copies": len(host.stage.copies.objects),
                "files": sorted(host.files),
                "links": dict(host.links),
                "enabled": sorted(host.enabled),
            }
            for name, host in self.hosts.items()
        }

    def always(self) -> None:
        for name, host in self.hosts.items():
            assert host.stage.disks.formats <= 1, f"{name} was formatted twice"
            if host.stage.disks.facts.header is not None:
                assert host.stage.opens(host.cli.spec), f"no key opens the volume of {name}"

    def scene(
        self,
        operate: Callable[[Runner[World]], RunResult] = lambda runner: runner.run(),
        *,
        erases: bool = False,
    ) -> Scene[World]:
        return Scene(
            plan=self.plan(),
            registry=REGISTRY,
            world=self.world,
            clock=self.clock,
            protocols=PROTOCOLS,
            state=self.state,
            always=self.always if not erases else lambda: None,
            operate=operate,
        )


def hosts_file(host: VolumeHost) -> host_file.HostFile:
    return host_file.read(host.files[host_file.PATH].decode())
