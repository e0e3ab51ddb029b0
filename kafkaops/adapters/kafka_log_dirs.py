"""Log directories of brokers: what lies where and how large it is (DescribeLogDirs, KIP-113).

Invariant: a directory that a broker cannot read is an answer about that directory, with Kafka's
word for it; it never hides the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from kafka.protocol.admin import AlterReplicaLogDirsRequest, DescribeLogDirsRequest

from kafkaops.adapters.kafka_errors import KafkaAnswer, check
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.model.cluster import LogDir
from kafkaops.model.log_dirs import Dirs, usable
from kafkaops.model.partition import Topic, TopicPartition


async def log_dirs(wire: Wire, ids: list[int]) -> dict[int, tuple[LogDir, ...]]:
    """The directories of these brokers, by path."""
    answers = await wire.everywhere(lambda: DescribeLogDirsRequest(topics=None), ids)
    return {broker: dirs_of(answer, broker) for broker, answer in sorted(answers.items())}


async def of_those_up(wire: Wire, brokers: Collection[int]) -> dict[int, tuple[LogDir, ...]]:
    """The same, without brokers that metadata does not list."""

    async def look() -> dict[int, tuple[LogDir, ...]]:
        up = {b.node_id for b in (await wire.metadata([])).brokers}
        return await log_dirs(wire, sorted(up.intersection(brokers)))

    return await wire.again(look)


async def move(wire: Wire, dirs: Mapping[int, Mapping[TopicPartition, str]]) -> None:
    """AlterReplicaLogDirs at each broker. KafkaAnswer names the replica that was refused."""
    row = AlterReplicaLogDirsRequest.AlterReplicaLogDir
    topic = row.AlterReplicaLogDirTopic

    def make(wanted: Mapping[TopicPartition, str]) -> Any:
        paths: dict[str, dict[str, list[int]]] = {}
        for tp, path in sorted(wanted.items()):
            paths.setdefault(path, {}).setdefault(tp.topic, []).append(tp.partition)
        return AlterReplicaLogDirsRequest(
            dirs=[
                row(path=p, topics=[topic(name=n, partitions=ids) for n, ids in of.items()])
                for p, of in paths.items()
            ]
        )

    answers = await wire.together(
        {b: partial(wire.send, partial(make, wanted), b) for b, wanted in dirs.items() if wanted}
    )
    for broker, answer in answers.items():
        for found in answer.results:
            for p in found.partitions:
                where = f"{found.topic_name}-{p.partition_index} of broker {broker}"
                check(p.error_code, where)


def dirs_of(answer: Any, broker: int) -> tuple[LogDir, ...]:
    """One broker's answer. KafkaAnswer where the broker answers nothing at all."""
    check(answer.error_code, f"log dirs of broker {broker}")
    return tuple(_dir(row) for row in sorted(answer.results, key=lambda row: str(row.log_dir)))


def _dir(row: Any) -> LogDir:
    if row.error_code:
        return LogDir(row.log_dir, error=KafkaAnswer(row.error_code).name)
    replicas: dict[TopicPartition, int] = {}
    arriving: dict[TopicPartition, int] = {}
    for topic in row.topics:
        for p in topic.partitions:
            into = arriving if p.is_future_key else replicas
            into[TopicPartition(topic.name, p.partition_index)] = p.partition_size
    return LogDir(
        row.log_dir,
        _known(row, "total_bytes"),
        _known(row, "usable_bytes"),
        dict(sorted(replicas.items())),
        arriving=dict(sorted(arriving.items())),
        cordoned=bool(getattr(row, "is_cordoned", None)),
    )


def _known(row: Any, name: str) -> int:
    value = getattr(row, name, None)
    return -1 if value is None else int(value)


def held(
    dirs: Dirs, sizes: Mapping[TopicPartition, int], topics: Mapping[str, Topic]
) -> dict[int, int]:
    """Bytes of replicas by broker. What an unreadable directory holds cannot be read: what the
    broker is to hold and shows nowhere counts at the size that it has elsewhere."""
    used = {
        broker: sum(sum(d.replicas.values()) + sum(d.arriving.values()) for d in of_broker)
        for broker, of_broker in dirs.items()
    }
    hurt = {broker for broker, of_broker in dirs.items() if any(d.error for d in of_broker)}
    if not hurt:
        return used
    seen = {broker: {tp for d in dirs[broker] for tp in d.replicas} for broker in hurt}
    for topic in topics.values():
        for p in topic.partitions:
            for broker in hurt.intersection(p.replicas):
                if p.tp not in seen[broker]:
                    used[broker] += sizes.get(p.tp, 0)
    return used


def free(dirs: Dirs) -> dict[int, int]:
    """Usable bytes by broker; without those that no broker tells."""
    told = {broker: usable(of_broker) for broker, of_broker in dirs.items()}
    return {broker: count for broker, count in told.items() if count is not None}
