"""The comparison finds what differs, and only that, on real brokers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable

import pytest

from kafkaops.adapters.raw_log import RawLog
from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import TopicPartition
from kafkaops.verify.compare import Result
from tests.integration.inside.records import (
    COUNT,
    SERVERS,
    Record,
    compare,
    copy,
    fill,
    producer,
    read,
    send,
)


def places(result: Result) -> list[tuple[int, str, int, int]]:
    return [(d.tp.partition, d.kind, d.source_offset, d.target_offset) for d in result.differences]


def test_planted_differences_are_named_exactly(
    create: Callable[..., str], logs: dict[str, RawLog]
) -> None:
    topic = create(6)
    fill(topic, 6, COUNT)
    held: list[Record] = []

    def altered(index: int, record: Record) -> Iterable[Record]:
        yield (record[0], b"another value", *record[2:]) if index == 31_415 else record

    def missing(index: int, record: Record) -> Iterable[Record]:
        if index != 65_535:
            yield record

    def extra(index: int, record: Record) -> Iterable[Record]:
        if index == 27_182:
            yield (b"stranger", b"nobody sent this", [], record[3])
        yield record

    def swapped(index: int, record: Record) -> Iterable[Record]:
        if index == 99_000:
            held.append(record)
            return
        yield record
        if held and index == 99_001:
            yield held.pop()

    def retimed(index: int, record: Record) -> Iterable[Record]:
        yield (*record[:3], record[3] + 1) if index == 4 else record

    for partition, tamper in enumerate((altered, missing, extra, swapped, retimed, None)):
        copy(topic, partition, tamper, **{"compression.type": "lz4"})
    result = compare(logs, {topic: (6, False)})
    assert places(result) == [
        (0, "altered", 31_415, 31_415),
        (1, "missing", 65_535, -1),
        (2, "extra", -1, 27_182),
        (3, "reordered", 99_000, 99_001),
        (3, "reordered", 99_001, 99_000),
        (4, "altered", 4, 4),
    ]
    assert {tp.partition: p.records for tp, p in result.proofs.items()} == {5: COUNT}
    part = result.parts[TopicPartition(topic, 1)]
    assert [part.translate(o) for o in (65_534, 65_535, 65_536, COUNT)] == [
        65_534, 65_535, 65_535, COUNT - 1,
    ]  # fmt: skip


def test_verify_exits_20_with_every_difference(create: Callable[..., str]) -> None:
    topic = create(2)
    fill(topic, 2, 2000)
    copy(topic, 0)
    copy(topic, 1, lambda index, record: [] if index == 1234 else [record])
    line = [sys.executable, "-m", "kafkaops", "verify", SERVERS["blue"], SERVERS["green"]]
    done = subprocess.run(
        [*line, "-o", "json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 20, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert topic in json.dumps(found)
    assert "1234" in json.dumps(found)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_reads_alike(
    codec: str, create: Callable[..., str], logs: dict[str, RawLog]
) -> None:
    topic = create(1)
    fill(topic, 1, 3000, **{"compression.type": codec})
    copy(topic, 0, **{"compression.type": "zstd" if codec == "none" else "none"})
    result = compare(logs, {topic: (1, False)})
    assert (result.differences, result.records) == ((), 3000)


def test_a_copied_log_append_time_is_equal(
    create: Callable[..., str], logs: dict[str, RawLog]
) -> None:
    topic = create(1, {"message.timestamp.type": "LogAppendTime"})
    fill(topic, 1, 1000)
    copy(topic, 0)
    assert compare(logs, {topic: (1, False)}).equal


def transact(colour: str, topic: str, sizes: list[int], *, every_other: bool) -> None:
    """Transactions of these sizes; with `every_other` each second one is aborted."""
    made = producer(colour, **{"transactional.id": uuid.uuid4().hex, "linger.ms": 1})
    made.init_transactions(30)
    for index, size in enumerate(sizes):
        made.begin_transaction()
        for i in range(size):
            send(made, topic, 0, (b"k", b"%d/%d" % (index, i), [], 1_700_000_000_000 + index))
        if every_other and index % 2:
            made.flush(30)
            made.abort_transaction(30)
        else:
            made.commit_transaction(30)


def test_transactions_on_both_sides_and_the_exact_map(
    create: Callable[..., str], logs: dict[str, RawLog]
) -> None:
    topic = create(1)
    transact("blue", topic, [3, 5, 1, 2, 40, 7, 1, 1], every_other=True)
    made = producer("green", **{"transactional.id": uuid.uuid4().hex})
    made.init_transactions(30)
    ours = read("blue", topic, 0)
    for start in range(0, len(ours), 7):
        made.begin_transaction()
        for m in ours[start : start + 7]:
            send(made, topic, 0, (m.key(), m.value(), m.headers(), m.timestamp()[1]))
        made.commit_transaction(30)
    result = compare(logs, {topic: (1, False)})
    assert (result.differences, result.records) == ((), 3 + 1 + 40 + 1)
    pairs = list(
        zip((m.offset() for m in ours), (m.offset() for m in read("green", topic, 0)), strict=True)
    )
    part = result.parts[TopicPartition(topic, 0)]
    [proof] = result.proofs.values()
    for offset in range(proof.source_end + 2):
        expected = next((t for s, t in pairs if s >= offset), proof.target_end)
        assert part.translate(offset) == expected
    for offset in range(proof.target_end):
        expected = next((s for s, t in pairs if t >= offset), proof.source_end)
        assert part.translate(offset, back=True) == expected
    assert len({t - s for s, t in pairs}) > 3  # the difference is not constant


def test_compacted_topics_agree_whatever_was_cleaned(
    create: Callable[..., str], logs: dict[str, RawLog]
) -> None:
    topic = create(
        1,
        {
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "100",
        },
    )
    made = {colour: producer(colour) for colour in SERVERS}
    for i in range(3000):
        value = None if i % 10 == 3 and i > 2000 else b"%d" % i
        for each in made.values():
            send(each, topic, 0, (b"%d" % (i % 50), value, [], 1_700_000_000_000 + i))
    for each in made.values():
        assert each.flush(60) == 0
    deadline = time.monotonic() + 90
    while len(read("blue", topic, 0)) >= 2900:  # the cleaner looks every 15 s
        send(made["blue"], topic, 0, (b"49", b"roll", [], 1_800_000_000_000))
        send(made["green"], topic, 0, (b"49", b"roll", [], 1_800_000_000_000))
        assert all(each.flush(30) == 0 for each in made.values())
        assert time.monotonic() < deadline, "blue was not compacted"
        time.sleep(2)
    assert len(read("green", topic, 0)) > len(read("blue", topic, 0))
    result = compare(logs, {topic: (1, True)})
    assert result.differences == ()
    for each, value in zip(made.values(), (b"one", b"two"), strict=True):
        send(each, topic, 0, (b"7", value, [], 1_800_000_000_000))
        assert each.flush(30) == 0
    [difference] = compare(logs, {topic: (1, True)}).differences
    assert difference.kind == "altered"


def test_an_unknown_topic_is_said(logs: dict[str, RawLog]) -> None:
    with pytest.raises(StepFailed, match="no-such-topic"):
        logs["blue"].bounds([TopicPartition("no-such-topic", 0)])
