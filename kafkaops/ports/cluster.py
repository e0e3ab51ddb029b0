"""A Kafka cluster, seen over its REPL listener: what we read and what we change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from kafkaops.model.cluster import (
    Acl,
    ClusterState,
    Group,
    LogDir,
    ProducerState,
    Quota,
    ScramUser,
    Told,
    Transaction,
)
from kafkaops.model.features import FeatureChange, Features
from kafkaops.model.partition import Ends, Topic, TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.ports.marks import mutates


class Cluster(Protocol):
    """Errors: `Unreachable` (which brokers, how long tried), `ConfigError` (credentials, ACLs)."""

    name: str

    def snapshot(self, *, full: bool = True) -> ClusterState:
        """The whole state; `full=False` leaves out configs, ACLs, quotas, groups, log dirs."""

    def availability(self) -> ClusterState:
        """What a gate judges by, fresh: who is in sync with what, the min ISR and the elections
        that brokers apply, quorum, reassignments. All else is left out, other configs too: on a
        large cluster that is most of the time that the whole state takes."""

    def cluster_id(self) -> str: ...

    def brokers_up(self) -> tuple[int, ...]:
        """Node ids that metadata lists now."""

    def told_by(self, broker: int, *, topics: bool = True) -> Told | None:
        """What that broker itself tells, which lists itself; None while the others do not list it
        or it gives no answer. It serves only once its metadata holds its new registration (in
        ZooKeeper mode: lists itself only then), so it never tells of a time before its start, as
        the others do for up to a second after its stop."""

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        """Fresh metadata of every topic, internal ones included."""

    def some_topics(self, names: Collection[str], *, configs: bool = False) -> Mapping[str, Topic]:
        """Fresh metadata of these topics; those that do not exist are left out."""

    def reassignments(self) -> Mapping[TopicPartition, Reassignment]:
        """Every partition on its way, whoever sent it, as the controller tells."""

    def log_dirs(self, brokers: Collection[int]) -> Mapping[int, tuple[LogDir, ...]]:
        """What lies in the log directories of these brokers; those that are not up are left out."""

    def own_broker_configs(
        self, brokers: Collection[int], names: Collection[str]
    ) -> Mapping[int, Mapping[str, str]]:
        """What is set at run time on each of these brokers for itself, of these names; those that
        are not up are left out."""

    def own_topic_configs(
        self, topics: Collection[str], names: Collection[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """What is set on each of these topics for itself, of these names; those that do not exist
        are left out."""

    def broker_config(self, broker: int) -> Mapping[str, str | None]:
        """One broker's effective config, asked of itself; None for what is secret."""

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        """Log start, high watermark and last stable offset, asked of each leader."""

    def unreplicated(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Offsets that each leader has appended beyond its high watermark: while there are any, a
        producer with acks=all waits for its answer."""

    def groups(self, *, offsets: bool = True) -> tuple[Group, ...]: ...

    def committed(self, group: str) -> Mapping[TopicPartition, int]: ...

    def producers(self, partitions: Collection[TopicPartition]) -> tuple[ProducerState, ...]: ...

    def transactions(self) -> tuple[Transaction, ...]: ...

    def missing_rights(self) -> tuple[str, ...]:
        """What this tool needs and its principal may not do, as `DESCRIBE on CLUSTER`."""

    def scram_users(self) -> tuple[ScramUser, ...]: ...

    def logs_in(self, user: str, mechanism: str, password: str) -> bool:
        """Whether the REPL listener takes this login; False when it refuses the password."""

    def features(self) -> Features:
        """Finalized levels, and what every node supports that can be found and asked."""

    def finalized_features(self) -> Mapping[int, Mapping[str, int]]:
        """The finalized levels as each broker shows them, by node id; a level of 0 is left out."""

    def try_features(self, changes: Collection[FeatureChange]) -> str:
        """What the controller has against these changes together, in its own words; "" where it
        would make them. Asked with `validateOnly`, so nothing is changed."""

    @mutates
    def create_topic(
        self, topic: str, assignment: Mapping[int, Sequence[int]], configs: Mapping[str, str]
    ) -> None:
        """Create with explicit replicas (partition -> node ids); existing is an error."""

    @mutates
    def delete_topics(self, topics: Collection[str]) -> None: ...

    @mutates
    def create_partitions(self, topic: str, assignment: Mapping[int, Sequence[int]]) -> None:
        """Add the partitions named, with their replicas."""

    @mutates
    def alter_topic_config(
        self, topic: str, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        """Incremental; read back before returning."""

    @mutates
    def alter_topic_configs(self, changes: Mapping[str, Mapping[str, str | None]]) -> None:
        """Configs of many topics at once (topic -> name -> value, None to delete); read back."""

    @mutates
    def alter_broker_configs(self, changes: Mapping[int, Mapping[str, str | None]]) -> None:
        """Dynamic configs of many brokers at once (broker -> name -> value, None to delete); read
        back."""

    @mutates
    def alter_broker_config(
        self, broker: int | None, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        """Dynamic broker config; None is the cluster-wide default."""

    @mutates
    def create_acls(self, acls: Collection[Acl]) -> None: ...

    @mutates
    def delete_acls(self, acls: Collection[Acl]) -> None: ...

    @mutates
    def create_scram_users(self, passwords: Mapping[ScramUser, str]) -> None:
        """Make, or give a new password to, each credential; shown by every broker on return."""

    @mutates
    def delete_scram_users(self, users: Collection[ScramUser]) -> None: ...

    @mutates
    def alter_quotas(self, set: Collection[Quota], delete: Collection[Quota] = ()) -> None: ...

    def coordinators(self, groups: Collection[str]) -> Mapping[str, int]:
        """The broker that coordinates each group, or would."""

    @mutates
    def commit(
        self, group: str, offsets: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        """Commit without member or leader epoch, and read every commit back: what the group shows
        then. StepFailed where that is not what was committed."""

    @mutates
    def delete_groups(self, groups: Collection[str]) -> None: ...

    @mutates
    def seed_consumer_group(self, group: str, topic: str) -> None:
        """Join and leave with a KIP-848 client, so the group exists as one."""

    @mutates
    def init_producer_ids(self, broker: int, count: int) -> int:
        """Take `count` producer ids from one broker (InitProducerId); returns the highest."""

    @mutates
    def abort_transaction(self, state: ProducerState) -> None:
        """Abort the open transaction of that producer on that partition (WriteTxnMarkers)."""

    @mutates
    def fence_transactional_id(self, transactional_id: str) -> None:
        """InitProducerId for the id: a zombie with an older epoch can commit nothing more."""

    @mutates
    def produce(
        self, tp: TopicPartition, records: Sequence[tuple[bytes | None, bytes | None]]
    ) -> tuple[int, ...]:
        """Write records (key, value), acks=all; their offsets. For scratch topics only."""

    def consume(self, tp: TopicPartition, start: int, count: int) -> tuple[tuple[int, bytes], ...]:
        """Up to `count` records (offset, value), read_committed. For scratch topics only."""

    @mutates
    def update_features(self, changes: Collection[FeatureChange]) -> None:
        """Change finalized levels; every broker shows them on return. GuardRefused
        (KO-FEATURE-REFUSED) in the controller's words."""

    @mutates
    def elect_preferred(self, partitions: Collection[TopicPartition]) -> None: ...

    @mutates
    def elect_unclean(self, partitions: Collection[TopicPartition]) -> None:
        """Give partitions without a leader the first of their replicas that is up, in sync or not:
        what it does not hold is lost. Refused by Kafka for a partition that has a leader."""

    @mutates
    def reorder(self, replicas: Mapping[TopicPartition, Sequence[int]]) -> None:
        """Give partitions this order of the replicas that they have: the first one is the
        preferred leader. Nothing is copied, and nobody leads otherwise before an election."""

    @mutates
    def reassign(
        self, targets: Mapping[TopicPartition, Sequence[int] | None]
    ) -> tuple[TopicPartition, ...]:
        """Send partitions to these replicas, in preferred order, in one request; None calls off
        what is on its way, which brings back the brokers of before but not their order. Returns
        those to call off of which nothing was on its way. StepFailed where the controller refuses
        one of them: others may have been taken."""

    @mutates
    def move_log_dirs(self, dirs: Mapping[int, Mapping[TopicPartition, str]]) -> None:
        """Copy replicas to other directories of their brokers (broker -> partition -> path); the
        directory where one is calls off what is on its way."""

    def close(self) -> None: ...
