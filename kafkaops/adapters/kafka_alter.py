"""Topics and configs changed: create, grow, delete, alter, elect.

Invariant: a change returns only when the cluster shows it, or it is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kafka.protocol.admin import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    ElectLeadersRequest,
    IncrementalAlterConfigsRequest,
)

from kafkaops.adapters import kafka_topics
from kafkaops.adapters.kafka_errors import KafkaAnswer, check
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import TopicPartition

_SET, _DELETE = 0, 1
_UNKNOWN_TOPIC, _NOT_NEEDED = 3, 84
_ASSIGNED = -1  # counts that the given assignment implies


async def create_topic(
    wire: Wire, topic: str, assignment: Mapping[int, Sequence[int]], configs: Mapping[str, str]
) -> None:
    """Create with explicit replicas and wait until every partition has a leader."""
    row = CreateTopicsRequest.CreatableTopic

    def make() -> Any:
        return CreateTopicsRequest(
            topics=[
                row(
                    name=topic,
                    num_partitions=_ASSIGNED,
                    replication_factor=_ASSIGNED,
                    assignments=[
                        row.CreatableReplicaAssignment(partition_index=p, broker_ids=list(nodes))
                        for p, nodes in sorted(assignment.items())
                    ],
                    configs=[
                        row.CreatableTopicConfig(name=name, value=value)
                        for name, value in sorted(configs.items())
                    ],
                )
            ],
            timeout_ms=10_000,
            validate_only=False,
        )

    answer = await wire.to_controller(make, lambda a: a.topics[0].error_code)
    check(answer.topics[0].error_code, topic, answer.topics[0].error_message)
    await _led(wire, topic, len(assignment))


async def _led(wire: Wire, topic: str, partitions: int) -> None:
    deadline = wire.now() + wire.timeout
    while True:
        [row] = (await wire.metadata([topic])).topics
        led = [p for p in row.partitions if p.leader_id >= 0 and p.error_code == 0]
        if row.error_code == 0 and len(led) >= partitions:
            return
        if wire.now() >= deadline:
            raise StepFailed(
                "KO-TOPIC-NO-LEADER",
                f"{topic} of {wire.name} has {len(led)} of {partitions} partitions with a leader"
                f" after {wire.timeout:.0f} s",
                where=f"{wire.name}/{topic}",
            )
        await wire.sleep(0.05)


async def create_partitions(
    wire: Wire, topic: str, assignment: Mapping[int, Sequence[int]]
) -> None:
    """Add the partitions named (they must follow the existing ones without a gap)."""
    row = CreatePartitionsRequest.CreatePartitionsTopic
    total = max(assignment) + 1

    def make() -> Any:
        return CreatePartitionsRequest(
            topics=[
                row(
                    name=topic,
                    count=total,
                    assignments=[
                        row.CreatePartitionsAssignment(broker_ids=list(nodes))
                        for _, nodes in sorted(assignment.items())
                    ],
                )
            ],
            timeout_ms=10_000,
            validate_only=False,
        )

    answer = await wire.to_controller(make, lambda a: a.results[0].error_code)
    check(answer.results[0].error_code, topic, answer.results[0].error_message)
    await _led(wire, topic, total)


async def delete_topics(wire: Wire, topics: Collection[str]) -> None:
    """Delete, and wait until metadata no longer lists them; a missing one is no error."""
    row = DeleteTopicsRequest.DeleteTopicState
    names = sorted(topics)
    if not names:
        return
    answer = await wire.to_controller(
        lambda: DeleteTopicsRequest(
            topics=[row(name=name, topic_id=None) for name in names],
            topic_names=names,
            timeout_ms=10_000,
            max_version=5,
        ),
        lambda a: max(r.error_code for r in a.responses),
    )
    for result in answer.responses:
        if result.error_code != _UNKNOWN_TOPIC:
            check(result.error_code, result.name, result.error_message)
    deadline = wire.now() + wire.timeout
    while True:
        left = [r.name for r in (await wire.metadata(names)).topics if r.error_code == 0]
        if not left:
            return
        if wire.now() >= deadline:
            raise KafkaAnswer(7, ", ".join(left), "still listed")
        await wire.sleep(0.05)


async def alter_topic_config(
    wire: Wire, topic: str, set: Mapping[str, str], delete: Collection[str]
) -> None:
    """Incremental, then read back: every set value effective, every deleted one not a topic's."""
    await _alter(wire, kafka_topics.TOPIC, topic, None, set, delete)
    deadline = wire.now() + wire.timeout
    while True:
        config = (await kafka_topics.topic_configs(wire, [topic])).get(topic)
        if config is not None:
            wrong = [name for name, value in set.items() if not _same(config.values, name, value)]
            wrong += [name for name in delete if config.sources.get(name) == "topic"]
            if not wrong:
                return
        if wire.now() >= deadline:
            raise _not_kept(wire, f"topic {topic}", wrong if config else list(set))
        await wire.sleep(0.05)


async def alter_broker_config(
    wire: Wire, broker: int | None, set: Mapping[str, str], delete: Collection[str]
) -> None:
    """Dynamic config of one broker, or (None) the cluster-wide default; set values read back."""
    name = "" if broker is None else str(broker)
    await _alter(wire, kafka_topics.BROKER, name, broker, set, delete)
    deadline = wire.now() + wire.timeout
    while True:
        values = await kafka_topics.broker_config(wire, broker)
        wrong = [
            key for key, value in set.items() if key not in values or not _same(values, key, value)
        ]
        if not wrong:
            return
        if wire.now() >= deadline:
            raise _not_kept(wire, f"broker {name or '<default>'}", wrong)
        await wire.sleep(0.05)


def _same(values: Mapping[str, str | None], name: str, wanted: str) -> bool:
    """Sensitive values (None) cannot be read back; lists come back in their order."""
    got = values.get(name)
    return got is None or got == wanted


def _not_kept(wire: Wire, what: str, names: Collection[str]) -> StepFailed:
    return StepFailed(
        "KO-CONFIG-NOT-KEPT",
        f"{wire.name} accepted but does not show {', '.join(sorted(names))} of {what}",
        where=f"{wire.name}/{what}",
    )


async def _alter(
    wire: Wire,
    kind: int,
    name: str,
    node: int | None,
    set: Mapping[str, str],
    delete: Collection[str],
) -> None:
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource
    entry = resource.AlterableConfig
    if not set and not delete:
        return

    def make() -> Any:
        rows = [entry(name=k, config_operation=_SET, value=v) for k, v in sorted(set.items())]
        rows += [entry(name=k, config_operation=_DELETE, value=None) for k in sorted(delete)]
        return IncrementalAlterConfigsRequest(
            resources=[resource(resource_type=kind, resource_name=name, configs=rows)],
            validate_only=False,
        )

    if node is None:
        answer = await wire.to_controller(make, lambda a: a.responses[0].error_code)
    else:
        answer = await wire.send(make, node)
    [row] = answer.responses
    check(row.error_code, name or "the cluster-wide default", row.error_message)


async def elect_preferred(wire: Wire, partitions: Collection[TopicPartition]) -> None:
    """Preferred leaders for these partitions; one that leads already is no error."""
    row = ElectLeadersRequest.TopicPartitions
    rows: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        rows.setdefault(tp.topic, []).append(tp.partition)
    if not rows:
        return
    answer = await wire.to_controller(
        lambda: ElectLeadersRequest(
            election_type=0,
            topic_partitions=[row(topic=name, partitions=ids) for name, ids in rows.items()],
            timeout_ms=10_000,
        ),
        lambda a: a.error_code,
    )
    check(answer.error_code, "leader election")
    for topic in answer.replica_election_results:
        for p in topic.partition_result:
            if p.error_code != _NOT_NEEDED:
                check(p.error_code, f"{topic.topic}-{p.partition_id}", p.error_message)
