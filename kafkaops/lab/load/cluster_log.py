"""A reader of its own for a cluster's log: plain consumption from the beginning to the end.

Invariant: it reads the REPL listener, read_committed, and commits nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from kafkaops.engine.errors import Unreachable
from kafkaops.lab.load.ledger import FOREIGN
from kafkaops.lab.load.record import decode
from kafkaops.lab.load.report import LogRecord


def read(
    bootstrap: str,
    topics: Sequence[str],
    access: Mapping[str, str] | None = None,
    *,
    timeout: float = 30.0,
) -> Iterator[LogRecord]:
    """Every visible record of the topics. `access` are librdkafka's settings to log in with.
    Unreachable when nothing moves for `timeout` s."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "load-report",
            "client.id": "load-report",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 5,
            **(access or {}),
        }
    )
    try:
        yield from _read(consumer, bootstrap, topics, timeout)
    finally:
        consumer.close()


def _read(
    consumer: Consumer, bootstrap: str, topics: Sequence[str], timeout: float
) -> Iterator[LogRecord]:
    wanted = _partitions(consumer, bootstrap, topics, timeout)
    open_ends = {(tp.topic, tp.partition) for tp in wanted}
    consumer.assign(wanted)
    deadline = time.monotonic() + timeout
    while open_ends:
        messages = consumer.consume(5000, 0.2)
        if messages:
            deadline = time.monotonic() + timeout
        elif time.monotonic() > deadline:
            raise _silent(bootstrap, timeout)
        for message in messages:
            topic, partition = str(message.topic()), cast(int, message.partition())
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    open_ends.discard((topic, partition))
                    continue
                raise KafkaException(error)
            if (topic, partition) not in open_ends:
                continue  # written after its end was reached
            content = decode(message.key(), message.value())
            yield LogRecord(
                topic,
                partition,
                cast(int, message.offset()),
                content.producer if content else FOREIGN,
                content.seq if content else -1,
                content.intact if content else True,
            )


def _partitions(
    consumer: Consumer, bootstrap: str, topics: Sequence[str], timeout: float
) -> list[TopicPartition]:
    try:
        known = consumer.list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise _silent(bootstrap, timeout) from error
    return [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for topic in topics
        if topic in known
        for partition in known[topic].partitions
    ]


def _silent(bootstrap: str, timeout: float) -> Unreachable:
    return Unreachable(
        "KO-LOAD-LOG",
        f"the log could not be read to its end: no answer for {timeout:.0f} s",
        where=bootstrap,
        hint="kafkaops lab status",
    )
