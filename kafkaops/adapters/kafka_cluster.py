"""`ports.cluster.Cluster` on real brokers: kafka-python for administration, librdkafka for data.

Invariant: one warm client a cluster, safe from any thread, every call bounded in time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from kafkaops.adapters import (
    kafka_acls,
    kafka_alter,
    kafka_controllers,
    kafka_data,
    kafka_features,
    kafka_groups,
    kafka_log_dirs,
    kafka_producers,
    kafka_reassign,
    kafka_rights,
    kafka_snapshot,
    kafka_topics,
    kafka_users,
)
from kafkaops.adapters.kafka_errors import translate
from kafkaops.adapters.kafka_security import kafka_python_settings, librdkafka_settings
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.clock import Clock, SystemClock
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

_ATTEMPT = 3.0  # seconds for each question to a controller: its listener may be closed to us
_IDS_A_SECOND = 500  # pessimistic: bounds the wait for producer ids


class KafkaCluster:
    """One cluster over its REPL listener. `password` is already resolved; `timeout` (seconds)
    bounds each call. Connects at the first call."""

    def __init__(
        self,
        spec: ClusterSpec,
        password: str | None = None,
        *,
        clock: Clock | None = None,
        timeout: float = 12.0,
    ) -> None:
        self.name: str = spec.name
        self._clock = clock or SystemClock()
        self._timeout = timeout
        self._servers = tuple(spec.bootstrap)
        self._settings = kafka_python_settings(spec, password)
        self._librdkafka = librdkafka_settings(spec, password)
        self._wire = Wire(
            spec.name,
            spec.bootstrap,
            self._settings,
            clock=self._clock,
            timeout=timeout,
        )

    # -- reads ---------------------------------------------------------------

    def snapshot(self, *, full: bool = True) -> ClusterState:
        taken = self._clock.wall()
        work = partial(kafka_snapshot.snapshot, self._wire, taken, full=full)
        return self._wire.run("read the cluster's state", work, self._timeout * 2)

    def availability(self) -> ClusterState:
        work = partial(kafka_snapshot.availability, self._wire, self._clock.wall())
        return self._wire.run("read who is in sync", work, self._timeout * 2)

    def cluster_id(self) -> str:
        answer = self._wire.run("read its id", lambda: self._wire.metadata([]))
        return str(answer.cluster_id or "")

    def brokers_up(self) -> tuple[int, ...]:
        answer = self._wire.run("list brokers", lambda: self._wire.metadata([]))
        return tuple(sorted(broker.node_id for broker in answer.brokers))

    def told_by(self, broker: int, *, topics: bool = True) -> Told | None:
        work = partial(kafka_topics.told_by, self._wire, broker, topics=topics)
        return self._wire.run(f"hear broker {broker} itself", work)

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        return self._wire.run("list topics", partial(self._topics, configs))

    async def _topics(self, configs: bool) -> Mapping[str, Topic]:
        metadata = await self._wire.metadata(None)
        names = [row.name for row in metadata.topics if row.partitions] if configs else []
        return kafka_topics.topics_of(metadata, await kafka_topics.topic_configs(self._wire, names))

    def some_topics(self, names: Collection[str], *, configs: bool = False) -> Mapping[str, Topic]:
        work = partial(kafka_topics.some, self._wire, names, configs=configs)
        return self._wire.run("read topics", work)

    def reassignments(self) -> Mapping[TopicPartition, Reassignment]:
        work = partial(kafka_reassign.reassignments, self._wire)
        return self._wire.run("list reassignments", work)

    def log_dirs(self, brokers: Collection[int]) -> Mapping[int, tuple[LogDir, ...]]:
        work = partial(kafka_log_dirs.of_those_up, self._wire, brokers)
        return self._wire.run("read log directories", work, self._timeout * 2)

    def own_broker_configs(
        self, brokers: Collection[int], names: Collection[str]
    ) -> Mapping[int, Mapping[str, str]]:
        work = partial(kafka_topics.own_of_brokers, self._wire, brokers, names)
        return self._wire.run("read what is set on brokers", work)

    def own_topic_configs(
        self, topics: Collection[str], names: Collection[str]
    ) -> Mapping[str, Mapping[str, str]]:
        work = partial(kafka_topics.own_of_topics, self._wire, topics, names)
        return self._wire.run("read what is set on topics", work)

    def broker_config(self, broker: int) -> Mapping[str, str | None]:
        work = partial(kafka_topics.broker_config, self._wire, broker)
        return self._wire.run(f"read the config of broker {broker}", work)

    def unreplicated(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        work = partial(kafka_topics.unreplicated, self._wire, partitions)
        return self._wire.run("read log end offsets", work)

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        return self._wire.run(
            "read end offsets", partial(kafka_topics.ends, self._wire, partitions)
        )

    def groups(self, *, offsets: bool = True) -> tuple[Group, ...]:
        return self._wire.run(
            "read groups", partial(kafka_groups.groups, self._wire, offsets=offsets)
        )

    def committed(self, group: str) -> Mapping[TopicPartition, int]:
        work = partial(kafka_groups.committed, self._wire, [group])
        return self._wire.run(f"read the offsets of group {group}", work).get(group, {})

    def producers(self, partitions: Collection[TopicPartition]) -> tuple[ProducerState, ...]:
        return self._wire.run(
            "describe producers", partial(kafka_producers.producers, self._wire, partitions)
        )

    def transactions(self) -> tuple[Transaction, ...]:
        return self._wire.run(
            "list transactions", partial(kafka_producers.transactions, self._wire)
        )

    def missing_rights(self) -> tuple[str, ...]:
        return self._wire.run("see what it may do", partial(kafka_rights.missing, self._wire))

    def scram_users(self) -> tuple[ScramUser, ...]:
        return self._wire.run("list users", partial(kafka_users.users, self._wire))

    def features(self) -> Features:
        work = partial(kafka_features.told, self._wire)
        told = self._wire.run("read feature levels", work, self._timeout * 2)
        return kafka_controllers.features(told, kafka_controllers.asker(self._settings, _ATTEMPT))

    def finalized_features(self) -> Mapping[int, Mapping[str, int]]:
        work = partial(kafka_features.finalized, self._wire)
        return self._wire.run("read finalized feature levels", work)

    def try_features(self, changes: Collection[FeatureChange]) -> str:
        work = partial(kafka_features.attempt, self._wire, changes)
        return self._wire.run("try feature levels", work)

    def logs_in(self, user: str, mechanism: str, password: str) -> bool:
        begun = self._clock.monotonic()
        credential = ScramUser(user, mechanism, 0)
        try:
            return kafka_users.logs_in(
                self._servers, self._settings, credential, password, self._clock, self._timeout
            )
        except Exception as error:
            tried = self._clock.monotonic() - begun
            raise translate(
                error,
                cluster=self.name,
                what=f"log in as {user}",
                servers=self._servers,
                tried=tried,
            ) from error

    # -- topics and configs --------------------------------------------------

    def create_topic(
        self, topic: str, assignment: Mapping[int, Sequence[int]], configs: Mapping[str, str]
    ) -> None:
        work = partial(kafka_alter.create_topic, self._wire, topic, assignment, configs)
        self._wire.run(f"create topic {topic}", work, self._timeout * 2)

    def delete_topics(self, topics: Collection[str]) -> None:
        work = partial(kafka_alter.delete_topics, self._wire, topics)
        self._wire.run("delete topics", work, self._timeout * 2)

    def create_partitions(self, topic: str, assignment: Mapping[int, Sequence[int]]) -> None:
        work = partial(kafka_alter.create_partitions, self._wire, topic, assignment)
        self._wire.run(f"add partitions to {topic}", work, self._timeout * 2)

    def alter_topic_config(
        self, topic: str, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        self._alter(f"alter the config of topic {topic}", {topic: set}, {topic: delete})

    def alter_topic_configs(self, changes: Mapping[str, Mapping[str, str | None]]) -> None:
        values = {topic: kafka_alter.sorted_out(of) for topic, of in changes.items()}
        set = {topic: pair[0] for topic, pair in values.items()}
        delete = {topic: pair[1] for topic, pair in values.items()}
        self._alter("alter the configs of topics", set, delete)

    def alter_broker_configs(self, changes: Mapping[int, Mapping[str, str | None]]) -> None:
        work = partial(kafka_alter.alter_broker_configs, self._wire, changes)
        self._wire.run("alter the configs of brokers", work, self._timeout * 2)

    def _alter(
        self,
        what: str,
        set: Mapping[str, Mapping[str, str]],
        delete: Mapping[str, Collection[str]],
    ) -> None:
        if set or delete:
            work = partial(kafka_alter.alter_topic_configs, self._wire, set, delete)
            self._wire.run(what, work, self._timeout * 2)

    def alter_broker_config(
        self, broker: int | None, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        work = partial(kafka_alter.alter_broker_config, self._wire, broker, set, delete)
        who = "all brokers" if broker is None else f"broker {broker}"
        self._wire.run(f"alter the config of {who}", work, self._timeout * 2)

    def update_features(self, changes: Collection[FeatureChange]) -> None:
        work = partial(kafka_features.update, self._wire, changes)
        self._wire.run("change feature levels", work, self._timeout * 2)

    def elect_preferred(self, partitions: Collection[TopicPartition]) -> None:
        work = partial(kafka_alter.elect, self._wire, partitions)
        self._wire.run("elect preferred leaders", work)

    def elect_unclean(self, partitions: Collection[TopicPartition]) -> None:
        work = partial(kafka_alter.elect, self._wire, partitions, unclean=True)
        self._wire.run("elect leaders that may not be in sync", work)

    def reorder(self, replicas: Mapping[TopicPartition, Sequence[int]]) -> None:
        work = partial(kafka_reassign.reorder, self._wire, replicas)
        self._wire.run("give replicas another order", work)

    def reassign(
        self, targets: Mapping[TopicPartition, Sequence[int] | None]
    ) -> tuple[TopicPartition, ...]:
        work = partial(kafka_reassign.reassign, self._wire, targets)
        return self._wire.run("reassign partitions", work, self._timeout * 2)

    def move_log_dirs(self, dirs: Mapping[int, Mapping[TopicPartition, str]]) -> None:
        work = partial(kafka_log_dirs.move, self._wire, dirs)
        self._wire.run("move replicas between log directories", work)

    # -- access --------------------------------------------------------------

    def create_acls(self, acls: Collection[Acl]) -> None:
        self._wire.run("create ACLs", partial(kafka_acls.create, self._wire, acls))

    def delete_acls(self, acls: Collection[Acl]) -> None:
        self._wire.run("delete ACLs", partial(kafka_acls.delete, self._wire, acls))

    def create_scram_users(self, passwords: Mapping[ScramUser, str]) -> None:
        work = partial(kafka_users.create, self._wire, passwords)
        self._wire.run("create SCRAM users", work)

    def delete_scram_users(self, users: Collection[ScramUser]) -> None:
        self._wire.run("delete SCRAM users", partial(kafka_users.delete, self._wire, users))

    def alter_quotas(self, set: Collection[Quota], delete: Collection[Quota] = ()) -> None:
        work = partial(kafka_acls.alter_quotas, self._wire, set, delete)
        self._wire.run("alter quotas", work)

    # -- groups and producers ------------------------------------------------

    def coordinators(self, groups: Collection[str]) -> Mapping[str, int]:
        return self._wire.run("find coordinators", lambda: self._wire.coordinators(groups))

    def commit(
        self, group: str, offsets: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        if not offsets:
            return {}
        work = partial(kafka_groups.commit, self._wire, group, offsets)
        return self._wire.run(f"commit offsets of group {group}", work, self._timeout * 2)

    def commit_all(self, positions: Mapping[str, Mapping[TopicPartition, int]]) -> None:
        """`commit` of several groups, all at once: one round trip's time, not one a group."""
        todo = {group: offsets for group, offsets in positions.items() if offsets}
        work = partial(kafka_groups.commit_all, self._wire, todo)
        self._wire.run("commit offsets of groups", work, self._timeout * 2)

    def delete_groups(self, groups: Collection[str]) -> None:
        self._wire.run("delete groups", partial(kafka_groups.delete_groups, self._wire, groups))

    def seed_consumer_group(self, group: str, topic: str) -> None:
        kafka_data.seed_consumer_group(
            self.name, self._librdkafka, group, topic, self._timeout, self._clock
        )

    def init_producer_ids(self, broker: int, count: int) -> int:
        work = partial(kafka_producers.init_producer_ids, self._wire, broker, count)
        limit = self._timeout + count / _IDS_A_SECOND
        return self._wire.run(f"take producer ids from broker {broker}", work, limit)

    def abort_transaction(self, state: ProducerState) -> None:
        work = partial(kafka_producers.abort_transaction, self._wire, state)
        self._wire.run(f"abort the transaction of producer {state.producer_id}", work)

    def fence_transactional_id(self, transactional_id: str) -> None:
        work = partial(kafka_producers.fence_transactional_id, self._wire, transactional_id)
        self._wire.run(f"fence transactional id {transactional_id}", work, self._timeout * 2)

    # -- records of scratch topics -------------------------------------------

    def produce(
        self, tp: TopicPartition, records: Sequence[tuple[bytes | None, bytes | None]]
    ) -> tuple[int, ...]:
        return kafka_data.produce(self.name, self._librdkafka, tp, records, self._timeout)

    def consume(self, tp: TopicPartition, start: int, count: int) -> tuple[tuple[int, bytes], ...]:
        return kafka_data.consume(
            self.name, self._librdkafka, tp, start, count, self._timeout, self._clock
        )

    def close(self) -> None:
        self._wire.close()
