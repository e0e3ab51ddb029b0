"""The comparison on real brokers, 3.9 (blue) and 4.x (green), with a test copier as the mirror.

Not collected by itself: `test_verify.py` runs this file inside a lab's network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer
from confluent_kafka import TopicPartition as RdPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafkaops.adapters.raw_log import RawLog
from kafkaops.adapters.verification import LogVerification
from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.clock import SystemClock
from kafkaops.engine.errors import DataGap, Mismatch, StepFailed
from kafkaops.lab import control
from kafkaops.lab.enter import inside
from kafkaops.lab.layout import Layout
from kafkaops.model.partition import TopicPartition
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


def test_an_unknown_topic_is_said(logs: dict[str, RawLog]) -> None:
    with pytest.raises(StepFailed, match="no-such-topic"):
        logs["blue"].bounds([TopicPartition("no-such-topic", 0)])


def wait(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
