"""Topics, partitions, offsets and configs: read over a `Wire`.

Invariant: metadata never creates a topic, and config sources are named as in `TopicConfig`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import kafka.errors as k
from kafka.protocol.admin import DescribeConfigsRequest
from kafka.protocol.consumer import ListOffsetsRequest

from kafkaops.adapters.kafka_errors import STALE_LEADER, KafkaAnswer, check, hopeless
from kafkaops.adapters.kafka_link import BROKEN
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.model.cluster import Told
from kafkaops.model.partition import Ends, Partition, Topic, TopicConfig, TopicPartition

TOPIC, BROKER = 2, 4
_SOURCES = {
    1: "topic",
    2: "broker-dynamic",
    3: "broker-default-dynamic",
    4: "static",
    5: "default",
}
_OWN = 2  # broker-dynamic
_EARLIEST, _LATEST = -2, -1
_CONSUMER, _DEBUGGING = -1, -2  # replica ids: a leader tells its log end to what is no consumer
_READS = {"start": (_EARLIEST, 0), "high_watermark": (_LATEST, 0), "stable": (_LATEST, 1)}


def topics_of(metadata: Any, configs: Mapping[str, TopicConfig]) -> dict[str, Topic]:
    """Our topics from a Metadata answer; topics on their way out are left out."""
    topics: dict[str, Topic] = {}
    for row in metadata.topics:
        if row.error_code in STALE_LEADER and not row.partitions:
            continue
        if row.error_code not in STALE_LEADER:
            check(row.error_code, row.name)
        partitions = tuple(
            Partition(
                TopicPartition(row.name, p.partition_index),
                p.leader_id,
                p.leader_epoch,
                tuple(p.replica_nodes),
                tuple(p.isr_nodes),
                tuple(p.offline_replicas or ()),
            )
            for p in sorted(row.partitions, key=lambda p: p.partition_index)
        )
        topics[row.name] = Topic(
            row.name,
            str(row.topic_id),
            bool(row.is_internal),
            partitions,
            configs.get(row.name, TopicConfig({}, {})),
        )
    return topics


async def told_by(wire: Wire, broker: int, *, topics: bool) -> Told | None:
    """That broker's own metadata; None while it is not listed, does not answer, or was told of
    nobody yet (in ZooKeeper mode it serves before its controller told it anything). Raises what no
    second try cures: a certificate, a login."""
    if broker not in {b.node_id for b in (await wire.metadata([])).brokers}:
        return None
    try:
        answer = await wire.metadata(None if topics else [], broker)
    except (*BROKEN, k.RequestTimedOutError, k.KafkaTimeoutError) as error:
        if hopeless(error):
            raise
        return None
    up = tuple(sorted(b.node_id for b in answer.brokers))
    if broker not in up:
        return None
    return Told(str(answer.cluster_id or ""), up, topics_of(answer, {}) if topics else {})


async def some(wire: Wire, names: Collection[str], *, configs: bool) -> dict[str, Topic]:
    """These topics, without those that do not exist."""
    if not names:
        return {}
    found = topics_of(await wire.metadata(sorted(names)), {})
    values = await topic_configs(wire, list(found)) if configs else {}
    return {n: replace(t, config=values.get(n, t.config)) for n, t in found.items()}


async def own_of_topics(
    wire: Wire, names: Collection[str], keys: Collection[str]
) -> dict[str, dict[str, str]]:
    """What is set on the topics themselves."""
    found = await topic_configs(wire, names, None, sorted(keys))
    return {
        name: {k: v for k, v in of.values.items() if v is not None and of.sources[k] == "topic"}
        for name, of in found.items()
    }


async def own_of_brokers(
    wire: Wire, brokers: Collection[int], keys: Collection[str]
) -> dict[int, dict[str, str]]:
    """What is set at run time on the brokers for themselves, each asked itself. All of a broker's
    configs are read: one that nothing set is an error to some brokers, where it is asked for."""

    async def look() -> dict[int, dict[str, str]]:
        up = {b.node_id for b in (await wire.metadata([])).brokers}
        return await wire.together({b: partial(one, b) for b in sorted(up.intersection(brokers))})

    async def one(broker: int) -> dict[str, str]:
        [row] = await _describe_configs(wire, BROKER, [str(broker)], broker)
        check(row.error_code, f"broker {broker}", row.error_message)
        return {
            c.name: c.value
            for c in row.configs
            if c.name in keys and c.value is not None and c.config_source == _OWN
        }

    return await wire.again(look)


async def topic_configs(
    wire: Wire,
    names: Collection[str],
    node: int | None = None,
    keys: Sequence[str] | None = None,
) -> dict[str, TopicConfig]:
    """Effective configs of topics (all, or these `keys`), as one broker sees them; a topic
    deleted meanwhile is absent."""
    if not names:
        return {}
    found: dict[str, TopicConfig] = {}
    for row in await _describe_configs(wire, TOPIC, sorted(names), node, keys):
        if row.error_code in STALE_LEADER:
            continue
        check(row.error_code, row.resource_name, row.error_message)
        found[row.resource_name] = _topic_config(row)
    return found


def _topic_config(row: Any) -> TopicConfig:
    values = {c.name: (None if c.is_sensitive else c.value) for c in row.configs}
    return TopicConfig(values, {c.name: _SOURCES.get(c.config_source, "") for c in row.configs})


async def broker_config(
    wire: Wire, broker: int | None, node: int | None = None, keys: Sequence[str] | None = None
) -> dict[str, str | None]:
    """One broker's effective config (all, or these `keys`), asked of itself; None: the
    cluster-wide dynamic default, as `node` knows it."""
    resource, at = "" if broker is None else str(broker), node if broker is None else broker
    [row] = await _describe_configs(wire, BROKER, [resource], at, keys)
    check(row.error_code, f"broker {resource}", row.error_message)
    return {c.name: (None if c.is_sensitive else c.value) for c in row.configs}


async def _describe_configs(
    wire: Wire,
    kind: int,
    names: list[str],
    node: int | None,
    keys: Sequence[str] | None = None,
) -> list[Any]:
    resource = DescribeConfigsRequest.DescribeConfigsResource

    def make() -> Any:
        return DescribeConfigsRequest(
            resources=[
                resource(
                    resource_type=kind,
                    resource_name=name,
                    configuration_keys=list(keys) if keys is not None else None,
                )
                for name in names
            ],
            include_synonyms=False,
            include_documentation=False,
        )

    answer = await (wire.ask(make) if node is None else wire.direct(make, node))
    return list(answer.results)


async def ends(wire: Wire, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Ends]:
    """Log start, high watermark and last stable offset: three pipelined requests a leader."""

    async def ask(
        leader: int, tps: list[TopicPartition]
    ) -> Mapping[TopicPartition, Ends | KafkaAnswer]:
        rows = _by_topic(tps)
        answers = await wire.together(
            {
                name: _list_offsets(wire, leader, rows, timestamp, isolation)
                for name, (timestamp, isolation) in _READS.items()
            }
        )
        read = {name: _offsets(answer) for name, answer in answers.items()}
        result: dict[TopicPartition, Ends | KafkaAnswer] = {}
        for tp in tps:
            values = {name: found[tp] for name, found in read.items()}
            wrong = next((v for v in values.values() if isinstance(v, KafkaAnswer)), None)
            result[tp] = wrong or Ends(**{n: v for n, v in values.items() if isinstance(v, int)})
        return result

    return await wire.at_leaders(partitions, ask)


async def unreplicated(
    wire: Wire, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Offsets between high watermark and log end: two pipelined requests a leader. A leader tells
    its log end to a reader that is no consumer (replica id -2)."""

    async def ask(
        leader: int, tps: list[TopicPartition]
    ) -> Mapping[TopicPartition, int | KafkaAnswer]:
        rows = _by_topic(tps)
        answers = await wire.together(
            {
                "end": _list_offsets(wire, leader, rows, _LATEST, 0, replica=_DEBUGGING),
                "high": _list_offsets(wire, leader, rows, _LATEST, 0),
            }
        )
        end, high = (_offsets(answers[name]) for name in ("end", "high"))
        found: dict[TopicPartition, int | KafkaAnswer] = {}
        for tp in tps:
            last, acked = end[tp], high[tp]
            if isinstance(last, int) and isinstance(acked, int):
                found[tp] = max(0, last - acked)
            else:
                found[tp] = last if isinstance(last, KafkaAnswer) else acked
        return found

    return await wire.at_leaders(partitions, ask)


def _list_offsets(
    wire: Wire,
    leader: int,
    rows: Mapping[str, list[int]],
    timestamp: int,
    isolation: int,
    *,
    replica: int = _CONSUMER,
) -> Callable[[], Any]:
    topic = ListOffsetsRequest.ListOffsetsTopic
    partition = topic.ListOffsetsPartition

    def make() -> Any:
        return ListOffsetsRequest(
            replica_id=replica,
            isolation_level=isolation,
            topics=[
                topic(
                    name=name,
                    partitions=[partition(partition_index=p, timestamp=timestamp) for p in ids],
                )
                for name, ids in rows.items()
            ],
            timeout_ms=5000,
        )

    return lambda: wire.direct(make, leader)


def _offsets(answer: Any) -> dict[TopicPartition, int | KafkaAnswer]:
    found: dict[TopicPartition, int | KafkaAnswer] = {}
    for topic in answer.topics:
        for row in topic.partitions:
            tp = TopicPartition(topic.name, row.partition_index)
            code = row.error_code
            found[tp] = KafkaAnswer(code, str(tp)) if code else row.offset
    return found


def _by_topic(tps: Iterable[TopicPartition]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for tp in tps:
        rows.setdefault(tp.topic, []).append(tp.partition)
    return rows
