"""A comparison that runs beside the writers: sealed, gone on with, and through broker deaths."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition as RdPartition
from confluent_kafka.admin import AdminClient

from kafkaops.adapters.raw_log import RawLog
from kafkaops.adapters.verification import LogVerification
from kafkaops.engine.errors import DataGap, Mismatch
from kafkaops.lab import control
from kafkaops.lab.enter import inside
from kafkaops.lab.layout import Layout
from kafkaops.model.partition import TopicPartition
from tests.integration.inside.records import (
    CLOCK,
    SERVERS,
    copy,
    fill,
    producer,
    send,
)


def background(
    logs: dict[str, RawLog], topics: dict[str, tuple[int, bool]], directory: Path, **more: Any
) -> LogVerification:
    return LogVerification(logs["blue"], logs["green"], lambda: topics, directory, CLOCK, **more)


def test_a_tail_is_sealed_fast_and_a_new_process_goes_on(
    create: Callable[..., str], logs: dict[str, RawLog], tmp_path: Path
) -> None:
    topic = create(20)
    tps = [TopicPartition(topic, p) for p in range(20)]
    topics = {topic: (20, False)}
    fill(topic, 20, 500)
    fill(topic, 20, 500, "green")
    first = background(logs, topics, tmp_path)
    first.start()
    wait("compared", lambda: first.status().records == 10_000)
    took: list[float] = []
    made = {colour: producer(colour) for colour in SERVERS}
    for turn in range(5):
        for each in made.values():  # blue first: what green alone has is a difference
            for i in range(50):
                for p in range(20):
                    send(each, topic, p, (b"k", b"%d %d" % (turn, i), [], 1_700_000_000_000))
            assert each.flush(60) == 0
        ends = {tp: e.stable for tp, e in logs["blue"].bounds(tps).items()}
        begun = time.monotonic()
        proofs = first.seal(ends, timeout=20)
        took.append(time.monotonic() - begun)
    assert min(took) < 0.3, took
    first.stop()
    second = background(logs, topics, tmp_path)
    again = second.seal(ends, timeout=20)
    second.stop()
    assert again == proofs


def test_a_seal_names_what_differs_and_gaps(
    create: Callable[..., str],
    logs: dict[str, RawLog],
    admins: dict[str, AdminClient],
    tmp_path: Path,
) -> None:
    topic = create(1)
    tp = TopicPartition(topic, 0)
    fill(topic, 1, 1000)
    copy(topic, 0, lambda index, record: [] if index == 999 else [record])
    made = producer("green")
    send(made, topic, 0, (b"x", b"another last record", [], 1_700_000_000_000))
    assert made.flush(30) == 0
    running = background(logs, {topic: (1, False)}, tmp_path / "a")
    with pytest.raises(Mismatch, match=f"altered in {topic}-0 at source offset 999"):
        running.seal({tp: 1000}, timeout=20)
    running.stop()
    for future in admins["blue"].delete_records([RdPartition(topic, 0, 300)]).values():
        future.result(30)
    late = background(logs, {topic: (1, False)}, tmp_path / "b", start_at=lambda: {tp: (100, 100)})
    with pytest.raises(DataGap, match=f"gap in {topic}-0 at source offset 100"):
        late.seal({tp: 1000}, timeout=20)
    late.stop()


def test_leaders_that_die_are_followed(
    create: Callable[..., str], logs: dict[str, RawLog], tmp_path: Path
) -> None:
    """kill -9 of a broker of each side, in turn, while both are written."""
    socket = Layout.of(inside()).socket
    hosts = [h for h in ("blue-2", "green-3") if h in json.dumps(control.call(socket, "status"))]
    if not hosts:
        pytest.skip("the lab has one broker a side")
    topic = create(6)
    running = background(logs, {topic: (6, False)}, tmp_path)
    running.start()
    stop = threading.Event()
    sent = [0]

    def write() -> None:
        made = {colour: producer(colour) for colour in SERVERS}
        while not stop.is_set():
            for each in made.values():  # blue first, as with a mirror
                for p in range(6):
                    send(each, topic, p, (b"k", b"%d" % sent[0], [], 1_700_000_000_000))
                assert each.flush(60) == 0
            sent[0] += 1
            stop.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    for host in hosts:
        control.call(socket, "kill", name=f"{host}/kafka")
        time.sleep(2)
        control.call(socket, "start", name=f"{host}/kafka")
        time.sleep(8)
    stop.set()
    writer.join()
    tps = [TopicPartition(topic, p) for p in range(6)]
    ends = {tp: e.stable for tp, e in logs["blue"].bounds(tps).items()}
    proofs = running.seal(ends, timeout=60)
    running.stop()
    assert {p.records for p in proofs.values()} == {sent[0]}


def wait(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
