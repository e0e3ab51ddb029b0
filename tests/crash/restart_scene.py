"""A rolling restart on fakes: two brokers a rack, three racks, three controllers of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kafkaops.config.schema import Config
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Plan
from kafkaops.engine.store import MemoryFacts
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.facts import Facts
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.registry import REGISTRY
from tests.crash.engine_harness import Point, Scene, uncrashed
from tests.crash.fake_node_host import NodeHost
from tests.crash.fake_nodes import LiveClock, LiveCluster, Node
from tests.crash.fake_world import world_of

RACKS = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
ROWS = ((1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 6), (5, 6, 1), (6, 1, 2), (1, 5, 3), (4, 2, 6))
VOTERS = (100, 101, 102)
ONCE = dict.fromkeys((1, 2, 3, 4, 5, 6, *VOTERS), 1)
PROTOCOLS: dict[str, type[Any]] = {"clusters": Cluster, "hosts": Host, "facts": Facts}


def config(nodes: Sequence[int]) -> Config:
    def spec(colour: str, net: int) -> dict[str, Any]:
        return {
            "name": colour,
            "bootstrap": [f"127.0.{net}.1:9094"],
            "install": {"directory": "/opt/kafka"},
            "hosts": [
                {"name": f"{colour}-{n}", "node_id": n, "address": f"127.0.{net}.{n}"}
                for n in nodes
            ],
        }

    return Config.model_validate(
        {
            "name": "demo",
            "blue": spec("blue", 1),
            "green": spec("green", 2),
            "mirror": {"host": "green-1", "back_host": "blue-1"},
            "cutover": {"hosted_zone": "Z1", "alias": "bootstrap.kafka.lab"},
        }
    )


class ClaimedFacts(MemoryFacts):
    """Facts under an observer of its own: what is claimed of a broker must be so just then."""

    def __init__(self, cluster: LiveCluster) -> None:
        super().__init__()
        self.cluster = cluster

    def put(self, name: str, value: Any) -> None:
        super().put(name, value)
        host, _, what = name.partition(".")[2].partition(".")
        node = int(host.rpartition("-")[2]) if host.startswith("blue-") else -1
        if node not in self.cluster.nodes or not self.cluster.nodes[node].broker or value is None:
            return
        if what == "up" and not self.cluster.up(node):
            self.cluster.faults.append(f"{host} was said to be up")
        if what == "in-sync":
            mark = self.get(f"{name.partition('.')[0]}.{host}.mark") or {"isr": ()}
            for tp, part in self.cluster.parts.items():
                had = f"{tp.topic}/{tp.partition}" in mark["isr"]
                if had and node in part.replicas and node not in part.isr:
                    self.cluster.faults.append(f"{host} was said to be in sync, not so with {tp}")


class Restart:
    """One fresh world. `options` are those of the command."""

    protocols = PROTOCOLS
    registry = REGISTRY

    def __init__(
        self,
        options: Options | None = None,
        *,
        rows: Sequence[Sequence[int]] = ROWS,
        minimum: int = 2,
        voters: Sequence[int] = VOTERS,
    ) -> None:
        self.options = options or Options()
        self.clock = LiveClock()
        nodes = [Node(n, rack) for n, rack in RACKS.items()]
        nodes += [Node(v, None, broker=False) for v in voters if v not in RACKS]
        self.cluster = LiveCluster(self.clock, nodes, voters)
        self.cluster.topic("orders", rows, minimum)
        self.hosts = {f"blue-{n.id}": NodeHost(f"blue-{n.id}", n, self.cluster) for n in nodes}
        self.facts = ClaimedFacts(self.cluster)
        self.said: list[str] = []
        self.world = world_of(
            config([n.id for n in nodes]),
            self.clock,
            {"blue": self.cluster},
            self.facts,
            self.said.append,
            self.hosts,
        )

    def starts(self) -> dict[int, int]:
        """How often each node was started, its first time not counted."""
        return {n.id: n.starts - 1 for n in self.cluster.nodes.values()}

    def state(self) -> Any:
        """What must be the same however often the run died."""
        self.clock.sleep(10)
        return {
            "starts": self.starts(),
            "isr": {str(tp): sorted(p.isr) for tp, p in self.cluster.parts.items()},
            "leaders": {str(tp): p.leader for tp, p in self.cluster.parts.items()},
            "faults": self.cluster.faults,
        }

    def always(self) -> None:
        self.cluster.watch()
        assert not self.cluster.faults, self.cluster.faults

    def plan(self) -> Plan:
        return survey.plan(self.world, self.options, "run-1")

    def scene(
        self,
        operate: Callable[[Runner[World]], RunResult] = lambda runner: runner.run(),
        plan: Plan | None = None,
    ) -> Scene[World]:
        return Scene(
            plan=plan or self.plan(),
            registry=self.registry,
            world=self.world,
            clock=self.clock,
            protocols=self.protocols,
            state=self.state,
            always=self.always,
            operate=operate,
        )


def shared(world: Restart, one: int, other: int) -> bool:
    return any({one, other} <= set(p.replicas) for p in world.cluster.parts.values())


def half_a_batch() -> tuple[Restart, Scene[World], int, int]:
    """Killed between the two stops of a batch: the node that is down, and the other one."""
    rows = ((1, 2, 3), (4, 5, 6))
    world = Restart(rows=rows)
    calls = uncrashed(lambda: Restart(rows=rows).scene())[1].calls
    stops = [n for n, (name, _) in enumerate(calls, 1) if name.endswith("unit_stop")]
    scene = world.scene()
    gates = [s for s in scene.plan.specs if s.kind == "gate-open"]
    place = next(i for i, s in enumerate(gates) if len(s.args["mates"]) == 2)
    scene.process(Point(stops[place], "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if n.pid == 0]
    [left] = set(gates[place].args["mates"].values()) - {down}
    return world, scene, down, left
