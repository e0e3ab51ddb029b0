"""A cluster whose partitions move from broker to broker as time goes by, stricter than Kafka.

A copy takes as long as its bytes do, and a move ends when all that it leaves is in sync, the
replicas that stay as well (Kafka's PartitionReassignmentReplicas). The controller knows of a change
at once and the brokers a moment later, a cancel brings back the brokers and not their order, and a
request of more than 10,000 partitions is refused. An observer of its own looks at every half
second: records that only lost replicas held, a full disk, a copy that nothing throttles: faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kafkaops.engine.errors import StepFailed
from kafkaops.model.cluster import Broker, ClusterState, LogDir
from kafkaops.model.partition import Ends, Partition, Topic, TopicConfig, TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.model.requests import MOST
from tests.crash.fake_nodes import STEP, LiveClock

MIB = 1 << 20


@dataclass(frozen=True)
class Part:
    """`sizes` of each replica that is there; `whole` is the size of a complete one."""

    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    whole: int
    sizes: Mapping[int, int]
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()


@dataclass
class PlacingCluster:
    """Implements what a placement uses of `ports.cluster.Cluster`. `racks` are of the brokers that
    are up; `speed` is bytes/s of one copy, `lag` the seconds that metadata is late; `disk` the
    bytes of each broker's disk, and `throttled` whether every copy must be."""

    clock: LiveClock
    racks: dict[int, str | None]
    speed: int = 20 * MIB
    lag: float = 0.7
    disk: int = 10_000 * MIB
    minimum: int = 2
    throttled: bool = False
    parts: dict[TopicPartition, Part] = field(default_factory=dict)
    broker_own: dict[int, dict[str, str]] = field(default_factory=dict)
    topic_own: dict[str, dict[str, str]] = field(default_factory=dict)
    paths: dict[tuple[TopicPartition, int], str] = field(default_factory=dict)
    arriving: dict[tuple[TopicPartition, int], tuple[str, int]] = field(default_factory=dict)
    two_disks: bool = False
    take: int = 0  # so many partitions of the next larger request are taken, and it fails
    written: float = 0.0
    failed: set[tuple[int, str]] = field(default_factory=set)  # disks that cannot be read
    unregistered: set[int] = field(default_factory=set)
    requests: list[dict[TopicPartition, tuple[int, ...] | None]] = field(default_factory=list)
    elections: Counter[TopicPartition] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    on_tick: Callable[[], None] = lambda: None
    _past: list[tuple[float, dict[TopicPartition, Part]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock.others = self.tick
        self.id = "BLUE"

    def topic(self, name: str, rows: Sequence[Sequence[int]], whole: int = 40 * MIB) -> None:
        for i, row in enumerate(rows):
            tp = TopicPartition(name, i)
            self.parts[tp] = Part(tuple(row), tuple(row), row[0], whole, dict.fromkeys(row, whole))

    def come_back(self, broker: int, rack: str | None) -> None:
        """With all that it had, in sync at once."""
        self.racks[broker] = rack
        for tp, part in self.parts.items():
            if broker in part.replicas and broker not in part.isr:
                self.parts[tp] = replace(part, isr=(*part.isr, broker))

    def die(self, broker: int) -> None:
        """It goes at once: out of every ISR, and others lead what it led."""
        del self.racks[broker]
        for tp, part in self.parts.items():
            isr = tuple(b for b in part.isr if b != broker)
            leader = part.leader if part.leader != broker else next(iter(isr), -1)
            self.parts[tp] = replace(part, isr=isr, leader=leader)

    # what happens by itself

    def tick(self) -> None:
        for tp, part in list(self.parts.items()):
            if part.adding or part.removing:
                self.parts[tp] = self._copied(tp, part)
        for (tp, broker), (path, size) in list(self.arriving.items()):
            grown = size + int(self.speed * STEP)
            self.arriving[tp, broker] = (path, grown)
            if grown >= self.parts[tp].whole:
                del self.arriving[tp, broker]
                self.paths[tp, broker] = path
        self._past.append((self.clock.monotonic(), dict(self.parts)))
        del self._past[:-20]
        self.on_tick()
        self.watch()

    def _copied(self, tp: TopicPartition, part: Part) -> Part:
        sizes, isr = dict(part.sizes), list(part.isr)
        for broker in part.adding:
            if broker not in isr and broker in self.racks and part.leader >= 0:
                self._must_be_throttled(tp, broker, part)
                sizes[broker] = min(part.whole, sizes.get(broker, 0) + int(self.speed * STEP))
                if sizes[broker] >= part.whole:
                    isr.append(broker)
        target = tuple(b for b in part.replicas if b not in part.removing)
        if not set(target) <= set(isr):  # PartitionReassignmentReplicas: all of it, not the new
            return replace(part, sizes=sizes, isr=tuple(isr))
        return self._settled(part, target, sizes, isr)

    def _settled(
        self, part: Part, target: tuple[int, ...], sizes: Mapping[int, int], isr: Collection[int]
    ) -> Part:
        kept = tuple(b for b in target if b in isr)
        if not kept:
            self.faults.append(f"{target} holds nothing: records are lost")
        leader = part.leader if part.leader in kept else kept[0] if kept else -1
        held = {b: n for b, n in sizes.items() if b in target}
        return Part(target, kept, leader, part.whole, held)

    def _must_be_throttled(self, tp: TopicPartition, broker: int, part: Part) -> None:
        if not self.throttled:
            return
        own = self.topic_own.get(tp.topic, {})
        to = own.get("follower.replication.throttled.replicas", "").split(",")
        by = own.get("leader.replication.throttled.replicas", "").split(",")
        listed = (f"{tp.partition}:{broker}" in to or "*" in to) and (
            f"{tp.partition}:{part.leader}" in by or "*" in by
        )
        rates = "follower.replication.throttled.rate" in self.broker_own.get(broker, {})
        if not (listed and rates):
            self.faults.append(f"{tp} is copied to {broker} and not throttled")

    def watch(self) -> None:
        """What must never be."""
        used: Counter[int] = Counter()
        for tp, part in self.parts.items():
            for broker, size in part.sizes.items():
                used[broker] += size
            before = len([b for b in part.isr if b in self.racks])
            if len(part.replicas) > self.minimum and before < self.minimum:
                self.faults.append(f"{tp} has {part.isr} in sync")
        full = [b for b, count in used.items() if count > self.disk]
        if full:
            self.faults.append(f"the disk of {full} is full")

    # the port: reads

    def shown(self) -> dict[TopicPartition, Part]:
        """What the brokers know: late."""
        then = self.clock.monotonic() - self.lag
        known = [parts for at, parts in self._past if at <= then]
        if known:
            return known[-1]
        return self._past[0][1] if self._past else self.parts

    def snapshot(self, *, full: bool = True) -> ClusterState:
        brokers = tuple(Broker(b, f"b{b}", 9094, r) for b, r in sorted(self.racks.items()))
        topics = self.topics(configs=full)
        return ClusterState(
            self.id,
            self.clock.wall(),
            1,
            brokers,
            topics,
            replica_bytes={tp: part.whole for tp, part in self.parts.items()},
            log_dirs=self.log_dirs(self.racks),
        )

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        return self.some_topics({tp.topic for tp in self.parts}, configs=configs)

    def some_topics(self, names: Collection[str], *, configs: bool = False) -> Mapping[str, Topic]:
        found: dict[str, list[Partition]] = {}
        for tp, part in sorted(self.shown().items()):
            if tp.topic in names:
                row = Partition(tp, part.leader, 0, part.replicas, part.isr)
                found.setdefault(tp.topic, []).append(row)
        value = {"min.insync.replicas": str(self.minimum)} if configs else {}
        config = TopicConfig(value, dict.fromkeys(value, "topic"))
        return {n: Topic(n, "", False, tuple(rows), config) for n, rows in found.items()}

    def brokers_up(self) -> tuple[int, ...]:
        return tuple(sorted(self.racks))

    def reassignments(self) -> Mapping[TopicPartition, Reassignment]:
        return {
            tp: Reassignment(part.replicas, part.adding, part.removing)
            for tp, part in self.parts.items()
            if part.adding or part.removing
        }

    def log_dirs(self, brokers: Collection[int]) -> Mapping[int, tuple[LogDir, ...]]:
        return {b: self._dirs(b) for b in sorted(set(brokers) & set(self.racks))}

    def _dirs(self, broker: int) -> tuple[LogDir, ...]:
        paths = ("/a", "/b") if self.two_disks else ("/a",)
        mine = {tp: p.sizes[broker] for tp, p in self.parts.items() if broker in p.sizes}
        used = sum(mine.values())
        return tuple(
            LogDir(
                path,
                self.disk,
                -1 if (broker, path) in self.failed else (self.disk - used) // len(paths),
                {}
                if (broker, path) in self.failed
                else {
                    tp: n for tp, n in mine.items() if self.paths.get((tp, broker), "/a") == path
                },
                arriving={
                    tp: n
                    for (tp, b), (to, n) in self.arriving.items()
                    if b == broker and to == path
                },
                error="KafkaStorageError" if (broker, path) in self.failed else "",
            )
            for path in paths
        )

    def own_broker_configs(
        self, brokers: Collection[int], names: Collection[str]
    ) -> Mapping[int, Mapping[str, str]]:
        return {
            b: {n: v for n, v in self.broker_own.get(b, {}).items() if n in names}
            for b in sorted(set(brokers) & set(self.racks))
        }

    def own_topic_configs(
        self, topics: Collection[str], names: Collection[str]
    ) -> Mapping[str, Mapping[str, str]]:
        there = {tp.topic for tp in self.parts}
        return {
            t: {n: v for n, v in self.topic_own.get(t, {}).items() if n in names}
            for t in sorted(set(topics) & there)
        }

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        """1,000 records of the same size, and what clients write: `written` bytes/s to each."""
        found = {}
        for tp in partitions:
            if tp not in self.parts or self.parts[tp].leader < 0:
                raise StepFailed("KO-CLUSTER-KAFKA", f"{tp} is not there, or has no leader")
            each = self.parts[tp].whole / 1000
            came = int(self.written * self.clock.monotonic() / each) if each else 0
            found[tp] = Ends(came, 1000 + came, 1000 + came)
        return found

    # the port: changes

    def reassign(
        self, targets: Mapping[TopicPartition, Sequence[int] | None]
    ) -> tuple[TopicPartition, ...]:
        assert len(targets) <= MOST, "too many partitions for one request"
        self.requests.append({tp: None if to is None else tuple(to) for tp, to in targets.items()})
        taken = 0
        over: list[TopicPartition] = []
        for tp, to in targets.items():
            part = self.parts[tp]
            if self.take and taken == self.take:
                self.take = 0
                raise StepFailed("KO-CLUSTER-KAFKA", "the request was taken in part")
            taken += 1
            under_way = part.adding or part.removing
            assert not under_way or to is None, f"{tp} is on its way and was sent again"
            if to is None:
                back = tuple(b for b in part.replicas if b not in part.adding)
                if not set(back) & set(part.isr):
                    raise StepFailed("KO-CLUSTER-KAFKA", f"{tp}: it would need an unclean election")
                if part.adding or part.removing:
                    self.parts[tp] = self._settled(part, back, part.sizes, part.isr)
                else:
                    over.append(tp)
                continue
            known = (set(self.racks) | set(part.replicas)) - self.unregistered
            if not set(to) <= known:
                raise StepFailed(
                    "KO-CLUSTER-KAFKA", f"{tp}: {list(to)} names a broker that is away"
                )
            now = tuple(b for b in part.replicas if b not in part.adding)
            if set(to) == set(now):
                self.parts[tp] = self._settled(part, tuple(to), part.sizes, part.isr)
                continue
            adding = tuple(b for b in to if b not in now)
            removing = tuple(b for b in now if b not in to)
            self.parts[tp] = replace(
                part, replicas=(*to, *removing), adding=adding, removing=removing
            )

        return tuple(over)

    def move_log_dirs(self, dirs: Mapping[int, Mapping[TopicPartition, str]]) -> None:
        for broker, wanted in dirs.items():
            for tp, path in wanted.items():
                if self.paths.get((tp, broker), "/a") == path:
                    self.arriving.pop((tp, broker), None)
                else:
                    self.arriving.setdefault((tp, broker), (path, 0))

    def alter_topic_configs(self, changes: Mapping[str, Mapping[str, str | None]]) -> None:
        for topic, values in changes.items():
            _alter(self.topic_own.setdefault(topic, {}), values)

    def alter_broker_configs(self, changes: Mapping[int, Mapping[str, str | None]]) -> None:
        for broker, values in changes.items():
            assert broker in self.racks, f"broker {broker} is down and takes no config"
            _alter(self.broker_own.setdefault(broker, {}), values)

    def elect_preferred(self, partitions: Collection[TopicPartition]) -> None:
        for tp in partitions:
            part = self.parts[tp]
            assert part.replicas[0] in part.isr, f"{tp}: elected before it was in sync"
            self.elections[tp] += part.leader != part.replicas[0]
            self.parts[tp] = replace(part, leader=part.replicas[0])


def _alter(own: dict[str, str], values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            own.pop(name, None)
        else:
            own[name] = value
