"""The comparison in step: equal logs, and every kind of difference at its exact place."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.verification import Difference
from kafkaops.verify.records import Visible
from kafkaops.verify.sequence import MOST, Sequence
from kafkaops.verify.side import SOURCE, TARGET

TP = TopicPartition("t", 0)


def visible(values: list[int], offsets: list[int]) -> Visible:
    last = offsets[-1] + 1 if offsets else 0
    return Visible(np.array(offsets, np.int64), np.array(values, np.uint64), last)


def run(
    source: list[int],
    target: list[int],
    *,
    chunk: int = 50,
    complete: bool = True,
    shift: int = 0,
) -> Sequence:
    """Feed both sides in turns; the target's offsets are shifted."""
    made = Sequence(TP, 0, shift)
    for at in range(0, max(len(source), len(target)), chunk):
        for side, values, first in ((SOURCE, source, 0), (TARGET, target, shift)):
            part = values[at : at + chunk]
            if part:
                places = list(range(first + at, first + at + len(part)))
                made.add(side, visible(part, places), 0.0)
                made.compare()
    for side, values, first in ((SOURCE, source, 0), (TARGET, target, shift)):
        end = first + len(values)
        made.sides[side].learn(Ends(0, end, end))
    if complete:
        made.judge(source_whole=True, target_whole=True, complete=True)
    return made


def found(made: Sequence) -> list[tuple[str, int, int]]:
    return [(d.kind, d.source_offset, d.target_offset) for d in made.differences]


BASE = [1000 + i for i in range(500)]


def test_equal_logs_agree_whatever_the_offsets() -> None:
    made = run(BASE, BASE, shift=7)
    assert found(made) == []
    assert made.records == 500
    assert made.settled(500)
    assert made.behind == 0
    assert [made.translate(o) for o in (0, 499, 500)] == [7, 506, 507]
    assert made.translate(7, back=True) == 0
    proof = made.proof(500, 507)
    assert (proof.records, proof.source_end, proof.target_start) == (500, 500, 7)


def test_the_digest_depends_on_order_and_content_not_on_chunks() -> None:
    digests = {run(BASE, BASE, chunk=c).digest for c in (1, 50, 499)}
    assert len(digests) == 1
    turned = [BASE[1], BASE[0], *BASE[2:]]
    assert run(turned, turned).digest not in digests


def test_block_digests_stand_at_the_same_records_whatever_the_chunks() -> None:
    long = list(range(1, 10_001))
    blocks = [run(long, long, chunk=c).blocks for c in (333, 4096, 5000, 10_000)]
    assert blocks[0] == blocks[1] == blocks[2] == blocks[3]
    assert [offset for offset, _ in blocks[0]] == [4096, 8192]


@pytest.mark.parametrize("at", [0, 1, 250, 498, 499])
@pytest.mark.parametrize("chunk", [7, 50, 1000])
def test_each_difference_is_named_at_its_place(at: int, chunk: int) -> None:
    altered = [*BASE]
    altered[at] = 5
    assert found(run(BASE, altered, chunk=chunk)) == [("altered", at, at)]
    missing = [*BASE[:at], *BASE[at + 1 :]]
    assert found(run(BASE, missing, chunk=chunk)) == [("missing", at, -1)]
    extra = [*BASE[:at], 5, *BASE[at:]]
    assert found(run(BASE, extra, chunk=chunk)) == [("extra", -1, at)]
    if at < 498:
        swapped = [*BASE]
        swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
        assert sorted(found(run(BASE, swapped, chunk=chunk))) == [
            ("reordered", at, at + 1),
            ("reordered", at + 1, at),
        ]


def test_a_swap_from_afar_and_a_move() -> None:
    swapped = [*BASE]
    swapped[3], swapped[400] = swapped[400], swapped[3]
    assert found(run(BASE, swapped)) == [("reordered", 3, 400), ("reordered", 400, 3)]
    moved = [*BASE[:3], *BASE[4:400], BASE[3], *BASE[400:]]
    assert found(run(BASE, moved)) == [("reordered", 3, 399)]


def test_a_swap_of_the_last_two_is_one_record_moved() -> None:
    assert found(run(BASE, [*BASE[:498], BASE[499], BASE[498]])) == [("reordered", 499, 498)]


def test_several_differences_each_on_its_own() -> None:
    target = [*BASE]
    target[10] = 5
    del target[100]
    target.insert(200, 6)
    assert found(run(BASE, target)) == [
        ("altered", 10, 10),
        ("missing", 100, -1),
        ("extra", -1, 200),
    ]


def test_long_stretches_are_one_difference() -> None:
    made = run(BASE, [*BASE[:100], *BASE[300:]])
    assert found(made) == [("missing", 100, -1)]
    assert made.differences[0].detail.startswith("200 records up to 299")


def test_records_that_are_not_mirrored_yet_are_no_difference() -> None:
    made = run(BASE, BASE[:300], complete=False)
    made.judge(source_whole=True, target_whole=True)
    assert found(made) == []
    assert made.behind == 200
    assert not made.settled(500)
    assert made.settled(300)


def test_a_difference_before_the_mirrors_tail_is_judged_without_it() -> None:
    target = [*BASE[:100], 5, *BASE[101:110]]
    made = run(BASE, target, complete=False)
    made.judge(source_whole=True, target_whole=True)
    assert found(made) == [("altered", 100, 100)]
    assert made.records == 109


def test_identical_records_in_a_row_lose_count_only() -> None:
    same = [9] * 100
    assert found(run([*BASE, *same, *BASE], [*BASE, *same[:-1], *BASE])) == [("missing", 599, -1)]


def test_a_limit_holds_records_back() -> None:
    made = Sequence(TP, 0, 0)
    for side in (SOURCE, TARGET):
        made.add(side, visible(BASE, list(range(500))), 0.0)
    made.compare(200)
    assert (made.records, made.sides[SOURCE].compared) == (200, 200)
    made.compare()
    assert made.records == 500


def test_logs_that_share_nothing_stop_being_compared() -> None:
    made = run(list(range(1, 5001)), list(range(10_001, 15_001)))
    assert made.stopped == f"more than {MOST} records differ"
    assert made.differences


def test_a_gap_ends_it_and_says_where() -> None:
    made = Sequence(TP, 0, 0)
    made.add(SOURCE, visible(BASE[:10], list(range(10))), 0.0)
    made.lost(SOURCE, 50, 100)
    assert made.differences == (
        Difference(
            TP, "gap", 10, -1, "the log starts at 50: records expired before they were read"
        ),
    )


edits = st.lists(
    st.tuples(st.sampled_from(["alter", "miss", "add"]), st.integers(0, 199)), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(edits, st.integers(1, 80), st.integers(0, 1 << 32))
def test_planted_differences_are_counted_right_and_the_rest_is_mapped(
    planted: list[tuple[str, int]], chunk: int, number: int
) -> None:
    """Edits far enough apart (20 records) not to be one segment come out one by one."""
    seed = random.Random(number)  # its values must not shrink to equal ones
    source = [seed.getrandbits(63) + 1 for _ in range(4000)]
    target: list[int | None] = [*source]
    expected = []
    places = {place * 20: kind for kind, place in planted}
    for place, kind in places.items():
        expected.append(kind)
        if kind == "alter":
            target[place] = seed.getrandbits(63) + 1
        elif kind == "miss":
            target[place] = None
    flat: list[int] = []
    for place, value in enumerate(target):
        if places.get(place) == "add":
            flat.append(seed.getrandbits(63) + 1)
        if value is not None:
            flat.append(value)
    made = run(source, flat, chunk=chunk)
    kinds = {"alter": "altered", "miss": "missing", "add": "extra"}
    assert sorted(d.kind for d in made.differences) == sorted(kinds[k] for k in expected)
    assert {d.source_offset for d in made.differences if d.kind in ("altered", "missing")} == {
        p for p, k in places.items() if k != "add"
    }
    where = {value: i for i, value in enumerate(flat)}
    for place in range(0, 4000, 97):
        if places.get(place) is None:
            assert made.translate(place) == where[source[place]]
