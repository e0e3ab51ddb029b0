"""Ledger files: what a killed process leaves is read, and nothing else passes for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.lab.load.client import next_number
from kafkaops.lab.load.ledger import (
    Ack,
    Commit,
    Delivery,
    Ledger,
    LedgerWriter,
)
from kafkaops.lab.load.ledger_reader import LedgerDamaged, LedgerReader, tally


def producer(path: Path) -> LedgerWriter:
    writer = LedgerWriter(path)
    writer.start("producer", "p1", "librdkafka", "", "a,b")
    return writer


def read(directory: Path) -> Ledger:
    return LedgerReader(directory).read()


def test_what_a_producer_writes_is_read_back(tmp_path: Path) -> None:
    writer = producer(tmp_path / "p1.ledger")
    writer.reserve(1000)
    writer.acked(7, "a", 2, 41, 1_700_000_000_000_000_000)
    writer.failed(8, "timed\nout  at last")
    writer.flush()
    writer.end()
    (one,) = read(tmp_path).producers
    assert (one.name, one.kind, one.topics, one.reserved) == ("p1", "librdkafka", ("a", "b"), 1000)
    assert one.acks[0][:5] == Ack(7, "a", 2, 41, 1_700_000_000_000_000_000, 0)[:5]
    assert [(f.seq, f.text) for f in one.faults] == [(8, "timed out at last")]
    assert len(one.starts) == len(one.ends) == 1


def test_what_a_consumer_writes_is_read_back(tmp_path: Path) -> None:
    at = 1_700_000_000_000_000_000
    writer = LedgerWriter(tmp_path / "c1.ledger")
    writer.start("consumer", "c1", "java-4.3.1", "g", "a")
    writer.delivered("p1", 7, "a", 2, 41, at)
    writer.committing({("a", 2): 42})
    writer.committed({("a", 2): 42, ("a.b-c", 0): 1})
    writer.commit_failed("coordinator away")
    writer.rode_out("connection refused")
    (one,) = read(tmp_path).consumers
    assert (one.name, one.group) == ("c1", "g")
    assert one.deliveries == [Delivery("p1", 7, "a", 2, 41, at)]
    assert one.commits == [Commit((("a", 2, 42), ("a.b-c", 0, 1)), one.commits[0].at)]
    assert [c.positions for c in one.asked] == [(("a", 2, 42),)]
    assert one.commit_failures[0].text == "coordinator away"
    assert one.ridden_out[0].text == "connection refused"


def test_nothing_is_in_the_file_before_flush_and_all_is_after(tmp_path: Path) -> None:
    writer = producer(tmp_path / "p1.ledger")
    before = (tmp_path / "p1.ledger").read_bytes()
    writer.acked(1, "a", 0, 1, 1)
    assert (tmp_path / "p1.ledger").read_bytes() == before
    writer.flush()
    assert b"\nA 1 a 0 1 1 " in (tmp_path / "p1.ledger").read_bytes()


@pytest.mark.parametrize("keep", range(1, 46))
def test_a_line_cut_by_a_kill_is_dropped_wherever_it_was_cut(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "p1.ledger"
    writer = producer(path)
    line = b"A 5 a 0 12345 1700000000000000000 1700000000000000001"
    with path.open("ab") as file:
        file.write(line[:keep])
    assert read(tmp_path).producers[0].acks == []
    writer = producer(path)  # the next process of that name
    writer.acked(6, "a", 0, 12346, 1)
    writer.flush()
    (one,) = read(tmp_path).producers
    assert [a.seq for a in one.acks] == [6]
    assert len(one.starts) == 2


def test_a_damaged_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p1.ledger"
    writer = producer(path)
    with path.open("ab") as file:
        file.write(b"A 5 a 0 123\n")
    writer.acked(6, "a", 0, 124, 1)
    writer.flush()
    with pytest.raises(LedgerDamaged) as caught:
        read(tmp_path)
    assert "line 2" in str(caught.value)


def test_reading_on_takes_only_what_is_new(tmp_path: Path) -> None:
    writer = producer(tmp_path / "p1.ledger")
    reader = LedgerReader(tmp_path)
    assert reader.read().producers[0].acks == []
    for seq in range(3):
        writer.acked(seq, "a", 0, seq, 1)
        writer.flush()
        assert [a.seq for a in reader.read().producers[0].acks] == list(range(seq + 1))


def test_a_producer_goes_on_after_all_it_may_have_sent(tmp_path: Path) -> None:
    path = tmp_path / "p1.ledger"
    assert next_number(path) == 0
    writer = producer(path)
    writer.reserve(1000)
    writer.acked(3, "a", 0, 3, 1)
    writer.reserve(2000)
    assert next_number(path) == 2000


def test_tally_counts_records_and_errors(tmp_path: Path) -> None:
    path = tmp_path / "p1.ledger"
    assert tally(path) == (0, 0)
    writer = producer(path)
    for seq in range(3):
        writer.acked(seq, "a", 0, seq, 1)
    writer.failed(9, "A D F")
    writer.flush()
    assert tally(path) == (3, 1)
