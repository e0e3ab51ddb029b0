"""Records written and read for scratch topics, and seeded consumer groups, by librdkafka.

Invariant: written means acknowledged by all in-sync replicas, and nothing here is used on
the operator's own topics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka import TopicPartition as RdTopicPartition

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError, StepFailed, TimedOut, Unreachable
from kafkaops.model.partition import TopicPartition

_CREDENTIALS = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
_PERMISSION = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_REACH = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE})


def produce(
    cluster: str,
    settings: Mapping[str, Any],
    tp: TopicPartition,
    records: Sequence[tuple[bytes | None, bytes | None]],
    timeout: float,
) -> tuple[int, ...]:
    """Write records (key, value) to one partition; their offsets in order."""
    offsets: dict[int, int] = {}
    failed: list[KafkaError] = []
    trouble: list[KafkaError] = []

    def written(index: int) -> Any:
        def done(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
            else:
                offsets[index] = int(message.offset() or 0)

        return done

    with _told(cluster, f"write to {tp}"):
        producer = Producer(
            {
                **settings,
                "acks": "all",
                "enable.idempotence": False,
                "linger.ms": 0,
                "message.timeout.ms": int(timeout * 1000),
                "error_cb": trouble.append,
            }
        )
        for index, (key, value) in enumerate(records):
            producer.produce(
                tp.topic, value=value, key=key, partition=tp.partition, on_delivery=written(index)
            )
        producer.flush(timeout)
        if failed:
            raise KafkaException(_cause(failed[0], trouble))
    if len(offsets) != len(records):
        raise TimedOut(
            "KO-CLUSTER-WRITE-TIMEOUT",
            f"{cluster} acknowledged {len(offsets)} of {len(records)} records to {tp}"
            f" in {timeout:.0f} s",
            where=f"{cluster}/{tp}",
        )
    return tuple(offsets[index] for index in range(len(records)))


def consume(
    cluster: str,
    settings: Mapping[str, Any],
    tp: TopicPartition,
    start: int,
    count: int,
    timeout: float,
    clock: Clock,
) -> tuple[tuple[int, bytes], ...]:
    """Up to `count` visible records (offset, value) from `start`; fewer at the end of the log."""
    found: list[tuple[int, bytes]] = []
    trouble: list[KafkaError] = []
    with _told(cluster, f"read {tp}"):
        consumer = Consumer(
            {
                **settings,
                "group.id": "kafkaops-scratch",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 50,
                "error_cb": trouble.append,
            }
        )
        try:
            consumer.assign([RdTopicPartition(tp.topic, tp.partition, start)])
            deadline = clock.monotonic() + timeout
            while len(found) < count:
                message = consumer.poll(0.2)
                if message is None:
                    if clock.monotonic() >= deadline:
                        _raise_known(trouble)
                        raise TimedOut(
                            "KO-CLUSTER-READ-TIMEOUT",
                            f"{cluster} gave {len(found)} of {count} records of {tp}"
                            f" in {timeout:.0f} s",
                            where=f"{cluster}/{tp}",
                        )
                    continue
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    break
                if error is not None:
                    raise KafkaException(error)
                found.append((int(message.offset() or 0), message.value() or b""))
        finally:
            consumer.close()
    return tuple(found)


def seed_consumer_group(
    cluster: str, settings: Mapping[str, Any], group: str, topic: str, timeout: float, clock: Clock
) -> None:
    """Join as a KIP-848 consumer until partitions are assigned, and leave; commits nothing."""
    with _told(cluster, f"seed group {group}"):
        trouble: list[KafkaError] = []
        consumer = Consumer(
            {
                **settings,
                "group.id": group,
                "group.protocol": "consumer",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "error_cb": trouble.append,
            }
        )
        joined: list[bool] = []
        try:
            consumer.subscribe([topic], on_assign=lambda _c, _tps: joined.append(True))
            deadline = clock.monotonic() + timeout
            while not joined:
                message = consumer.poll(0.1)
                error = message.error() if message is not None else None
                fatal = next((e for e in trouble if e.fatal()), error)
                if fatal is not None:
                    raise KafkaException(fatal)
                if clock.monotonic() >= deadline:
                    raise TimedOut(
                        "KO-GROUP-SEED-TIMEOUT",
                        f"group {group} could not be joined on {cluster} in {timeout:.0f} s"
                        + (f": {trouble[-1].str()}" if trouble else ""),
                        where=f"{cluster}/{group}",
                        hint="does the cluster run the consumer group protocol (KIP-848)?",
                    )
        finally:
            consumer.close()


def _known(trouble: Sequence[KafkaError]) -> KafkaError | None:
    """The last thing that librdkafka said on the side and that explains why nothing happened."""
    explains = _CREDENTIALS | _PERMISSION | _REACH
    return next((e for e in reversed(trouble) if e.code() in explains), None)


def _cause(error: KafkaError, trouble: Sequence[KafkaError]) -> KafkaError:
    return (_known(trouble) or error) if error.code() == KafkaError._MSG_TIMED_OUT else error


def _raise_known(trouble: Sequence[KafkaError]) -> None:
    known = _known(trouble)
    if known is not None:
        raise KafkaException(known)


@contextlib.contextmanager
def _told(cluster: str, what: str) -> Iterator[None]:
    """librdkafka's errors in our words."""
    try:
        yield
    except KafkaException as raised:
        error = raised.args[0]
        code = error.code() if isinstance(error, KafkaError) else OFFSET_INVALID
        text = error.str() if isinstance(error, KafkaError) else str(raised)
        if code in _CREDENTIALS:
            raise ConfigError(
                "KO-CLUSTER-CREDENTIALS", f"{cluster} did not accept the credentials: {text}"
            ) from raised
        if code in _PERMISSION:
            raise ConfigError(
                "KO-CLUSTER-PERMISSION", f"{cluster} refused to {what}: {text}"
            ) from raised
        if code in _REACH:
            raise Unreachable(
                "KO-CLUSTER-UNREACHABLE", f"{cluster} did not answer to {what}: {text}"
            ) from raised
        if code == KafkaError._MSG_TIMED_OUT:
            raise TimedOut(
                "KO-CLUSTER-WRITE-TIMEOUT", f"{cluster} did not acknowledge in time: {what}"
            ) from raised
        raise StepFailed("KO-CLUSTER-KAFKA", f"{cluster} failed to {what}: {text}") from raised
