"""A whole blue/green upgrade on fakes, with clients that write and read all the while.

The clients know nothing of the move: they resolve a name, connect, are forwarded or refused as
the hosts' rules say, and keep a ledger of what was acknowledged and by which cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from kafkaops.config.schema import Config
from kafkaops.config.secrets import Secrets
from kafkaops.cutover import names
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.store import MemoryFacts
from kafkaops.model.cluster import ScramUser
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.connect import Connect
from kafkaops.ports.facts import Facts
from kafkaops.ports.host import Host
from kafkaops.ports.names import Names, Record
from kafkaops.ports.probe import Probe
from kafkaops.ports.provision import Provision
from kafkaops.ports.verification import Verification
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.move import cut_of
from kafkaops.upgrade.blue_green.registry import REGISTRY
from tests.crash.engine_harness import Scene
from tests.crash.fake_host import FakeHost
from tests.crash.fake_kafka import FakeCluster
from tests.crash.fake_mirror import FakeConnect, FakeVerification
from tests.crash.fake_names import FakeNames

NODES = (1, 2, 3)
WORKERS = {"forward": "green-1", "back": "blue-1"}
SETTINGS = "/opt/kafka/config/server.properties"
TOPIC = "orders"
APP, PASSWORD = ScramUser("app-1", "SCRAM-SHA-512", 4096), "the app's own"
PROTOCOLS: dict[str, type[Any]] = {
    "clusters": Cluster,
    "hosts": Host,
    "names": Names,
    "connect": Connect,
    "facts": Facts,
    "verification": Verification,
    "probe": Probe,
    "local": Host,
    "provision": Provision,
}


class LiveClock(FakeClock):
    """Time in which others act: each sleep lets mirrors copy and clients write."""

    def __init__(self) -> None:
        super().__init__()
        self.others: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        left = max(0.0, seconds)
        while left > 0:
            super().sleep(min(left, 0.5))
            left -= 0.5
            self.others()


@dataclass
class Clients:
    """One producer a partition, leading broker `partition + 1`, and one consumer group. Nobody acts
    while they are `stopped`."""

    hosts: dict[str, FakeHost]
    clusters: dict[str, FakeCluster]
    names: FakeNames
    acknowledged: list[tuple[str, bytes]] = field(default_factory=list)
    sequence: int = 0
    last: str = ""
    switches: int = 0
    stopped: bool = False

    def act(self) -> None:
        for node in NODES:
            colour = self.reach(node)
            if colour is None:
                continue
            cluster = self.clusters[colour]
            tp = TopicPartition(TOPIC, node - 1)
            if tp not in cluster.logs:
                continue
            value = f"{node}:{self.sequence}".encode()
            self.sequence += 1
            cluster.logs[tp].append(value)
            self.acknowledged.append((colour, value))
            if colour != self.last:
                self.switches, self.last = self.switches + 1, colour
        reached = self.reach(1)
        for colour, cluster in self.clusters.items():
            cluster.live["readers"] = colour == reached
        if reached is not None:
            positions = self.clusters[reached].positions.setdefault("readers", {})
            for tp, log in self.clusters[reached].logs.items():
                if tp.topic == TOPIC:
                    positions[tp] = max(positions.get(tp, 0), len(log) - 2)

    def reach(self, node: int) -> str | None:
        """The colour that takes a write meant for this node, as a client would find it."""
        if self.stopped:
            return None
        answer = self.names.answer(f"b{node}.kafka.lab")
        host = next((h for h in self.hosts.values() if h.address in answer), None)
        if host is None:
            return None
        target = host.rules.forward(table(host))
        if target is not None:
            host = next(h for h in self.hosts.values() if h.address == target)
        if host.rules.fenced(table(host), 9092):
            return None
        return "blue" if host.name.startswith("blue") else "green"


def table(host: FakeHost) -> str:
    return "kafkaops_" + host.name.replace("-", "_")


def config() -> Config:
    def cluster(colour: str, net: int) -> dict[str, Any]:
        return {
            "name": colour,
            "security": {
                "protocol": "SASL_PLAINTEXT",
                "mechanism": "SCRAM-SHA-512",
                "username": "kafkaops",
                "password": "env:OURS",
            },
            "bootstrap": [f"127.0.{net}.1:9094"],
            "hosts": [
                {"name": f"{colour}-{n}", "node_id": n, "address": f"127.0.{net}.{n}", "via": "lab"}
                for n in NODES
            ],
        }

    return Config.model_validate(
        {
            "name": "demo",
            "blue": cluster("blue", 1),
            "green": cluster("green", 2),
            "mirror": {"host": "green-1", "back_host": "blue-1"},
            "cutover": {
                "hosted_zone": "Z1",
                "alias": "bootstrap.kafka.lab",
                "broker_names": {n: f"b{n}.kafka.lab" for n in NODES},
            },
            "clients": [{"name": "all", "moves": "follows-names", "groups": ["*"]}],
            "users": {"app-*": "env:SECRET_{user}"},
            "gates": {"hold": 1, "mirror_lag": 20, "verify_behind": 20},
        }
    )


class FakeProbe:
    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    def cluster_id(
        self, host: str, port: int, *, timeout: float = 5.0, names: Collection[str] = ()
    ) -> str | None:
        for candidate in self.clients.hosts.values():
            if candidate.address == host:
                target = candidate.rules.forward(table(candidate))
                if target is not None:
                    return self.cluster_id(target, port)
                if candidate.rules.fenced(table(candidate), port):
                    return None
                colour = "blue" if candidate.name.startswith("blue") else "green"
                return self.clients.clusters[colour].id
        return None


class Green:
    """Where green comes from: the next `looks` find a node missing."""

    def __init__(self, looks: int = 0) -> None:
        self.looks = looks

    def missing(self) -> tuple[str, ...]:
        self.looks -= 1
        return ("green-2 (node 2) is not registered",) if self.looks >= 0 else ()

    def remedy(self) -> str:
        return "start it"


class BlueGreen:
    """One fresh world with everything in it; `scene` hands it to the harness."""

    protocols: ClassVar[dict[str, type[Any]]] = PROTOCOLS

    def __init__(self, chosen: Config | None = None) -> None:
        self.config = chosen or config()
        self.clock = LiveClock()
        self.blue = FakeCluster("blue", "BLUE", NODES, "3.9")
        self.green = FakeCluster("green", "GREEN", NODES, "4.3")
        self.clusters = {"blue": self.blue, "green": self.green}
        self.blue.users = {APP: PASSWORD, replace(APP, name="other"): "unknown"}
        self.blue.create_topic(TOPIC, dict.fromkeys(range(3), NODES), {})
        self.hosts = {
            h.name: FakeHost(h.name, h.address, self.clock)
            for h in (*self.config.blue.hosts, *self.config.green.hosts)
        }
        for host in self.hosts.values():
            host.files[SETTINGS] = b"node.id=1\n"
        every = tuple(f"127.0.1.{n}" for n in NODES)
        self.names = FakeNames(
            self.clock,
            [
                Record("bootstrap.kafka.lab", "A", 60, every),
                *(Record(f"b{n}.kafka.lab", "A", 60, (f"127.0.1.{n}",)) for n in NODES),
            ],
        )
        self.facts = MemoryFacts()
        self.provision = Green()
        self.clients = self.made_clients()
        self.connect = {
            "forward": FakeConnect(self.blue, self.green, lambda: self._up(WORKERS["forward"])),
            "back": FakeConnect(self.green, self.blue, lambda: self._up(WORKERS["back"])),
        }
        self.clock.others = self.live
        self.world = World(
            config=self.config,
            clock=self.clock,
            clusters=self.clusters,
            hosts=self.hosts,
            local=self.made_local(),
            names=self.names,
            probe=FakeProbe(self.clients),
            connect_command=("java",),
            connect=self.connect,
            verification={
                "forward": FakeVerification(
                    self.blue, self.green, self.clock, lambda: cut_of(self.facts, "forward")
                ),
                "back": FakeVerification(
                    self.green, self.blue, self.clock, lambda: cut_of(self.facts, "back")
                ),
            },
            versions=cast(Any, None),
            facts=self.facts,
            secrets=Secrets(environ={"OURS": "ours", "SECRET_app-1": PASSWORD}),
            say=lambda words: None,
            provision=self.provision,
        )
        records = self.names.records(names.wanted_names(self.config.cutover))
        self.facts.put("names.planned", names.planned(records))
        for _ in range(3):
            self.live()

    def made_clients(self) -> Clients:
        return Clients(self.hosts, self.clusters, self.names)

    def made_local(self) -> FakeHost:
        """Where hooks run."""
        return FakeHost("here", "127.0.0.1", self.clock)

    def _up(self, host: str) -> bool:
        return self.hosts[host].services.get("mirror", False)

    def live(self) -> None:
        for connect in self.connect.values():
            connect.pump()
        self.clients.act()
        self.always()

    def strays(self, colour: str) -> None:
        """A record that neither these clients nor a mirror of ours wrote."""
        value = f"stray:{self.clients.sequence}".encode()
        self.clients.sequence += 1
        self.clusters[colour].logs[TopicPartition(TOPIC, 0)].append(value)

    def always(self) -> None:
        """Never do both clusters take writes: once the other acknowledged, the first is past."""
        writable = {c for node in NODES if (c := self.clients.reach(node)) is not None}
        assert len(writable) <= 1, f"both clusters take writes: {writable}"

    def lost(self, colour: str) -> list[bytes]:
        """Acknowledged and not in this cluster's log."""
        held = {v for log in self.clusters[colour].logs.values() for v in log if v is not None}
        return [value for _, value in self.clients.acknowledged if value not in held]

    def duplicated(self, colour: str) -> int:
        held = [v for log in self.clusters[colour].logs.values() for v in log if v is not None]
        return len(held) - len(set(held))

    def state(self) -> Any:
        """What must be the same however often the run died."""
        here = self.clients.last
        for _ in range(4):  # the mirror back may be a batch behind
            for connect in self.connect.values():
                connect.pump(1000)
        return {
            "serves": here,
            "lost": self.lost(here),
            "duplicated": self.duplicated(here),
            "names": [(r.name, r.values) for r in sorted(self.names.held.values())],
            "fences": {
                name: (host.rules.fenced(table(host), 9092), host.rules.forward(table(host)))
                for name, host in self.hosts.items()
            },
            "ttls": {r.ttl for r in self.names.held.values()},
            "settings": {name: host.files[SETTINGS] for name, host in self.hosts.items()},
            "mirrors": {d: c.state for d, c in self.connect.items()},
            "workers": {d: self._up(host) for d, host in WORKERS.items()},
            "topics": sorted(self.clusters[here].topics()),
            "users": sorted(self.clusters[here].users.items()),
            "groups": {name: sorted(c.positions) for name, c in self.clusters.items()},
        }

    def scene(
        self,
        plan: Callable[..., Any] = planner.forward,
        operate: Callable[[Runner[World]], RunResult] = lambda runner: runner.run(),
    ) -> Scene[World]:
        return Scene(
            plan=plan(self.config, id="run-1", created=0.0),
            registry=REGISTRY,
            world=self.world,
            clock=self.clock,
            protocols=self.protocols,
            state=self.state,
            always=self.always,
            operate=operate,
        )
