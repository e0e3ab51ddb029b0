"""A blue/green upgrade with `cutover.fence: clients` on fakes: no host has a firewall, clients keep
their connections until a hook ends them, and their machines keep answers as long as the TTL says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafkaops.config.schema import ClientGroup, Config
from kafkaops.ports.host import Ran
from tests.crash.blue_green_scene import NODES, BlueGreen, Clients, config
from tests.crash.fake_host import FakeHost

STOP, START = ("app", "stop"), ("app", "start")


def hooked(base: Config) -> Config:
    group = ClientGroup(name="app", moves="hooks", groups=("*",), stop=STOP, start=START)
    cut = base.cutover.model_copy(update={"fence": "clients"})
    return base.model_copy(update={"clients": (group,), "cutover": cut})


@dataclass
class Connected(Clients):
    """Who is connected stays where it is, wherever the names lead; a started client asks its
    machine's cache."""

    homes: dict[int, str] = field(default_factory=dict)
    cached: dict[str, tuple[float, float, tuple[str, ...]]] = field(default_factory=dict)

    def act(self) -> None:
        for node in NODES:
            self.resolve(node)  # others on the machine keep the cache filled
        if self.stopped:
            self.homes.clear()
        super().act()

    def resolve(self, node: int) -> tuple[str, ...]:
        name, now = f"b{node}.kafka.lab", self.names.clock.monotonic()
        at, ttl, answer = self.cached.get(name, (0.0, -1.0, ()))
        if now - at >= ttl:
            answer = self.names.answer(name)
            self.cached[name] = (now, float(self.names.served[name].ttl), answer)
        return answer

    def reach(self, node: int) -> str | None:
        if self.stopped:
            return None
        if node not in self.homes:
            answer = self.resolve(node)
            host = next(h for h in self.hosts.values() if h.address in answer)
            self.homes[node] = "blue" if host.name.startswith("blue") else "green"
        return self.homes[node]


class Machine(FakeHost):
    """Where the clients run: their commands stop and start them, except those in `broken`."""

    clients: Connected
    broken: tuple[tuple[str, ...], ...] = ()

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        self.ran.append(tuple(argv))
        if tuple(argv) in self.broken:
            return Ran(1, "", "it hangs")
        if tuple(argv) in (STOP, START):
            self.clients.stopped = tuple(argv) == STOP
            self.clients.homes.clear()
            self.clients.act()
        return Ran(0, "", "")


class NoFirewall(FakeHost):
    """A host where nobody may so much as look at a firewall."""

    def firewall(self, ruleset: str, *, timeout: float = 10.0) -> Ran:
        raise AssertionError(f"a firewall rule for {self.name}: {ruleset}")

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        assert not any("nft -f" in word for word in argv), f"a firewall rule for {self.name}"
        return super().run(argv, stdin=stdin, timeout=timeout)

    def firewall_show(self, table: str) -> str | None:
        raise AssertionError(f"the firewall of {self.name} was asked for")


class Outage(BlueGreen):
    """`stray` writes a record to this cluster at every moment, whatever hooks do."""

    def __init__(self) -> None:
        self.stray = ""
        super().__init__(hooked(config()))

    def made_clients(self) -> Clients:
        for host in self.hosts.values():
            host.__class__ = NoFirewall
        return Connected(self.hosts, self.clusters, self.names)

    def made_local(self) -> FakeHost:
        machine = Machine("here", "127.0.0.1", self.clock)
        assert isinstance(self.clients, Connected)
        machine.clients = self.clients
        return machine

    @property
    def machine(self) -> Machine:
        assert isinstance(self.world.local, Machine)
        return self.world.local

    def live(self) -> None:
        super().live()
        if self.stray:
            self.strays(self.stray)

    def state(self) -> Any:
        return {**super().state(), "stopped": self.clients.stopped}
