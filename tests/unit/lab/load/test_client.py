"""The Python producer's loop, with a sender that is a fake."""

from __future__ import annotations

import threading
from pathlib import Path

from kafkaops.lab.load import record
from kafkaops.lab.load.client import BLOCK, Dead, Pace, produce
from kafkaops.lab.load.ledger import LedgerWriter, ProducerLedger
from kafkaops.lab.load.ledger_reader import LedgerReader
from kafkaops.lab.load.spec import ClientSpec

SPEC = ClientSpec("producer", "p", "librdkafka", ("a", "b"), rate=1000.0)


class FakeSender:
    """Takes records until `limit`, then stops the loop, or dies."""

    def __init__(self, limit: int, stop: threading.Event, *, dies: bool = False, left: int = 0):
        self.limit, self.stop, self.dies, self.left = limit, stop, dies, left
        self.sent: list[tuple[str, bytes, bytes, int]] = []
        self.finished = False

    def send(self, topic: str, key: bytes, value: bytes, seq: int) -> None:
        if self.dies and len(self.sent) >= self.limit:
            raise Dead("fenced for good")
        self.sent.append((topic, key, value, seq))
        if len(self.sent) >= self.limit and not self.dies:
            self.stop.set()

    def poll(self) -> None: ...

    def finish(self, seconds: float) -> int:
        self.finished = True
        return self.left


class NoWait(threading.Event):
    """Ticks at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def run(tmp_path: Path, sender: FakeSender, first: int) -> tuple[int, ProducerLedger]:
    ledger = LedgerWriter(tmp_path / "p.ledger")
    ledger.start("producer", "p", "librdkafka", "", "a,b")
    code = produce(SPEC, sender, ledger, sender.stop, first)
    return code, LedgerReader(tmp_path).read().producers[0]


def test_numbers_rise_by_one_from_the_first_and_are_reserved_before(tmp_path: Path) -> None:
    sender = FakeSender(BLOCK + 5, NoWait())
    code, written = run(tmp_path, sender, 3000)
    assert code == 0
    numbers = [seq for *_, seq in sender.sent]
    assert numbers == list(range(3000, 3000 + len(numbers)))
    assert numbers[-1] < written.reserved
    assert written.reserved == 3000 + 2 * BLOCK
    for topic, key, value, seq in sender.sent[:20]:
        assert record.decode(key, value) == record.Content("p", seq, True)
        assert (topic, key.decode()) == record.place(seq, SPEC.topics, SPEC.keys)
    assert sender.finished
    assert written.ends


def test_a_library_that_died_is_an_error_and_ends_the_client(tmp_path: Path) -> None:
    sender = FakeSender(3, NoWait(), dies=True)
    code, written = run(tmp_path, sender, 0)
    assert code == 1
    assert [f.text for f in written.faults] == ["fenced for good"]


def test_records_without_an_answer_at_the_end_are_an_error(tmp_path: Path) -> None:
    sender = FakeSender(3, NoWait(), left=2)
    code, written = run(tmp_path, sender, 0)
    assert code == 1
    assert "2 records" in written.faults[0].text


def test_pace_owes_whole_records_and_at_most_a_second() -> None:
    pace = Pace(10.0, now=0.0)
    assert pace.due(0.05) == 0
    assert pace.due(0.1) == 1
    assert sum(pace.due(0.1 + n * 0.05) for n in range(1, 21)) == 10
    assert pace.due(100.0) == 10
    slow = Pace(0.5, now=0.0)
    assert [slow.due(float(s)) for s in (1, 2, 3, 4)] == [0, 1, 0, 1]
