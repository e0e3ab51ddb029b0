"""Load clients on confluent-kafka (librdkafka)."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from kafkaops.lab import access
from kafkaops.lab.layout import Layout
from kafkaops.lab.load.client import Dead
from kafkaops.lab.load.ledger import FOREIGN, LedgerWriter, Positions
from kafkaops.lab.load.record import decode
from kafkaops.lab.load.spec import ClientSpec

POLL = 0.1


def _common(spec: ClientSpec) -> dict[str, Any]:
    config: dict[str, Any] = {"bootstrap.servers": spec.bootstrap, "client.id": spec.name}
    if spec.lab:
        config |= access.librdkafka(Layout.of(spec.lab), access.LOAD)
    if spec.kind == "librdkafka-none":
        config["metadata.recovery.strategy"] = "none"
    return config


class Sender:
    """An idempotent producer with the library's own retries."""

    def __init__(self, spec: ClientSpec, ledger: LedgerWriter) -> None:
        self._ledger = ledger
        self._fatal = ""
        self._producer = Producer(
            {
                **_common(spec),
                "enable.idempotence": True,
                "acks": "all",
                "error_cb": self._error,
                **spec.config,
            }
        )

    def send(self, topic: str, key: bytes, value: bytes, seq: int) -> None:
        done = partial(self._done, seq, time.time_ns())
        while True:
            self._check()
            try:
                self._producer.produce(topic, value, key, on_delivery=done)
                return
            except BufferError:  # the queue is full: wait for room, as an application does
                self._producer.poll(POLL)
                self._ledger.flush()
            except KafkaException as error:
                self._check()
                self._ledger.failed(seq, error)
                return

    def poll(self) -> None:
        self._producer.poll(0)
        self._check()

    def finish(self, seconds: float) -> int:
        return int(self._producer.flush(seconds))

    def _check(self) -> None:
        if self._fatal:
            raise Dead(self._fatal)

    def _error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._FATAL:
            self._fatal = error.str()

    def _done(self, seq: int, sent: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._ledger.failed(seq, error)
            return
        # a retry that the broker knew already is acknowledged without saying where it lies
        offset = message.offset()
        self._ledger.acked(
            seq,
            str(message.topic()),
            cast(int, message.partition()),
            -1 if offset is None else offset,
            sent,
        )


def consume(spec: ClientSpec, ledger: LedgerWriter, stop: threading.Event) -> int:
    """Read in batches, write each delivery down, commit synchronously now and then."""
    consumer = Consumer(
        {
            **_common(spec),
            "group.id": spec.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": spec.auto_commit,
            # Six brokers share two cores with this: fewer, fuller fetches.
            "fetch.min.bytes": 10_000,
            "fetch.wait.max.ms": 100,
            **spec.config,
        }
    )

    fresh: Positions = {}

    def revoked(_: Consumer, __: list[TopicPartition]) -> None:
        if not spec.auto_commit:
            commit(consumer, ledger, fresh)
        fresh.clear()  # another member's from here on

    consumer.subscribe(list(spec.topics), on_revoke=revoked)
    committed = time.monotonic()
    while not stop.is_set():
        deliver(consumer.consume(500, POLL), ledger, fresh)
        now = time.monotonic()
        if not spec.auto_commit and now - committed >= spec.commit_every:
            commit(consumer, ledger, fresh)
            committed = now
    if not spec.auto_commit:
        commit(consumer, ledger, fresh)
    consumer.close()
    ledger.end()
    return 0


def deliver(messages: list[Message], ledger: LedgerWriter, fresh: Positions) -> None:
    """Write a batch down and note the positions after it."""
    at = time.time_ns()
    for message in messages:
        error = message.error()
        if error is not None:
            ledger.failed(-1, error)
            continue
        topic = str(message.topic())
        partition, offset = cast(int, message.partition()), cast(int, message.offset())
        content = decode(message.key(), message.value())
        if content is not None and not content.intact:
            ledger.failed(content.seq, f"damaged record {topic}-{partition} offset {offset}")
        producer, seq = (content.producer, content.seq) if content else (FOREIGN, -1)
        ledger.delivered(producer, seq, topic, partition, offset, at)
        fresh[topic, partition] = offset + 1
    ledger.flush()


def commit(consumer: Consumer, ledger: LedgerWriter, fresh: Positions) -> None:
    """Commit the positions after all that was delivered; write down what was confirmed."""
    if not fresh:
        return
    ledger.committing(fresh)
    try:
        done = consumer.commit(asynchronous=False) or []
    except KafkaException as error:
        if error.args[0].code() == KafkaError._NO_OFFSET:
            fresh.clear()  # a commit that seemed to fail had landed
        else:
            ledger.commit_failed(error)
        return
    good = {(tp.topic, tp.partition): tp.offset for tp in done if not tp.error and tp.offset >= 0}
    for tp in done:
        if tp.error:
            ledger.commit_failed(f"{tp.topic}-{tp.partition}: {tp.error}")
    if good:
        ledger.committed(good)
    for place in good:
        fresh.pop(place, None)
