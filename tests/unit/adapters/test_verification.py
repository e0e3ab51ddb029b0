"""The comparison in background threads, over logs in memory: sealing, checkpoints, new topics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kafkaops.adapters.verification import LogVerification
from kafkaops.engine.clock import SystemClock
from kafkaops.engine.errors import ConfigError, DataGap, Mismatch, StepFailed, TimedOut
from kafkaops.model.partition import TopicPartition
from kafkaops.verify import checkpoint
from tests.unit.verify.batches import Rec
from tests.unit.verify.fake_log import TOPICS, A, B, FakeCluster, cluster, fill, recs

CLOCK = SystemClock()
PATIENCE = 120.0
"""Seconds for what comes at once: the first walk is compiled first, on a busy machine too."""


@pytest.fixture
def blue() -> FakeCluster:
    return cluster("blue")


@pytest.fixture
def green() -> FakeCluster:
    return cluster("green", limit=1000)


def until(what: str, done: Callable[[], object]) -> None:
    deadline = CLOCK.monotonic() + PATIENCE
    tick = threading.Event()
    while not done():
        assert CLOCK.monotonic() < deadline, what
        tick.wait(0.01)


# -- in the background -----------------------------------------------------------


class Running:
    """A LogVerification with what it reads."""

    def __init__(self, blue: FakeCluster, green: FakeCluster, directory: Path) -> None:
        self.blue, self.green, self.directory = blue, green, directory
        self.topics: dict[str, tuple[int, bool]] = dict(TOPICS)
        self.starts: dict[TopicPartition, tuple[int, int]] = {}
        self.made: list[LogVerification] = []

    def new(self) -> LogVerification:
        made = LogVerification(
            self.blue,
            self.green,
            lambda: self.topics,
            self.directory,
            CLOCK,
            start_at=lambda: self.starts,
        )
        self.made.append(made)
        return made

    def ends(self) -> dict[TopicPartition, int]:
        return {tp: self.blue.ends(tp).stable for tp in self.blue.logs}


@pytest.fixture
def running(blue: FakeCluster, green: FakeCluster, tmp_path: Path) -> Iterator[Running]:
    made = Running(blue, green, tmp_path / "verify")
    yield made
    for verification in made.made:
        verification.stop()


def test_it_follows_and_seals(running: Running) -> None:
    fill(running.blue, running.green)
    verification = running.new()
    verification.start()
    verification.start()
    until("compared", lambda: verification.status().records == 600)
    status = verification.status()
    assert (status.partitions, status.behind, status.differences, status.error) == (2, 0, (), "")
    running.blue.write(A, *recs(300, 40))
    running.green.write(A, *recs(300, 40))
    proofs = verification.seal(running.ends(), timeout=PATIENCE)
    assert (proofs[A].records, proofs[A].source_end, proofs[A].target_end) == (340, 340, 340)
    assert verification.status().proofs == proofs
    assert verification.translate({A: 17, B: 10_000}) == {A: 17, B: 300}


def test_a_status_asked_before_anything_was_read_is_behind(running: Running) -> None:
    fill(running.blue, running.green)
    held = threading.Event()
    real = running.blue.fetch

    def fetch(*args: object, **more: object) -> object:
        held.wait(10)
        return real(*args, **more)  # type: ignore[arg-type]

    running.blue.fetch = fetch  # type: ignore[method-assign,assignment]
    verification = running.new()
    verification.start()
    until("covered", lambda: verification.status().partitions == 2)
    assert verification.status().behind == 600
    held.set()


def test_seal_waits_for_the_mirrors_last_transaction(running: Running) -> None:
    running.blue.write(A, *recs(0, 10))
    running.green.write(A, *recs(0, 10), producer=3)
    verification = running.new()
    with pytest.raises(TimedOut, match=r"a-0 at source offset 0 of 10"):
        verification.seal(running.ends(), timeout=0.7)
    timer = threading.Timer(0.2, lambda: running.green.finish(A, 3, commit=True))
    timer.start()
    proof = verification.seal(running.ends(), timeout=PATIENCE)[A]
    assert (proof.records, proof.target_end) == (10, 11)


def test_seal_waits_for_a_transaction_that_may_hold_anything(running: Running) -> None:
    fill(running.blue, running.green)
    running.green.write(A, *recs(900, 1), producer=3)
    verification = running.new()
    verification.start()
    until("compared", lambda: verification.status().records == 600)
    with pytest.raises(TimedOut, match=r"a-0 .* target offset 300 of 301"):
        verification.seal(running.ends(), timeout=0.7)
    running.green.finish(A, 3, commit=False)
    proof = verification.seal(running.ends(), timeout=PATIENCE)[A]
    assert (proof.records, proof.target_end) == (300, 302)


def test_seal_refuses_what_only_the_target_has(running: Running) -> None:
    fill(running.blue, running.green)
    running.green.write(B, *recs(900, 1))
    verification = running.new()
    with pytest.raises(Mismatch, match="extra in a-1 at source offset -1, target offset 300"):
        verification.seal(running.ends(), timeout=PATIENCE)


def test_seal_refuses_an_altered_last_record(running: Running) -> None:
    fill(running.blue, running.green)
    running.blue.write(B, *recs(300, 1))
    running.green.write(B, *recs(900, 1))
    verification = running.new()
    with pytest.raises(Mismatch, match="altered in a-1 at source offset 300, target offset 300"):
        verification.seal(running.ends(), timeout=PATIENCE)


def test_seal_refuses_a_source_that_still_grows(running: Running) -> None:
    fill(running.blue, running.green)
    ends = running.ends()
    running.blue.write(A, *recs(300, 1))
    running.green.write(A, *recs(300, 1))
    verification = running.new()
    with pytest.raises(Mismatch, match="a-0 on blue has records after offset 300"):
        verification.seal(ends, timeout=PATIENCE)


def test_a_gap_is_a_data_gap(running: Running) -> None:
    fill(running.blue, running.green)
    running.starts = {A: (0, 0), B: (0, 0)}
    running.blue.starts[A] = 100
    verification = running.new()
    with pytest.raises(DataGap, match="gap in a-0 at source offset 0"):
        verification.seal(running.ends(), timeout=PATIENCE)


def test_a_stranger_on_the_target_is_found_without_a_seal(running: Running) -> None:
    fill(running.blue, running.green)
    running.green.write(A, *recs(900, 1))
    verification = running.new()
    verification.start()
    until("found", lambda: verification.status().differences)
    [difference] = verification.status().differences
    assert (difference.kind, difference.target_offset) == ("extra", 300)


def test_a_new_process_goes_on_where_the_last_one_was(running: Running) -> None:
    fill(running.blue, running.green)
    running.blue.write(A, *recs(300, 5))  # pending when the first one stops
    first = running.new()
    first.start()
    until("compared", lambda: first.status().records == 600)
    first.stop()
    assert (running.blue.closed, running.green.closed) == (1, 1)
    running.green.write(A, *recs(300, 5))
    asked: list[int] = []
    real = running.blue.fetch

    def fetch(positions: Mapping[TopicPartition, int], **more: object) -> object:
        asked.append(min(positions.values()))
        return real(positions, **more)  # type: ignore[arg-type]

    running.blue.fetch = fetch  # type: ignore[method-assign,assignment]
    second = running.new()
    assert second.translate({A: 299}) == {A: 299}  # from the checkpoint alone
    with pytest.raises(StepFailed, match=r"a-0 was compared up to offset 300"):
        second.translate({A: 301})
    proofs = second.seal(running.ends(), timeout=PATIENCE)
    assert proofs[A].records == 305
    assert min(asked) == 300
    fresh = Running(running.blue, running.green, running.directory / "fresh")
    try:
        assert fresh.new().seal(running.ends(), timeout=PATIENCE) == proofs
    finally:
        fresh.made[0].stop()


def test_a_difference_survives_the_checkpoint(running: Running) -> None:
    fill(running.blue, running.green)
    running.blue.write(A, *recs(300, 50))
    running.green.write(A, *recs(301, 49))
    first = running.new()
    first.start()
    until("found", lambda: first.status().differences)
    before = first.status().differences
    first.stop()
    second = running.new()
    second.start()
    assert second.status().differences == before


def test_compacted_partitions_survive_the_checkpoint(running: Running) -> None:
    running.topics = {"a": (2, True)}
    for side in (running.blue, running.green):
        side.write(A, *[Rec(i, b"%d" % i, b"x") for i in range(2000)])
    first = running.new()
    proof = first.seal({A: 2000}, timeout=PATIENCE)[A]
    first.stop()
    for side in (running.blue, running.green):
        side.write(A, Rec(1, b"7", b"new"))
    second = running.new()
    again = second.seal({A: 2001}, timeout=PATIENCE)[A]
    assert (again.records, proof.records) == (2000, 2000)
    assert again.digest != proof.digest


def test_a_damaged_checkpoint_is_refused(running: Running) -> None:
    running.directory.mkdir()
    (running.directory / checkpoint.NAME).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ConfigError) as caught:
        running.new().start()
    assert caught.value.code == "KO-VERIFY-CHECKPOINT"


def test_a_topic_made_while_running_is_compared_too(running: Running) -> None:
    fill(running.blue, running.green)
    verification = running.new()
    verification.start()
    late = TopicPartition("late", 0)
    running.blue.topic("late")
    running.green.topic("late")
    running.topics["late"] = (1, False)
    for side in (running.blue, running.green):
        side.write(late, *recs(0, 5))
    verification.pin([late])
    assert verification.seal(running.ends(), timeout=PATIENCE)[late].records == 5


def test_a_topic_that_the_target_lacks_is_said(running: Running) -> None:
    fill(running.blue, running.green)
    running.topics["late"] = (1, False)
    running.blue.topic("late")
    verification = running.new()
    verification.start()
    until("said", lambda: bool(verification.status().error))
    assert "late" in verification.status().error


def test_starting_in_the_middle_of_both_logs(running: Running) -> None:
    running.blue.write(A, *recs(0, 30))
    running.green.write(A, *recs(500, 77))
    running.starts = {A: (30, 77), B: (0, 0)}
    for side in (running.blue, running.green):
        side.write(A, *recs(30, 10))
    proof = running.new().seal(running.ends(), timeout=PATIENCE)[A]
    assert (proof.records, proof.source_start, proof.target_start) == (10, 30, 77)


def test_what_was_never_compared_is_not_translated(running: Running) -> None:
    with pytest.raises(StepFailed, match="x-0"):
        running.new().translate({TopicPartition("x", 0): 1})
