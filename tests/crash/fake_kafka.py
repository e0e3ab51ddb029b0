"""Two clusters, a mirror, a comparison and names, in memory, for crash tests of whole plans.

The log of a partition is a list; an entry is a record or None, which stands for a control record:
the mirror writes one after each batch, so source and target offsets differ as they do with
exactly-once mirrors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kafkaops.engine.errors import Mismatch, TimedOut
from kafkaops.model.cluster import (
    Acl,
    Broker,
    ClusterState,
    Group,
    Listener,
    Member,
    ProducerState,
    Quorum,
    Quota,
    Transaction,
)
from kafkaops.model.partition import Ends, Partition, Topic, TopicConfig, TopicPartition
from kafkaops.ports.connect import ConnectorState, TaskState
from kafkaops.ports.names import Record
from kafkaops.ports.verification import Difference, PartitionProof, VerifyStatus

Log = list[bytes | None]


class FakeCluster:
    """Implements `ports.cluster.Cluster` over in-memory logs."""

    def __init__(self, name: str, cluster_id: str, nodes: Sequence[int], version: str) -> None:
        self.name, self.id, self.nodes, self.version = name, cluster_id, tuple(nodes), version
        self.logs: dict[TopicPartition, Log] = {}
        self.configs: dict[str, dict[str, str]] = {}
        self.positions: dict[str, dict[TopicPartition, int]] = {}
        self.live: dict[str, bool] = {}
        self.broker_settings: dict[str, str] = {}
        self.acls: set[Acl] = set()
        self.quotas: set[Quota] = set()
        self.next_id = {node: node * 1000 for node in nodes}
        self.known: dict[TopicPartition, int] = {}
        self.fenced_ids: set[str] = set()

    # reads

    def cluster_id(self) -> str:
        return self.id

    def brokers_up(self) -> tuple[int, ...]:
        return self.nodes

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        found: dict[str, list[Partition]] = {}
        for tp in sorted(self.logs):
            part = Partition(tp, self.nodes[0], 0, self.nodes, self.nodes)
            found.setdefault(tp.topic, []).append(part)
        return {
            name: Topic(name, f"{self.id}-{name}", False, tuple(parts), self._config(name))
            for name, parts in found.items()
        }

    def _config(self, name: str) -> TopicConfig:
        base = {"min.insync.replicas": "2", "cleanup.policy": "delete"}
        values = base | self.configs.get(name, {})
        return TopicConfig(values, dict.fromkeys(values, "topic"))

    def snapshot(self, *, full: bool = True) -> ClusterState:
        return ClusterState(
            cluster_id=self.id,
            taken=0.0,
            controller=self.nodes[0],
            brokers=tuple(
                Broker(
                    n, f"b{n}", 9094, f"r{n}", self.version, (Listener("CLIENT", f"b{n}", 9092),)
                )
                for n in self.nodes
            ),
            topics=self.topics(),
            groups=self.groups(),
            acls=tuple(sorted(self.acls)),
            quotas=tuple(self.quotas),
            quorum=Quorum(self.nodes[0], 1, 1, dict.fromkeys(self.nodes, 1)),
        )

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        return {
            tp: Ends(0, len(self.logs.get(tp, ())), len(self.logs.get(tp, ()))) for tp in partitions
        }

    def groups(self, *, offsets: bool = True) -> tuple[Group, ...]:
        return tuple(
            Group(
                name,
                "classic",
                "Stable" if self.live.get(name) else "Empty",
                "range",
                (Member("m", "c", "/127.0.0.1"),) if self.live.get(name) else (),
                dict(self.positions.get(name, {})),
            )
            for name in sorted({*self.positions, *self.live})
        )

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        return dict(self.positions.get(group, {}))

    def producers(self, partitions: Collection[TopicPartition]) -> tuple[ProducerState, ...]:
        return tuple(
            ProducerState(tp, self.known[tp], 0, 0, 0, -1) for tp in partitions if tp in self.known
        )

    def transactions(self) -> tuple[Transaction, ...]:
        return ()

    def consume(self, tp: TopicPartition, start: int, count: int) -> tuple[tuple[int, bytes], ...]:
        log = self.logs[tp]
        return tuple(
            (at, value) for at, value in enumerate(log) if at >= start and value is not None
        )[:count]

    # changes

    def create_topic(
        self, topic: str, assignment: Mapping[int, Sequence[int]], configs: Mapping[str, str]
    ) -> None:
        for partition in assignment:
            assert TopicPartition(topic, partition) not in self.logs, "created twice"
            self.logs[TopicPartition(topic, partition)] = []
        self.configs[topic] = dict(configs)

    def delete_topics(self, topics: Collection[str]) -> None:
        for tp in [tp for tp in self.logs if tp.topic in topics]:
            del self.logs[tp]
            self.known.pop(tp, None)

    def create_partitions(self, topic: str, assignment: Mapping[int, Sequence[int]]) -> None:
        for partition in assignment:
            self.logs[TopicPartition(topic, partition)] = []

    def alter_topic_configs(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        for topic, values in changes.items():
            self.alter_topic_config(topic, values)

    def alter_topic_config(
        self, topic: str, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        config = self.configs.setdefault(topic, {})
        config.update(set)
        for key in delete:
            config.pop(key, None)

    def alter_broker_config(
        self, broker: int | None, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        self.broker_settings.update(set)
        for key in delete:
            self.broker_settings.pop(key, None)

    def create_acls(self, acls: Collection[Acl]) -> None:
        self.acls.update(acls)

    def delete_acls(self, acls: Collection[Acl]) -> None:
        self.acls.difference_update(acls)

    def alter_quotas(self, set: Collection[Quota], delete: Collection[Quota] = ()) -> None:
        self.quotas.update(set)
        self.quotas.difference_update(delete)

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        assert not self.live.get(group), f"{group} is active on {self.name}"
        self.positions.setdefault(group, {}).update(offsets)

    def delete_groups(self, groups: Collection[str]) -> None:
        for group in groups:
            self.positions.pop(group, None)

    def seed_consumer_group(self, group: str, topic: str) -> None:
        self.positions.setdefault(group, {})

    def init_producer_ids(self, broker: int, count: int) -> int:
        self.next_id[broker] += count
        return self.next_id[broker] - 1

    def abort_transaction(self, state: ProducerState) -> None: ...

    def fence_transactional_id(self, transactional_id: str) -> None:
        self.fenced_ids.add(transactional_id)

    def produce(
        self, tp: TopicPartition, records: Sequence[tuple[bytes | None, bytes | None]]
    ) -> tuple[int, ...]:
        log = self.logs[tp]
        begin = len(log)
        log.extend(value or b"" for _, value in records)
        return tuple(range(begin, len(log)))

    def elect_preferred(self, partitions: Collection[TopicPartition]) -> None: ...

    def close(self) -> None: ...

    def visible(self, tp: TopicPartition, start: int = 0, end: int | None = None) -> list[int]:
        log = self.logs.get(tp, [])
        stop = len(log) if end is None else min(end, len(log))
        return [at for at in range(start, stop) if log[at] is not None]


class FakeConnect:
    """A worker with one connector, which copies when `pump` is called while it runs."""

    def __init__(self, source: FakeCluster, target: FakeCluster, up: Callable[[], bool]) -> None:
        self.source, self.target, self.up = source, target, up
        self.name = ""
        self.state = ""
        self.settings: dict[str, str] = {}
        self.at: dict[TopicPartition, int] = {}  # next source offset

    def pump(self, most: int = 5) -> None:
        if not self.up() or self.state != "RUNNING":
            return
        for tp, log in self.source.logs.items():
            if tp not in self.target.logs or tp.topic.startswith("kafkaops-"):
                continue
            begin = self.at.get(tp, 0)
            batch = [v for v in log[begin : begin + most] if v is not None]
            if batch:
                self.target.logs[tp].extend([*batch, None])
            self.at[tp] = min(len(log), begin + most)

    def ready(self) -> bool:
        return self.up()

    def status(self, name: str) -> ConnectorState | None:
        if name != self.name:
            return None
        tasks = (TaskState(0, self.state),) if self.state == "RUNNING" else ()
        return ConnectorState(name, self.state, tasks)

    def config(self, name: str) -> Mapping[str, str] | None:
        return dict(self.settings) if name == self.name else None

    def validate(self, plugin: str, config: Mapping[str, str]) -> tuple[str, ...]:
        return ()

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        if name != self.name:
            self.name, self.state = name, "STOPPED" if stopped else "RUNNING"
        self.settings = dict(config)

    def stop(self, name: str) -> None:
        self.state = "STOPPED"

    def resume(self, name: str) -> None:
        if name == self.name:
            self.state = "RUNNING"

    def restart_failed(self, name: str) -> None: ...

    def delete(self, name: str) -> None:
        if name == self.name:
            self.name, self.state, self.settings, self.at = "", "", {}, {}

    def offsets(self, name: str) -> Mapping[TopicPartition, int]:
        return {tp: at - 1 for tp, at in self.at.items() if at > 0}

    def set_offsets(
        self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]
    ) -> None:
        assert self.state == "STOPPED", "Connect takes offsets of a stopped connector only"
        self.at = {tp: offset + 1 for tp, offset in offsets.items()}

    def raw(self, path: str) -> Any:
        return {}


class FakeNames:
    """A zone whose changes are INSYNC two seconds later, and answered then."""

    def __init__(self, clock: Any, records: Sequence[Record]) -> None:
        self.clock = clock
        self.held = {r.name: r for r in records}
        self.served = dict(self.held)
        self.pending: list[tuple[float, str, dict[str, Record]]] = []
        self.changes = 0

    def settle(self) -> None:
        now = self.clock.monotonic()
        while self.pending and self.pending[0][0] <= now:
            self.served = self.pending.pop(0)[2]

    def zone(self) -> str:
        return "kafka.lab"

    def records(self, names: Sequence[str]) -> tuple[Record, ...]:
        return tuple(self.held[n] for n in names if n in self.held)

    def change(self, delete: Sequence[Record], create: Sequence[Record], *, comment: str) -> str:
        for record in delete:
            assert self.held.get(record.name) == record, f"DELETE of {record}: not what is there"
        held = {n: r for n, r in self.held.items() if r not in delete}
        for record in create:
            assert record.name not in held, f"CREATE of {record.name}: exists"
            held[record.name] = record
        self.held = held
        self.changes += 1
        change = f"C{self.changes}"
        self.pending.append((self.clock.monotonic() + 2.0, change, dict(held)))
        return change

    def in_sync(self, change_id: str) -> bool:
        self.settle()
        return all(change != change_id for _, change, _ in self.pending)

    def answer(self, name: str) -> tuple[str, ...]:
        self.settle()
        record = self.served.get(name)
        return record.values if record else ()


class FakeVerification:
    """Compares the in-memory logs from where each side begins."""

    def __init__(
        self,
        source: FakeCluster,
        target: FakeCluster,
        clock: Any,
        begin: Callable[[], Mapping[TopicPartition, tuple[int, int]]],
    ) -> None:
        self.source, self.target, self.clock, self.begin = source, target, clock, begin

    def _pair(self, tp: TopicPartition, end: int | None = None) -> tuple[list[int], list[int]]:
        s0, t0 = self.begin().get(tp, (0, 0))
        return self.source.visible(tp, s0, end), self.target.visible(tp, t0)

    def _parts(self) -> list[TopicPartition]:
        return sorted(
            tp
            for tp in self.source.logs
            if tp in self.target.logs and not tp.topic.startswith("kafkaops-")
        )

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def pin(self, partitions: Collection[TopicPartition]) -> None: ...

    def status(self) -> VerifyStatus:
        behind, records, found = 0, 0, []
        for tp in self._parts():
            ours, theirs = self._pair(tp)
            both = min(len(ours), len(theirs))
            records += both
            behind += len(ours) - both
            for a, b in zip(ours, theirs, strict=False):
                if self.source.logs[tp][a] != self.target.logs[tp][b]:
                    found.append(Difference(tp, "altered", a, b))
                    break
            if len(theirs) > len(ours):
                found.append(Difference(tp, "extra", -1, theirs[len(ours)]))
        return VerifyStatus(len(self._parts()), records, behind, 1.0, tuple(found))

    def seal(
        self, ends: Mapping[TopicPartition, int], *, timeout: float
    ) -> Mapping[TopicPartition, PartitionProof]:
        deadline = self.clock.monotonic() + timeout
        while True:
            status = self.status()
            if status.differences:
                raise Mismatch("KO-VERIFY-DIFFERS", str(status.differences[0]))
            pairs = {tp: self._pair(tp, end) for tp, end in ends.items()}
            if all(len(ours) == len(theirs) for ours, theirs in pairs.values()):
                break
            if self.clock.monotonic() > deadline:
                raise TimedOut("KO-VERIFY-BEHIND", "the target has not every record yet")
            self.clock.sleep(0.05)
        starts = self.begin()
        return {
            tp: PartitionProof(
                tp,
                len(ours),
                "00",
                starts.get(tp, (0, 0))[0],
                ends[tp],
                starts.get(tp, (0, 0))[1],
                len(self.target.logs[tp]),
            )
            for tp, (ours, _) in pairs.items()
        }

    def _translate(
        self, positions: Mapping[TopicPartition, int], *, back: bool
    ) -> Mapping[TopicPartition, int]:
        found = {}
        for tp, position in positions.items():
            ours, theirs = self._pair(tp)
            here, there = (theirs, ours) if back else (ours, theirs)
            end = len((self.source if back else self.target).logs[tp])
            index = sum(1 for at in here if at < position)
            found[tp] = there[index] if index < len(there) else end
        return found

    def translate(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        return self._translate(positions, back=False)

    def translate_back(
        self, positions: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        return self._translate(positions, back=True)
