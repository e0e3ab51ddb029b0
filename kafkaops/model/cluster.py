"""A cluster as seen at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from kafkaops.model.partition import Topic, TopicPartition


@dataclass(frozen=True)
class Listener:
    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Broker:
    """`version` is the release that its API versions match (`3.9`), "" when unknown; `host` and
    `port` are what metadata advertises on the listener that we use."""

    id: int
    host: str
    port: int
    rack: str | None
    version: str = ""
    listeners: tuple[Listener, ...] = ()


@dataclass(frozen=True, order=True)
class Acl:
    """One binding, in the names of Kafka's own tools (TOPIC, LITERAL, User:x, *, WRITE, ALLOW)."""

    resource_type: str
    resource_name: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str


@dataclass(frozen=True)
class Quota:
    """One client quota. `entity` maps entity type to name, None meaning the default entity."""

    entity: tuple[tuple[str, str | None], ...]
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, order=True)
class ScramUser:
    """One credential of a user, as a cluster tells it (KIP-554): never the password."""

    name: str
    mechanism: str
    iterations: int


@dataclass(frozen=True)
class Member:
    member_id: str
    client_id: str
    host: str
    assignment: tuple[TopicPartition, ...] = ()


@dataclass(frozen=True)
class Group:
    """A consumer group. `kind` is `classic`, `consumer` (KIP-848), `share`, `streams`, `simple`
    (offsets only, no members ever), or another protocol type as it is (`connect`). `state` is
    Kafka's word (Stable, Empty, Dead, ...).
    `protocol` is the assignor, or `stream` for Kafka Streams on the classic protocol."""

    id: str
    kind: str
    state: str
    protocol: str
    members: tuple[Member, ...]
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    static_members: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProducerState:
    """An active idempotent or transactional producer on a partition (DescribeProducers).
    `txn_start` is the offset where the open transaction began, -1 when none is open;
    times in ms since the epoch."""

    tp: TopicPartition
    producer_id: int
    epoch: int
    last_sequence: int
    last_timestamp: int
    txn_start: int
    coordinator_epoch: int = -1


@dataclass(frozen=True)
class Transaction:
    """A transactional id that a coordinator knows. `state` is Kafka's word (Ongoing, Empty,
    CompleteCommit, ...), `started` ms since the epoch or -1, `timeout` ms or -1."""

    transactional_id: str
    producer_id: int
    state: str
    started: int = -1
    partitions: tuple[TopicPartition, ...] = ()
    timeout: int = -1


@dataclass(frozen=True)
class Told:
    """What one broker itself tells: the cluster it is in, who is up, and each topic if asked."""

    cluster_id: str
    brokers: tuple[int, ...]
    topics: Mapping[str, Topic] = field(default_factory=dict)


@dataclass(frozen=True)
class Quorum:
    """KRaft's own figures. `leader` -1 when there is none; lag of each voter in records.
    `caught_up` is when each voter last had all of the leader's log, ms since the epoch by the
    leader's clock; empty where the brokers are too old to tell (KIP-836)."""

    leader: int
    epoch: int
    high_watermark: int
    voters: Mapping[int, int]  # node id -> log end offset
    observers: Mapping[int, int] = field(default_factory=dict)
    caught_up: Mapping[int, int] = field(default_factory=dict)

    def silence(self, voter: int) -> float | None:
        """Milliseconds for which the voter has lacked what the leader has, by the leader's clock;
        None where the brokers tell no times."""
        now, at = self.caught_up.get(self.leader, -1), self.caught_up.get(voter, -1)
        if now <= 0:
            return None
        return now - at if at > 0 else math.inf


@dataclass(frozen=True)
class LogDir:
    """One log directory of a broker. `total` and `usable` are bytes of its volume, -1 where the
    broker is too old to tell (before KIP-827). `replicas` maps a partition to the bytes of its
    segments here, `arriving` the same of copies on their way from another directory (KIP-113).
    `error` is Kafka's word where the directory cannot be read, and then nothing in it is known.
    A cordoned directory gets no new replica (KIP-1066)."""

    path: str
    total: int = -1
    usable: int = -1
    replicas: Mapping[TopicPartition, int] = field(default_factory=dict)
    error: str = ""
    arriving: Mapping[TopicPartition, int] = field(default_factory=dict)
    cordoned: bool = False


@dataclass(frozen=True)
class ClusterState:
    """Everything that planners read of one cluster, at one moment. `taken` is epoch seconds.
    `features` maps a finalized feature to its level. `reassigning` lists partitions on the move,
    `removing` the replicas that each of them is about to lose: it lacks those whose replicas were
    read as they were before the move. `replica_bytes` is the size of a partition's largest replica.
    `log_dir_bytes` counts replicas of an unreadable directory at that size, so that it tells what
    the broker is to hold."""

    cluster_id: str
    taken: float
    controller: int
    brokers: tuple[Broker, ...]
    topics: Mapping[str, Topic]
    acls: tuple[Acl, ...] = ()
    quotas: tuple[Quota, ...] = ()
    scram_users: tuple[ScramUser, ...] = ()
    groups: tuple[Group, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    quorum: Quorum | None = None
    features: Mapping[str, int] = field(default_factory=dict)
    reassigning: tuple[TopicPartition, ...] = ()
    broker_config: Mapping[int, Mapping[str, str | None]] = field(default_factory=dict)
    acls_enabled: bool = True
    log_dir_bytes: Mapping[int, int] = field(default_factory=dict)  # broker -> bytes of replicas
    log_dir_free: Mapping[int, int] = field(default_factory=dict)  # broker -> usable bytes
    removing: Mapping[TopicPartition, tuple[int, ...]] = field(default_factory=dict)
    replica_bytes: Mapping[TopicPartition, int] = field(default_factory=dict)
    log_dirs: Mapping[int, tuple[LogDir, ...]] = field(default_factory=dict)
