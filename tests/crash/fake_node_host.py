"""The host of one node of the fake cluster: what a roll uses of `ports.host.Host`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kafkaops.engine.errors import StepFailed, Unreachable
from kafkaops.ports.host import Ran
from kafkaops.ports.host_agents import AgentsState
from kafkaops.ports.host_units import Unit
from tests.crash.fake_host import FakeHost
from tests.crash.fake_nodes import LiveCluster, Node

PINNED = re.compile(rb"^\s*inter\.broker\.protocol\.version\s*[=:]\s*(\S+)", re.MULTILINE)


class NodeHost:
    """Implements what a roll uses of `ports.host.Host`, for the host of one node."""

    def __init__(self, name: str, node: Node, cluster: LiveCluster) -> None:
        self.name, self.node, self.cluster = name, node, cluster
        self.address = f"127.0.1.{node.id}"
        self.log = ""
        self.away = False
        self.files: dict[str, bytes] = {}
        self.properties = "/opt/kafka/config/server.properties"
        self.rights: dict[str, tuple[int, str]] = {}
        self.links = {"/opt/kafka/current": "versions/3.9.2"}
        self.unpacked = {"/opt/kafka/versions/3.9.2": "3.9.2"}
        self.room = 10**12
        self.times: dict[str, float] = {}
        self.trial: Ran | None = None
        libs = self.where("/opt/kafka/current/libs/*")
        self.line = ("java", "-Xmx6g", "-cp", libs, "kafka.Kafka", "s.p")
        self.path = ""
        self.user = "kafka"
        self.refused: set[str] = set()
        self.tried: list[tuple[str, ...]] = []
        self.net = FakeHost(name, f"127.0.1.{node.id}", cluster.clock)
        self.units: dict[str, str] = {}
        self.remembered: list[str] = []
        self.full: set[str] = set()  # what finds the disk full: upload, unpack, put
        self.returns: float | None = None
        self.mounts: dict[str, str] = {}

    def now(self) -> float:
        self._reached()
        return self.cluster.clock.wall()

    def read(self, path: str) -> bytes | None:
        self._reached()
        return self.files.get(path)

    def unit(self, name: str) -> Unit:
        self._reached()
        node, active = self.node, self.node.pid > 0
        word = "active" if active else "failed" if node.killed else "inactive"
        word = word if node.again is None else "activating"
        return Unit(
            name,
            word,
            "running" if active else "dead",
            node.pid,
            node.started if active else 0.0,
            None if active or node.killed else node.ended,
            None if active else node.killed,
            "success" if active or not node.killed else "signal",
            restarts=node.restarts,
            file="/etc/systemd/system/kafka.service",
            drop_ins=("/etc/systemd/system/kafka.service.d/override.conf",),
        )

    def unit_stop(self, name: str, *, timeout: float = 330.0) -> Unit:
        self._reached()
        assert timeout > 300, "shorter than the controlled shutdown may take"
        if self.node.pid:
            self.cluster.down(self.node.id)
            self.node.ended = None if self.node.signal else self.node.code
            self.node.killed = self.node.signal
            self.cluster.watch()
            self.cluster.clock.sleep(self.node.stop)
        self.node.again = None
        return self.unit(name)

    def unit_start(self, name: str, *, timeout: float = 90.0) -> Unit:
        self._reached()
        if not self.node.pid:
            version = self.links["/opt/kafka/current"].rpartition("/")[2]
            if version in self.refused:
                raise StepFailed("KO-UNIT", f"Kafka {version} ended at once", where=self.name)
            self.node.version = version
            if not self.cluster.voters:
                said = PINNED.search(self.files.get(self.properties, b""))
                line = version.rpartition(".")[0]
                self.node.protocol = said[1].decode() if said else f"{line}-IV0"
            self.node.restarts = 0  # as systemd does for a start that is not its own
            self.cluster.start(self.node.id)
        return self.unit(name)

    # agents: the host's own timer brings them back

    def agents(self, units: Sequence[str]) -> AgentsState:
        self._reached()
        self.timer()
        states = {u: self.units.get(u, "not-found") for u in units}
        return AgentsState(states, tuple(self.remembered), self.returns is not None)

    def agents_hold(self, units: Sequence[str], *, seconds: float) -> None:
        self._reached()
        self.timer()
        active = [u for u in units if self.units.get(u) == "active"]
        self.remembered += [u for u in active if u not in self.remembered]
        self.returns = self.cluster.clock.monotonic() + seconds
        self.units |= dict.fromkeys(self.remembered, "inactive")

    def agents_arm(self, *, seconds: float) -> None:
        self._reached()
        self.timer()
        if self.returns is not None:
            self.returns = self.cluster.clock.monotonic() + seconds

    def agents_back(self) -> None:
        self._reached()
        self.units |= dict.fromkeys(self.remembered, "active")
        self.remembered, self.returns = [], None

    def timer(self) -> None:
        if self.returns is not None and self.cluster.clock.monotonic() >= self.returns:
            self.agents_back()

    # the firewall

    def firewall(self, ruleset: str, *, timeout: float = 10.0) -> Ran:
        self._reached()
        return self.net.firewall(ruleset)

    def firewall_show(self, table: str) -> str | None:
        self._reached()
        return self.net.firewall_show(table)

    @property
    def closed(self) -> bool:
        return self.net.rules.fenced("kafkaops_" + self.name.replace("-", "_"), 9092)

    # files

    def where(self, path: str) -> str:
        return f"/hosts/{self.name}{path}"

    def link(self, path: str) -> str | None:
        self._reached()
        return self.links.get(path)

    def mounted(self, path: str) -> str | None:
        self._reached()
        return self.mounts.get(path)

    def changed(self, path: str) -> float | None:
        self._reached()
        return self.times.get(path)

    def free(self, path: str) -> int:
        self._reached()
        return self.room

    def sha512(self, path: str) -> str | None:
        self._reached()
        for home, release in self.unpacked.items():
            if path == f"{home}/libs/kafka-clients-{release}.jar":
                return "of the jar"
        return self.files[path].decode() if path in self.files else None

    def open_files(self, pid: int) -> tuple[str, ...]:
        self._reached()
        home = f"/opt/kafka/versions/{self.node.version}"
        assert pid == self.node.pid
        return (f"{home}/libs/kafka_2.13-{self.node.version}.jar", "/var/log/kafka/server.log")

    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "") -> None:
        self._reached()
        self._room("put", path)
        assert path != self.properties or not self.node.pid, f"{self.name} runs while it is written"
        self.files[path], self.rights[path] = data, (mode, owner)
        self.times[path] = self.cluster.clock.wall()

    def upload(
        self, path: str, source: object, *, sha512: str, timeout: float = 600.0, **more: object
    ) -> None:
        self._reached()
        self._room("upload", path)
        self.files[path] = sha512.encode()

    def unpack(self, tarball: str, directory: str, *, owner: str = "") -> None:
        self._reached()
        assert tarball in self.files
        if directory not in self.unpacked:
            self._room("unpack", directory)
        self.unpacked.setdefault(directory, tarball.rpartition("/.")[2].removesuffix(".tgz"))

    def switch(self, path: str, target: str) -> None:
        self._reached()
        assert self.node.pid == 0, f"{self.name} runs while its version is changed"
        assert not target.startswith("/"), "the host's own adapter refuses that"
        self.links[path] = target

    def remove(self, path: str) -> None:
        self._reached()
        self.files.pop(path, None)
        self.unpacked.pop(path, None)

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        self._reached()
        if argv[0] in ("date", "sh"):
            return self.net.run(argv, stdin=stdin)
        if argv[0] == "grep":
            return Ran(0, f"{self.path}\0" if self.path else "", "")
        if argv[0] == "cat":
            return Ran(0, "\0".join(self.line), "")
        if argv[0] == "stat":
            return Ran(0, "640 kafka staff\n" if "%a" in argv[2] else f"{self.user}\n", "")
        self.tried.append(tuple(argv))
        if self.trial is not None:
            return self.trial
        return Ran(0, f"{argv[-3].split('/')[-3]} (Commit:abc)", "")

    def journal(self, name: str, *, lines: int = 100) -> str:
        self._reached()
        return self.log

    def _room(self, what: str, path: str) -> None:
        """Whole or not at all: as the scripts of `adapters.host_scripts` leave it."""
        if what in self.full:
            raise StepFailed("KO-HOST-DISK", f"{path}: the disk is full", where=self.name)

    def _reached(self) -> None:
        if self.away:
            raise Unreachable("KO-HOST-AWAY", f"{self.name} does not answer")
