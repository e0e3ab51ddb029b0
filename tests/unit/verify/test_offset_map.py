"""The sparse map against a plain list of pairs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkaops.verify import offset_map
from kafkaops.verify.offset_map import OffsetMap

jumps = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=60)


def built(steps: list[tuple[int, int]], cut: int) -> tuple[OffsetMap, list[tuple[int, int]]]:
    pairs = []
    source = target = 4
    for a, b in steps:
        source, target = source + a, target + b
        pairs.append((source, target))
    made = OffsetMap()
    array = np.array(pairs, np.int64).reshape(-1, 2)
    for part in (array[:cut], array[cut:]):
        made.append(part[:, 0], part[:, 1])
    return made, pairs


@settings(deadline=None)
@given(jumps, st.integers(0, 60), st.integers(0, 200))
def test_translate_is_the_first_pair_at_or_after(
    steps: list[tuple[int, int]], cut: int, offset: int
) -> None:
    made, pairs = built(steps, cut)
    assert made.translate(offset) == next((t for s, t in pairs if s >= offset), None)
    assert made.translate(offset, back=True) == next((s for s, t in pairs if t >= offset), None)


def test_a_constant_difference_is_one_run() -> None:
    made = OffsetMap()
    for first in range(0, 100_000, 1000):
        at = np.arange(first, first + 1000)
        made.append(at, at + 17)
    assert (made.runs, made.pairs) == (1, 100_000)
    assert made.translate(99_999) == 100_016
    assert made.translate(100_000) is None


def test_many_runs_are_packed_and_come_back() -> None:
    made = OffsetMap()
    source = np.arange(0, 60_000, 2)  # a marker after every record
    target = np.arange(0, 90_000, 3)
    for i in range(0, len(source), 777):
        made.append(source[i : i + 777], target[i : i + 777])
    assert made.runs == 30_000
    assert len(made._packed) == 30_000 // offset_map.FULL
    packed = sum(len(p) for p in made._packed)
    assert packed < made.runs * 24 / 50
    again = OffsetMap.of(made.arrays())
    for offset in (0, 1, 2, 8191, 8192, 8193, 20_000, 59_997, 59_998):
        expected = -(-offset // 2) * 3
        assert again.translate(offset) == made.translate(offset) == expected
    assert again.translate(59_999) is None
    assert again.translate(89_997, back=True) == 59_998
    again.append(np.array([60_000]), np.array([90_000]))
    assert again.translate(59_999) == 90_000
    assert again.pairs == 30_001


def test_every_boundary_between_blocks() -> None:
    made = OffsetMap()
    count = 3 * offset_map.FULL + 5
    source = np.cumsum(np.full(count, 2))
    made.append(source, source * 5)
    for index in range(1, 4):
        for near in (-1, 0, 1):
            place = index * offset_map.FULL + near
            if place < count:
                assert made.translate(int(source[place])) == source[place] * 5
                assert made.translate(int(source[place]) - 1) == source[place] * 5
    assert all(a < b for a, b in pairwise(made._firsts[0]))
