"""A cluster whose brokers stop, start, recover and catch up as time goes by, with its hosts.

The metadata is what the processes make it: who stops leaves ISRs and leads nothing, who starts is
registered after a while and enters each ISR later still. `watch` is an observer of its own: it
looks at every change and every half second, and knows nothing of kafkaops.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import Unreachable
from kafkaops.model.cluster import Broker, ClusterState, Quorum, Told
from kafkaops.model.features import FeatureNode, Features
from kafkaops.model.partition import Ends, Partition, Topic, TopicConfig, TopicPartition
from tests.crash.fake_features import SUPPORTS

STEP = 0.5
LAG = 0.5
LIFE = 3.0


class LiveClock(FakeClock):
    """Time in which the brokers act."""

    def __init__(self) -> None:
        super().__init__()
        self.others: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        left = max(0.0, seconds)
        while left > 0:
            super().sleep(min(left, STEP))
            left -= STEP
            self.others()


@dataclass
class Node:
    """`boot` seconds from its start to its registration, `catch_up` from there into each ISR;
    `stop` seconds to stop; `code` and `signal` are how its next stop ends. `broken`: it starts and
    is never registered; so it does with the version `hangs_on`. With `loops_on` its process ends
    after `LIFE` seconds and its unit starts it after as many `again`, `restarts` times by now.
    `version` is what its process runs, `protocol` what that speaks in ZooKeeper mode."""

    id: int
    rack: str | None
    broker: bool = True
    boot: float = 2.0
    catch_up: float = 3.0
    stop: float = 1.0
    code: int | None = 143
    signal: int | None = None
    broken: bool = False
    hangs_on: str = ""
    loops_on: str = ""
    restarts: int = 0
    again: float | None = None
    version: str = "3.9.2"
    protocol: str = ""
    pid: int = 0
    started: float = 0.0
    registered: bool = True
    ready: float = 0.0
    ended: int | None = None
    killed: int | None = None
    starts: int = 1


@dataclass
class Part:
    replicas: tuple[int, ...]
    minimum: int
    isr: list[int]
    leader: int
    ready: dict[int, float] = field(default_factory=dict)


class LiveCluster:
    """Implements what a roll uses of `ports.cluster.Cluster`."""

    def __init__(self, clock: LiveClock, nodes: Sequence[Node], voters: Sequence[int]) -> None:
        self.clock = clock
        self.id, self.name = "BLUE", "blue"
        self.nodes = {n.id: n for n in nodes}
        self.voters = tuple(voters)
        self.electable = self.voters or tuple(n.id for n in nodes)  # in ZooKeeper mode any broker
        self.active = self.electable[0]
        self.parts: dict[TopicPartition, Part] = {}
        self.moving: dict[TopicPartition, tuple[int, ...]] = {}
        self.pids = itertools.count(1000)
        self.elections = 0
        self.finalized = {"metadata.version": 21}
        self.ghosts: tuple[FeatureNode, ...] = ()
        self.unseen = ""
        self.written: Counter[TopicPartition] = Counter()
        self.serving: Callable[[], bool] = lambda: True
        self.faults: list[str] = []
        self.on_tick: Callable[[], None] = lambda: None
        self.behind: set[int] = set()  # voters that run and do not follow the leader's log
        self.leaderless = False  # the voters elect nobody
        self.slow = 0.0  # seconds until a broker has told of itself
        self.silent: set[int] = set()  # brokers that serve and do not answer us
        self.unelected: set[TopicPartition] = set()  # an election for these is without effect once
        self.late: tuple[float, tuple[int, ...], Mapping[str, Topic]] | None = None
        for node in nodes:
            node.pid, node.started = next(self.pids), clock.wall() - 1000
        clock.others = self.tick

    def topic(self, name: str, rows: Sequence[Sequence[int]], minimum: int = 2) -> None:
        for i, row in enumerate(rows):
            part = Part(tuple(row), minimum, list(row), row[0])
            self.parts[TopicPartition(name, i)] = part

    # what happens by itself

    def tick(self) -> None:
        now = self.clock.monotonic()
        for node in self.nodes.values():
            self.loop(node)
            broken = node.broken or node.version in (node.hangs_on, node.loops_on)
            if node.pid and not node.registered and not broken and now >= node.ready:
                node.registered = True
                for part in self.parts.values():
                    part.ready[node.id] = now + node.catch_up
        if self.active < 0:
            self.active = next((v for v in self.electable if self.up(v)), -1)
        for part in self.parts.values():
            if part.leader < 0:
                part.leader = next((r for r in part.isr if self.up(r)), -1)
            for r in part.replicas:
                late = now < part.ready.get(r, 0.0)
                if part.leader >= 0 and r not in part.isr and self.up(r) and not late:
                    part.isr.append(r)
        self.on_tick()
        self.watch()

    def loop(self, node: Node) -> None:
        """systemd's Restart=on-failure of a process that ends each time."""
        if node.pid and node.version == node.loops_on and self.since(node.started) >= LIFE:
            self.down(node.id)
            node.ended, node.again = 1, self.clock.wall()
        elif node.again is not None and self.since(node.again) >= LIFE:
            self.start(node.id)
            node.restarts += 1
            node.starts -= 1  # not ours

    def since(self, moment: float) -> float:
        return self.clock.wall() - moment

    def up(self, node: int) -> bool:
        return self.nodes[node].pid > 0 and self.nodes[node].registered

    def down(self, node: int) -> None:
        """The process ends, and the others' metadata does not tell until `LAG` s after."""
        gone, now = self.nodes[node], self.clock.monotonic()
        if self.up(node):
            self.late = (now + gone.stop + LAG, self._brokers(), self._topics())
        gone.pid, gone.registered = 0, False
        for part in self.parts.values():
            if node in part.isr and len(part.isr) > 1:
                part.isr.remove(node)
            if part.leader == node:
                part.leader = next((r for r in part.isr if self.up(r)), -1)
        if self.active == node:
            self.active = next((v for v in self.electable if self.nodes[v].pid), -1)

    def die(self, node: int) -> None:
        """A process that ends by itself, for good."""
        self.down(node)
        self.nodes[node].ended = 1
        self.nodes[node].broken = True

    def start(self, node: int) -> None:
        begun = self.nodes[node]
        begun.pid, begun.started = next(self.pids), self.clock.wall()
        begun.ready = self.clock.monotonic() + begun.boot
        begun.again = None
        begun.starts += 1

    def watch(self) -> None:
        """Never below min ISR, for every partition that can be held to it, while clients write."""
        if not self.serving():
            return
        up = {n.id for n in self.nodes.values() if n.pid > 0 and n.registered}
        for tp, part in self.parts.items():
            if len(part.isr) >= part.minimum and up.issuperset(part.isr):
                continue
            live = [r for r in part.isr if r in up]
            if len(part.replicas) > part.minimum and len(live) < part.minimum:
                self.faults.append(f"{tp} had {live} in sync at {self.clock.now}")

    # the port

    def snapshot(self, *, full: bool = True) -> ClusterState:
        """Never of before a stop: every broker that is listed has answered."""
        if not any(self.up(n.id) for n in self.nodes.values() if n.broker):
            raise Unreachable("KO-UNREACHABLE", "no broker answers")
        ends = {v: 0 if not self.up(v) else 100 - 50 * (v in self.behind) for v in self.voters}
        leader = -1 if self.leaderless else self.active
        brokers = [n for n in self.nodes.values() if n.broker and self.up(n.id)]
        return ClusterState(
            cluster_id=self.id,
            taken=self.clock.wall(),
            controller=self.active,
            brokers=tuple(Broker(n.id, f"b{n.id}", 9094, n.rack, "4.3") for n in brokers),
            topics=self._topics(configs=full),
            quorum=Quorum(leader, 1, 100, ends) if self.voters else None,
            features=dict(self.finalized),
            reassigning=tuple(self.moving),
            removing=dict(self.moving),
            broker_config={n.id: self.broker_config(n.id) for n in brokers if self.up(n.id)},
        )

    def features(self) -> Features:
        """Brokers are members while they are up, controllers of their own while they vote."""
        nodes = tuple(
            FeatureNode(
                n.id,
                broker=n.broker,
                controller=n.id in self.voters,
                supports=SUPPORTS.get(n.version.rpartition(".")[0]) if self.up(n.id) else None,
                why="" if self.up(n.id) else "it is fenced: not up",
                member=self.up(n.id) if n.broker else n.id in self.voters,
            )
            for n in self.nodes.values()
        )
        return Features(
            self.id,
            bool(self.voters),
            dict(self.finalized),
            nodes + self.ghosts,
            unseen=self.unseen,
        )

    def availability(self) -> ClusterState:
        return self.snapshot()

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        return {tp: Ends(0, self.written[tp], self.written[tp]) for tp in partitions}

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        if not self._brokers():
            raise Unreachable("KO-UNREACHABLE", "no broker answers")
        if self.late and self.clock.monotonic() < self.late[0]:
            return self.late[2]
        return self._topics(configs=configs)

    def _topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        found: dict[str, list[Partition]] = {}
        least: dict[str, int] = {}
        for tp, part in sorted(self.parts.items()):
            row = Partition(tp, part.leader, 0, part.replicas, tuple(part.isr))
            found.setdefault(tp.topic, []).append(row)
            least[tp.topic] = part.minimum
        return {
            name: Topic(
                name,
                "",
                name.startswith("__"),
                tuple(rows),
                config(least[name]) if configs else config(),
            )
            for name, rows in found.items()
        }

    def broker_config(self, broker: int) -> Mapping[str, str | None]:
        if not self.up(broker):
            raise Unreachable("KO-UNREACHABLE", f"broker {broker} does not answer")
        spoken = self.nodes[broker].protocol
        return {"inter.broker.protocol.version": spoken} if spoken else {}

    def cluster_id(self) -> str:
        return self.id

    def brokers_up(self) -> tuple[int, ...]:
        late = self.late and self.clock.monotonic() < self.late[0]
        return self.late[1] if self.late and late else self._brokers()

    def _brokers(self) -> tuple[int, ...]:
        return tuple(n.id for n in self.nodes.values() if n.broker and self.up(n.id))

    def told_by(self, broker: int, *, topics: bool = True) -> Told | None:
        self.clock.sleep(self.slow)
        if not self.nodes[broker].broker or not self.up(broker) or broker in self.silent:
            return None
        return Told(self.id, self._brokers(), self._topics() if topics else {})

    def elect_preferred(self, partitions: Collection[TopicPartition]) -> None:
        self.elections += 1
        for tp in partitions:
            part = self.parts[tp]
            assert part.replicas[0] in part.isr, f"{tp}: elected before it was in sync"
            if tp not in self.unelected:
                part.leader = part.replicas[0]
            self.unelected.discard(tp)

    def elect_unclean(self, partitions: Collection[TopicPartition]) -> None:
        for tp in partitions:
            part = self.parts[tp]
            assert part.leader < 0, f"{tp}: it has a leader"
            part.leader = next((r for r in part.replicas if self.up(r)), -1)
            part.isr = [part.leader]

    def close(self) -> None: ...


def config(minimum: int | None = None) -> TopicConfig:
    values: dict[str, str | None] = {} if minimum is None else {"min.insync.replicas": str(minimum)}
    return TopicConfig(values, dict.fromkeys(values, "topic"))
