"""Load clients on kafka-python."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from kafkaops.lab import access
from kafkaops.lab.layout import Layout
from kafkaops.lab.load.client import FLUSH, Dead
from kafkaops.lab.load.ledger import FOREIGN, LedgerWriter, Positions
from kafkaops.lab.load.record import decode
from kafkaops.lab.load.spec import ClientSpec

POLL = 0.1
PATIENCE = 0.25
"""Seconds until a call is repeated after an error."""
BOOTSTRAP_PATIENCE_MS = 120_000


def _options(spec: ClientSpec, known: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    return {
        "bootstrap_servers": spec.bootstrap.split(","),
        "client_id": spec.name,
        "bootstrap_timeout_ms": BOOTSTRAP_PATIENCE_MS,
        **(access.kafka_python(Layout.of(spec.lab), access.LOAD) if spec.lab else {}),
        **own,
        **translated(spec.config, known),
    }


def translated(config: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Kafka's property names as kafka-python spells them; what it does not know is left out
    and said in the log, as the Java client does."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = key.replace(".", "_")
        if name not in known:
            print(f"kafka-python does not know {key}", file=sys.stderr)
        elif value.lower() in ("true", "false"):
            found[name] = value.lower() == "true"
        else:
            found[name] = int(value) if value.lstrip("-").isdigit() else value
    return found


class Sender:
    """An idempotent producer with the library's own retries."""

    def __init__(self, spec: ClientSpec, ledger: LedgerWriter) -> None:
        self._ledger = ledger
        self._open = 0
        self._lock = threading.Lock()
        self._producer = KafkaProducer(
            **_options(
                spec, KafkaProducer.DEFAULT_CONFIG, acks="all", enable_idempotence=True, linger_ms=5
            )
        )

    def send(self, topic: str, key: bytes, value: bytes, seq: int) -> None:
        sent = time.time_ns()
        try:
            future = self._producer.send(topic, value=value, key=key)
        except KafkaError as error:
            if self._producer._closed:
                raise Dead(error) from error
            self._ledger.failed(seq, repr(error))
            return
        with self._lock:
            self._open += 1
        future.add_callback(partial(self._done, seq, sent))
        future.add_errback(partial(self._failed, seq))

    def poll(self) -> None:
        """Nothing to do: callbacks run on the library's own thread."""

    def finish(self, seconds: float) -> int:
        try:
            self._producer.flush(timeout=seconds)
        except KafkaError as error:
            self._ledger.failed(-1, repr(error))
        self._producer.close(timeout=5)
        return self._open

    def _done(self, seq: int, sent: int, metadata: Any) -> None:
        self._ledger.acked(seq, metadata.topic, metadata.partition, metadata.offset, sent)
        with self._lock:
            self._open -= 1

    def _failed(self, seq: int, error: BaseException) -> None:
        self._ledger.failed(seq, repr(error))
        with self._lock:
            self._open -= 1


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Calls back before partitions go to another member."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._before = before

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._before()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing to do."""


def consume(spec: ClientSpec, ledger: LedgerWriter, stop: threading.Event) -> int:
    """Read in batches, write each delivery down, commit synchronously now and then."""
    consumer = KafkaConsumer(
        **_options(
            spec,
            KafkaConsumer.DEFAULT_CONFIG,
            group_id=spec.group,
            auto_offset_reset="earliest",
            enable_auto_commit=spec.auto_commit,
            # Six brokers share two cores with this: fewer, fuller fetches.
            fetch_min_bytes=10_000,
            fetch_max_wait_ms=100,
        )
    )
    fresh: Positions = {}

    def commit() -> None:
        if not fresh or spec.auto_commit:
            return
        ledger.committing(fresh)
        try:
            consumer.commit()
        except KafkaError as error:
            ledger.commit_failed(repr(error))
        else:
            ledger.committed(fresh)
            fresh.clear()

    # What was not committed goes to the next owner, who reads it again: kafka-python calls back
    # on its own I/O thread, where a synchronous commit cannot be waited for.
    consumer.subscribe(list(spec.topics), listener=_Rebalance(fresh.clear))
    committed = time.monotonic()
    while not stop.is_set():
        try:
            batches = consumer.poll(timeout_ms=int(POLL * 1000), max_records=500)
        except KafkaError as error:
            # Seen: poll hands a refused connection to the application when it has no coordinator.
            if error.retriable:
                ledger.rode_out(repr(error))
            else:
                ledger.failed(-1, repr(error))
            stop.wait(PATIENCE)
            continue
        deliver(batches, ledger, fresh)
        now = time.monotonic()
        if now - committed >= spec.commit_every:
            commit()
            committed = now
        if batches:
            stop.wait(POLL / 2)  # a fuller batch next time
    commit()
    consumer.close(autocommit=False, timeout_ms=int(FLUSH * 1000))
    ledger.end()
    return 0


def deliver(batches: dict[Any, list[Any]], ledger: LedgerWriter, fresh: Positions) -> None:
    """Write a batch down and note the positions after it."""
    at = time.time_ns()
    for tp, messages in batches.items():
        for message in messages:
            content = decode(message.key, message.value)
            if content is not None and not content.intact:
                ledger.failed(
                    content.seq, f"damaged record {tp.topic}-{tp.partition} offset {message.offset}"
                )
            producer, seq = (content.producer, content.seq) if content else (FOREIGN, -1)
            ledger.delivered(producer, seq, tp.topic, tp.partition, message.offset, at)
        if messages:
            fresh[tp.topic, tp.partition] = messages[-1].offset + 1
    ledger.flush()
