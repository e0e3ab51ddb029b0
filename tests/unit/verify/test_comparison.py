"""What a comparison takes, and when it decides, driven by hand."""

from __future__ import annotations

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.model.partition import Ends
from kafkaops.ports.log_reader import Chunk
from kafkaops.verify.comparison import Comparison
from kafkaops.verify.sequence import QUIET, Sequence
from kafkaops.verify.side import SOURCE, TARGET
from tests.unit.verify.batches import batch
from tests.unit.verify.fake_log import A, recs


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def made(clock: FakeClock) -> Comparison:
    comparison = Comparison(clock)
    comparison.cover(Sequence(A, 0, 0))
    return comparison


def chunk(first: int, count: int, end: int, *, start: int | None = None) -> Chunk:
    data = batch(recs(first, count), first) if count else b""
    return Chunk(A, first if start is None else start, memoryview(data), Ends(0, end, end))


def test_an_answer_is_taken_once_and_only_where_the_partition_stands(made: Comparison) -> None:
    assert made.accept(SOURCE, chunk(0, 10, 20)) == 10
    assert made.accept(SOURCE, chunk(0, 10, 20)) == 0
    assert made.accept(SOURCE, chunk(15, 5, 20)) == 0
    assert made.wanted(SOURCE) == {A: 10}
    assert made.accept(SOURCE, chunk(10, 10, 20)) == 10
    assert made.accept(TARGET, chunk(0, 20, 20)) == 20
    assert (made.records, made.behind, made.differences()) == (20, 0, ())


def test_a_stranger_counts_only_after_both_sides_were_asked_again(
    made: Comparison, clock: FakeClock
) -> None:
    for side in (SOURCE, TARGET):
        made.accept(side, chunk(0, 10, 10))
    made.accept(TARGET, chunk(10, 1, 11))
    made.accept(TARGET, chunk(11, 0, 11))
    clock.now += 10
    made.judge_quiet()
    assert made.differences() == ()  # the source was not asked since
    made.accept(SOURCE, chunk(10, 0, 10))
    made.judge_quiet()
    assert made.differences() == ()  # nor the target
    made.accept(TARGET, chunk(11, 0, 11))
    made.judge_quiet()
    [difference] = made.differences()
    assert (difference.kind, difference.target_offset) == ("extra", 10)


def test_an_answer_too_soon_after_the_record_decides_nothing(
    made: Comparison, clock: FakeClock
) -> None:
    made.accept(TARGET, chunk(0, 1, 1))
    clock.now += QUIET - 0.01  # the source's answer may have been under way
    made.accept(SOURCE, chunk(0, 0, 0))
    made.accept(TARGET, chunk(1, 0, 1))
    made.judge_quiet()
    assert made.differences() == ()
    made.accept(SOURCE, chunk(0, 1, 1))
    assert (made.records, made.differences()) == (1, ())


def test_a_side_that_is_far_ahead_waits(clock: FakeClock) -> None:
    made = Comparison(clock, share=(10, 10))
    made.cover(Sequence(A, 0, 0))
    made.accept(SOURCE, chunk(0, 10, 50))
    assert made.wanted(SOURCE) == {}
    assert made.wanted(TARGET) == {A: 0}
    made.accept(TARGET, chunk(0, 5, 50))
    assert made.wanted(SOURCE) == {A: 10}


def test_a_partition_that_is_gone_is_dropped(made: Comparison) -> None:
    made.drop([A])
    assert made.covered == frozenset()
    assert made.accept(SOURCE, chunk(0, 10, 10)) == 0
