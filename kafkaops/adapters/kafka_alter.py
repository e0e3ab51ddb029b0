"""Topics and configs changed: create, grow, delete, alter, elect.

Invariant: a change returns only when the cluster shows it, or it is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from kafka.protocol.admin import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    ElectLeadersRequest,
    IncrementalAlterConfigsRequest,
)

from kafkaops.adapters import kafka_topics
from kafkaops.adapters.kafka_errors import check
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.model.partition import TopicPartition
from kafkaops.model.requests import MOST, parts

Change = tuple[Mapping[str, str], Collection[str]]
"""Values to set, and names to delete."""
_SET, _DELETE = 0, 1
_UNKNOWN_TOPIC, _NOT_NEEDED = 3, 84
_GONE = frozenset({_UNKNOWN_TOPIC, 80})  # preferred leader not available
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
    """Every broker knows the topic, and every partition has a leader."""

    async def look(node: int) -> str:
        [row] = (await wire.metadata([topic], node)).topics
        led = [p for p in row.partitions if p.leader_id >= 0 and p.error_code == 0]
        if row.error_code == 0 and len(led) >= partitions:
            return ""
        return f"{len(led)} of {partitions} partitions have a leader"

    await wire.shown(f"topic {topic}", look)


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

    async def look(node: int) -> str:
        rows = (await wire.metadata(names, node)).topics
        left = [row.name for row in rows if row.error_code == 0]
        return f"{', '.join(left)} still there" if left else ""

    await wire.shown("the deletion of topics", look)


async def alter_topic_configs(
    wire: Wire, set: Mapping[str, Mapping[str, str]], delete: Mapping[str, Collection[str]]
) -> None:
    """Incremental, many topics in a request, then read back from every broker: each set value
    effective, each deleted one no longer the topic's own."""
    topics = sorted({*set, *delete})
    resources = {t: (set.get(t, {}), delete.get(t, ())) for t in topics}
    await _alter(wire, kafka_topics.TOPIC, resources, None)
    keys = sorted({name for values, gone in resources.values() for name in (*values, *gone)})

    async def look(node: int) -> str:
        configs = await kafka_topics.topic_configs(wire, topics, node, keys)
        wrong: list[str] = []
        for topic, (values, gone) in resources.items():
            config = configs.get(topic)
            if config is None:
                wrong.append(f"topic {topic}")
                continue
            wrong += [f"{topic} {n}" for n, v in values.items() if not _same(config.values, n, v)]
            wrong += [f"{topic} {n}" for n in gone if config.sources.get(n) == "topic"]
        return ", ".join(wrong[:5])

    await wire.shown(f"configs of topic {', '.join(topics[:3])}", look)


async def alter_broker_configs(wire: Wire, changes: Mapping[int, Mapping[str, str | None]]) -> None:
    """Dynamic configs of brokers, each asked for at its own broker, all at once."""
    await wire.together(
        {
            broker: partial(alter_broker_config, wire, broker, *sorted_out(values))
            for broker, values in changes.items()
        }
    )


def sorted_out(values: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """What to set, and what to delete."""
    return (
        {name: value for name, value in values.items() if value is not None},
        [name for name, value in values.items() if value is None],
    )


async def alter_broker_config(
    wire: Wire, broker: int | None, set: Mapping[str, str], delete: Collection[str]
) -> None:
    """Dynamic config of one broker, or (None) the cluster-wide default; set values read back."""
    name = "" if broker is None else str(broker)
    await _alter(wire, kafka_topics.BROKER, {name: (set, delete)}, broker)

    async def look(node: int) -> str:
        if broker not in (None, node):
            return ""
        values = await kafka_topics.broker_config(wire, broker, node)
        return ", ".join(
            sorted(
                key
                for key, value in set.items()
                if key not in values or not _same(values, key, value)
            )
        )

    await wire.shown(f"configs of broker {name or '<default>'}", look)


def _same(values: Mapping[str, str | None], name: str, wanted: str) -> bool:
    """Sensitive values (None) cannot be read back; lists come back in their order."""
    got = values.get(name)
    return got is None or got == wanted


async def _alter(
    wire: Wire,
    kind: int,
    resources: Mapping[str, Change],
    node: int | None,
) -> None:
    """IncrementalAlterConfigs for all resources (name -> values to set, names to delete), in as few
    requests as a controller takes whole."""
    for some in _requests(resources):
        await _altered(wire, kind, some, node)


def _requests(resources: Mapping[str, Change]) -> Iterator[dict[str, Change]]:
    """Each value is a record of its own; a resource is never cut in two."""
    some: dict[str, Change] = {}
    records = 0
    for name, change in resources.items():
        count = len(change[0]) + len(change[1])
        if some and records + count > MOST:
            yield some
            some, records = {}, 0
        if count:
            some[name] = change
            records += count
    if some:
        yield some


async def _altered(wire: Wire, kind: int, todo: Mapping[str, Change], node: int | None) -> None:
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource
    entry = resource.AlterableConfig

    def rows(values: Mapping[str, str], gone: Collection[str]) -> list[Any]:
        wanted = [entry(name=k, config_operation=_SET, value=v) for k, v in sorted(values.items())]
        return wanted + [entry(name=k, config_operation=_DELETE, value=None) for k in sorted(gone)]

    def make() -> Any:
        return IncrementalAlterConfigsRequest(
            resources=[
                resource(resource_type=kind, resource_name=name, configs=rows(*change))
                for name, change in todo.items()
            ],
            validate_only=False,
        )

    if node is None:
        answer = await wire.to_controller(make, lambda a: max(r.error_code for r in a.responses))
    else:
        answer = await wire.send(make, node)
    for row in answer.responses:
        check(row.error_code, row.resource_name or "the cluster-wide default", row.error_message)


async def elect(
    wire: Wire, partitions: Collection[TopicPartition], *, unclean: bool = False
) -> None:
    """Preferred leaders for these partitions, or whoever is up (KIP-460); one that is led as wanted
    already is no error, nor one that was deleted since somebody looked, or whose preferred replica
    fell out of sync: the next look tells. In as few requests as a controller takes whole."""
    for some in parts(sorted(partitions)):
        await _elected(wire, some, unclean)


async def _elected(wire: Wire, partitions: Collection[TopicPartition], unclean: bool) -> None:
    row = ElectLeadersRequest.TopicPartitions
    rows: dict[str, list[int]] = {}
    for tp in partitions:
        rows.setdefault(tp.topic, []).append(tp.partition)
    answer = await wire.to_controller(
        lambda: ElectLeadersRequest(
            election_type=int(unclean),
            topic_partitions=[row(topic=name, partitions=ids) for name, ids in rows.items()],
            timeout_ms=10_000,
        ),
        lambda a: a.error_code,
    )
    check(answer.error_code, "leader election")
    for topic in answer.replica_election_results:
        for p in topic.partition_result:
            if p.error_code != _NOT_NEEDED and (unclean or p.error_code not in _GONE):
                check(p.error_code, f"{topic.topic}-{p.partition_id}", p.error_message)
