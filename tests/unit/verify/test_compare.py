"""One comparison from beginning to end, over logs in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from kafkaops.engine.clock import SystemClock
from kafkaops.engine.errors import StepFailed
from kafkaops.verify.compare import Result, verify_clusters
from tests.unit.verify.batches import Rec
from tests.unit.verify.fake_log import TOPICS, A, B, FakeCluster, cluster, fill, recs

COMPACTED: dict[str, tuple[int, bool]] = {"a": (1, True)}
CLOCK = SystemClock()


@pytest.fixture
def blue() -> FakeCluster:
    return cluster("blue")


@pytest.fixture
def green() -> FakeCluster:
    return cluster("green", limit=1000)


def one_shot(
    blue: FakeCluster,
    green: FakeCluster,
    topics: Mapping[str, tuple[int, bool]] = TOPICS,
    **more: object,
) -> Result:
    return verify_clusters(
        blue,
        green,
        topics,
        CLOCK,
        **({"patience": 0.1, "timeout": 20} | more),  # type: ignore[arg-type]
    )


# -- one-shot ------------------------------------------------------------------


def test_equal_clusters_are_proven(blue: FakeCluster, green: FakeCluster) -> None:
    fill(blue, green)
    result = one_shot(blue, green)
    assert result.equal
    assert {tp: p.records for tp, p in result.proofs.items()} == {A: 300, B: 300}
    assert result.proofs[A].digest == result.proofs[B].digest
    assert result.parts[A].translate(123) == 123
    assert (blue.closed, green.closed) == (0, 0)


def test_a_difference_in_one_partition_leaves_the_other_proven(
    blue: FakeCluster, green: FakeCluster
) -> None:
    fill(blue, green)
    blue.write(A, *recs(300, 50))
    green.write(A, *recs(300, 20), *recs(321, 29))
    blue.write(B, *recs(300, 1))
    green.write(B, *recs(300, 1))
    result = one_shot(blue, green)
    [difference] = result.differences
    assert (difference.tp, difference.kind, difference.source_offset) == (A, "missing", 320)
    assert set(result.proofs) == {B}
    assert result.proofs[B].records == 301


def test_a_missing_tail_and_an_extra_record(blue: FakeCluster, green: FakeCluster) -> None:
    fill(blue, green)
    blue.write(A, *recs(300, 3))
    green.write(B, *recs(999, 1))
    found = [
        (d.tp, d.kind, d.source_offset, d.target_offset) for d in one_shot(blue, green).differences
    ]
    assert found == [
        (A, "missing", 300, -1),
        (A, "missing", 301, -1),
        (A, "missing", 302, -1),
        (B, "extra", -1, 300),
    ]


def test_transactions_on_both_sides_leave_the_records_equal(
    blue: FakeCluster, green: FakeCluster
) -> None:
    for i in range(40):
        blue.write(A, *recs(10 * i, 10), producer=5)
        blue.write(A, *recs(7000, 3), producer=6)
        blue.finish(A, 5, commit=True)
        blue.finish(A, 6, commit=False)
    for i in range(20):
        green.write(A, *recs(20 * i, 20), producer=9)
        green.finish(A, 9, commit=True)
    result = one_shot(blue, green)
    assert result.equal
    part = result.parts[A]
    assert result.proofs[A].records == 400
    # 15 offsets a group of ten on blue; 21 offsets a transaction of 20 on green
    assert [part.translate(o) for o in (0, 9, 10, 14, 15, 30, 599, 600)] == [
        0, 9, 10, 10, 10, 21, 420, 420,
    ]  # fmt: skip
    assert part.translate(20, back=True) == 30
    assert part.translate(21, back=True) == 30


def test_records_gone_before_they_were_read_are_a_gap(green: FakeCluster) -> None:
    blue = cluster("blue", limit=200)  # one batch of 60 records an answer
    fill(blue, green)
    real = blue.fetch

    def fetch(*args: object, **more: object) -> object:
        if blue.fetches == 2:
            blue.starts[A] = 250
        return real(*args, **more)  # type: ignore[arg-type]

    blue.fetch = fetch  # type: ignore[method-assign,assignment]
    [difference] = one_shot(blue, green).differences
    assert (difference.tp, difference.kind) == (A, "gap")
    assert difference.source_offset in (60, 120)
    assert "starts at 250" in difference.detail


def test_what_retention_took_before_the_first_look_is_passed_over(
    blue: FakeCluster, green: FakeCluster
) -> None:
    fill(blue, green)
    blue.starts[A] = 120
    green.starts[B] = 75
    result = one_shot(blue, green)
    assert result.equal
    proofs = result.proofs
    assert (proofs[A].source_start, proofs[A].target_start, proofs[A].records) == (120, 120, 180)
    assert (proofs[B].source_start, proofs[B].target_start, proofs[B].records) == (75, 75, 225)


def test_retention_between_the_first_look_and_the_first_fetch(
    blue: FakeCluster, green: FakeCluster
) -> None:
    fill(blue, green)
    real = blue.bounds

    def bounds(partitions: object) -> object:
        found = real(partitions)  # type: ignore[arg-type]
        blue.starts[A] = 120
        return found

    blue.bounds = bounds  # type: ignore[method-assign,assignment]
    result = one_shot(blue, green)
    assert result.equal
    assert result.proofs[A].source_start == 120


def test_a_missing_head_is_a_difference_where_nothing_expired(
    blue: FakeCluster, green: FakeCluster
) -> None:
    blue.write(A, *recs(0, 100))
    green.write(A, *recs(1, 99))
    [difference] = one_shot(blue, green).differences
    assert (difference.kind, difference.source_offset) == ("missing", 0)


def test_a_missing_head_is_a_difference_where_only_the_source_was_cut(
    blue: FakeCluster, green: FakeCluster
) -> None:
    blue.write(A, *recs(0, 300))
    green.write(A, *recs(0, 120), *recs(121, 179))
    blue.starts[A] = 120
    blue.write(B, *recs(0, 20), *recs(21, 279))
    green.write(B, *recs(0, 300))
    green.starts[B] = 20
    found = [
        (d.tp, d.kind, d.source_offset, d.target_offset) for d in one_shot(blue, green).differences
    ]
    assert found == [(A, "missing", 120, -1), (B, "extra", -1, 20)]


def test_old_formats_are_refused(blue: FakeCluster, green: FakeCluster) -> None:
    fill(blue, green)
    base, data = blue.logs[A].batches[0]
    blue.logs[A].batches[0] = (base, data[:16] + b"\x01" + data[17:])
    with pytest.raises(StepFailed, match=r"a-0 on the source: .*v0 or v1"):
        one_shot(blue, green)


def test_a_mirror_that_is_still_copying_is_waited_for(
    blue: FakeCluster, green: FakeCluster
) -> None:
    fill(blue, green)
    blue.write(A, *recs(300, 20))
    timer = threading.Timer(0.3, lambda: green.write(A, *recs(300, 20)))
    timer.start()
    assert one_shot(blue, green, patience=5.0).equal


# -- compacted -----------------------------------------------------------------


def test_compacted_logs_agree_by_latest_record_of_each_key(
    blue: FakeCluster, green: FakeCluster
) -> None:
    blue.write(A, Rec(1, b"a", b"1"), Rec(2, b"b", b"1"), Rec(3, b"a", b"2"), Rec(4, b"c", None))
    green.logs[A].skip(2)
    green.write(A, Rec(2, b"b", b"1"), Rec(3, b"a", b"2"))
    result = one_shot(blue, green, COMPACTED)
    assert result.differences == ()
    assert (result.proofs[A].compacted, result.proofs[A].records) == (True, 2)
    part = result.parts[A]
    assert [part.translate(o) for o in (0, 1, 2, 3, 4)] == [0, 0, 3, 4, 4]
    assert part.translate(4, back=True) == 4


def test_compacted_differences_are_named(blue: FakeCluster, green: FakeCluster) -> None:
    blue.write(A, *[Rec(i, b"%d" % i, b"x") for i in range(3000)])
    green.write(A, *[Rec(i, b"%d" % i, b"x") for i in range(3000) if i != 70])
    blue.write(A, Rec(1, b"5", None), Rec(1, b"6", b"new"))
    green.write(A, Rec(1, b"6", b"other"), Rec(1, b"strange", b"x"))
    found = [
        (d.kind, d.source_offset, d.target_offset)
        for d in one_shot(blue, green, COMPACTED).differences
    ]
    assert found == [
        ("missing", 70, -1),
        ("altered", 3000, 5),
        ("extra", -1, 3000),
        ("altered", 3001, 2999),
    ]
