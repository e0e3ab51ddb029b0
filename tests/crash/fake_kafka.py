"""A cluster in memory, for crash tests of whole plans.

The log of a partition is a list; an entry is a record or None, which stands for a control record:
the mirror writes one after each batch, so source and target offsets differ as they do with
exactly-once mirrors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

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
    ScramUser,
    Told,
    Transaction,
)
from kafkaops.model.partition import Ends, Partition, Topic, TopicConfig, TopicPartition

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
        self.leaders: dict[TopicPartition, int] = {}  # where it is not the preferred one
        self.orders: dict[TopicPartition, tuple[int, ...]] = {}
        self.elections: Counter[TopicPartition] = Counter()
        self.users: dict[ScramUser, str] = {}

    # reads

    def cluster_id(self) -> str:
        return self.id

    def brokers_up(self) -> tuple[int, ...]:
        return self.nodes

    def told_by(self, broker: int, *, topics: bool = True) -> Told | None:
        return Told(self.id, self.nodes, self.topics() if topics else {})

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        found: dict[str, list[Partition]] = {}
        for tp in sorted(self.logs):
            order = self.orders.get(tp, self.nodes)
            leader = self.leaders.get(tp, order[0])
            part = Partition(tp, leader, self.elections[tp], order, self.nodes)
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
            scram_users=self.scram_users(),
            quorum=Quorum(self.nodes[0], 1, 1, dict.fromkeys(self.nodes, 1)),
            broker_config={
                n: {"listener.security.protocol.map": "CLIENT:PLAINTEXT,REPL:PLAINTEXT"}
                for n in self.nodes
            },
        )

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        return {
            tp: Ends(0, len(self.logs.get(tp, ())), len(self.logs.get(tp, ()))) for tp in partitions
        }

    def unreplicated(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

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

    def missing_rights(self) -> tuple[str, ...]:
        return ()

    def scram_users(self) -> tuple[ScramUser, ...]:
        return tuple(sorted(self.users))

    def logs_in(self, user: str, mechanism: str, password: str) -> bool:
        return any(
            (known.name, known.mechanism, kept) == (user, mechanism, password)
            for known, kept in self.users.items()
        )

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
            for positions in self.positions.values():  # as the coordinator forgets them
                positions.pop(tp, None)

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

    def create_scram_users(self, passwords: Mapping[ScramUser, str]) -> None:
        self.users.update(passwords)

    def delete_scram_users(self, users: Collection[ScramUser]) -> None:
        for user in users:
            self.users.pop(user, None)

    def alter_quotas(self, set: Collection[Quota], delete: Collection[Quota] = ()) -> None:
        self.quotas.update(set)
        self.quotas.difference_update(delete)

    def commit(
        self, group: str, offsets: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        assert not self.live.get(group), f"{group} is active on {self.name}"
        self.positions.setdefault(group, {}).update(offsets)
        return {tp: self.positions[group][tp] for tp in offsets}

    def coordinators(self, groups: Collection[str]) -> Mapping[str, int]:
        return {name: self.nodes[n % len(self.nodes)] for n, name in enumerate(sorted(groups))}

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

    def elect_preferred(self, partitions: Collection[TopicPartition]) -> None:
        for tp in partitions:
            self.elections[tp] += self.leaders.pop(tp, None) is not None

    def reorder(self, replicas: Mapping[TopicPartition, Sequence[int]]) -> None:
        for tp, order in replicas.items():
            now = self.orders.get(tp, self.nodes)
            assert sorted(order) == sorted(now), f"{tp} would be moved, not reordered"
            self.leaders.setdefault(tp, now[0])
            self.orders[tp] = tuple(order)
            if self.leaders[tp] == order[0]:
                del self.leaders[tp]

    def close(self) -> None: ...

    def visible(self, tp: TopicPartition, start: int = 0, end: int | None = None) -> list[int]:
        log = self.logs.get(tp, [])
        stop = len(log) if end is None else min(end, len(log))
        return [at for at in range(start, stop) if log[at] is not None]
