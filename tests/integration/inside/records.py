"""Records of a lab's blue (3.9) and green (4.x), and a copier as the mirror: a pytest plugin."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer
from confluent_kafka import TopicPartition as RdPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafkaops.adapters.raw_log import RawLog
from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.clock import SystemClock
from kafkaops.verify.compare import Result, verify_clusters

CLOCK = SystemClock()
SERVERS = {"blue": "127.0.1.1:9094", "green": "127.0.2.1:9094"}
COUNT = 100_000
Record = tuple[Any, Any, Any, int]  # key, value, headers, timestamp
Tamper = Callable[[int, Record], Iterable[Record]]


def settings(colour: str, **more: object) -> dict[str, Any]:
    return {"bootstrap.servers": SERVERS[colour], "log_level": 0, **more}


def producer(colour: str, **more: object) -> Producer:
    return Producer(settings(colour, **{"enable.idempotence": True, "linger.ms": 5} | more))


@pytest.fixture(scope="module")
def admins() -> dict[str, AdminClient]:
    return {colour: AdminClient(settings(colour)) for colour in SERVERS}


@pytest.fixture
def logs() -> Iterator[dict[str, RawLog]]:
    made = {
        colour: RawLog(
            ClusterSpec(
                name=colour,
                bootstrap=(SERVERS[colour],),
                hosts=(HostSpec(name=colour, address=SERVERS[colour].split(":")[0]),),
            )
        )
        for colour in SERVERS
    }
    yield made
    for log in made.values():
        log.close()


@pytest.fixture
def create(admins: dict[str, AdminClient]) -> Iterator[Callable[..., str]]:
    """Makes a topic on both; deleted afterwards."""
    names: list[str] = []

    def make(partitions: int, blue: dict[str, str] | None = None) -> str:
        name = f"v-{uuid.uuid4().hex[:8]}"
        names.append(name)
        for colour, admin in admins.items():
            # Records here are dated years back: retention would take them at any moment.
            config = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(1 << 60)}
            config |= (blue or {}) if colour == "blue" else {}
            new = NewTopic(name, partitions, config=config)
            [future] = admin.create_topics([new]).values()
            future.result(30)
        return name

    yield make
    for admin in admins.values():
        for future in admin.delete_topics(names).values():
            future.result(30)


def send(made: Producer, topic: str, partition: int, record: Record) -> None:
    key, value, headers, timestamp = record
    while True:
        try:
            made.produce(topic, value, key, partition, timestamp=timestamp, headers=headers or [])
        except BufferError:
            made.poll(0.2)
        else:
            return


def fill(topic: str, partitions: int, count: int, colour: str = "blue", **more: object) -> None:
    """`count` records a partition."""
    made = producer(colour, **more)
    for i in range(count):
        for p in range(partitions):
            headers = [("n", b"%d" % i), ("null", None)] if i % 5 == 0 else []
            record = (b"%d" % (i % 997), b"value %d of %d" % (i, p), headers, 1_700_000_000_000 + i)
            send(made, topic, p, record)
    assert made.flush(60) == 0


def read(colour: str, topic: str, partition: int) -> list[Message]:
    """Every visible record, by a reader that is not ours."""
    consumer = Consumer(
        settings(
            colour,
            **{
                "group.id": uuid.uuid4().hex,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 5,
            },
        )
    )
    found: list[Message] = []
    try:
        consumer.assign([RdPartition(topic, partition, OFFSET_BEGINNING)])
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for message in consumer.consume(10_000, 1.0):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    return found
        raise AssertionError(f"{topic} was not read to its end")
    finally:
        consumer.close()


def copy(topic: str, partition: int, tamper: Tamper | None = None, **more: object) -> None:
    """Blue's records to green, as a mirror would, tampered with as asked."""
    made = producer("green", **more)
    for index, message in enumerate(read("blue", topic, partition)):
        record = (message.key(), message.value(), message.headers(), message.timestamp()[1])
        for out in tamper(index, record) if tamper else (record,):
            send(made, topic, partition, out)
    assert made.flush(60) == 0


def compare(logs: dict[str, RawLog], topics: dict[str, tuple[int, bool]]) -> Result:
    return verify_clusters(logs["blue"], logs["green"], topics, CLOCK, patience=1.0, timeout=120)
