"""How many replicas each broker is to hold: its even share, or no more than levels the others.

Invariant: a range always holds what is certain on its broker, and the ranges together hold every
replica of the problem.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from kafkaops.placement.planning.flow import Ranges
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.spread import Taker, around, shares
from kafkaops.placement.planning.table import Bools, Ints


def even(problem: Problem, *, by_topic: bool) -> Ranges:
    """Floor and ceil of each broker's share of everything, by weight, within what racks allow and
    widened by the tolerance; of replicas in question only, what is certain taken off."""
    held = _held(problem, problem.stays)
    most = _most(problem, held)
    total = int(problem.certain.sum() + problem.need.sum())
    found = shares(
        _takers(problem, problem.certain, most), total, _racks(problem, problem.certain, None)
    )
    low, high = _around(problem, found, problem.certain, most)
    return Ranges(low, high, _by_topic(problem) if by_topic else None)


def gentle(problem: Problem, moves: int, slack: int) -> Ranges:
    """No broker is filled above the level that `moves` new replicas reach at the best, plus
    `slack`; none has to give anything away that may stay."""
    held = _held(problem, problem.stays)
    now = problem.certain + held
    most = _most(problem, held)
    racks = [
        (low, max(low, high))
        for low, high in zip(
            _sums(problem, now),
            (_sums(problem, problem.certain) + problem.most.sum(axis=0)).tolist(),
            strict=True,
        )
    ]
    found = shares(_takers(problem, now, np.maximum(most, now)), int(now.sum()) + moves, racks)
    tops = np.array([around(share, Fraction(0))[1] for share in found], np.int64)
    high = np.minimum(tops + np.where(problem.receives, slack, 0), np.maximum(most, now))
    return Ranges(np.zeros(len(high), np.int64), high - problem.certain)


def _held(problem: Problem, which: Bools) -> Ints:
    t = problem.table
    return np.bincount(t.holder[which], minlength=len(t.brokers))


def _most(problem: Problem, held: Ints) -> Ints:
    """What each broker can hold at the most: what is certain, and one replica of every partition
    that is not pinned to it and still needs some."""
    pinned = np.zeros(len(held), np.int64)
    for p, wanted in problem.forced.items():
        if problem.need[p]:
            pinned[list(wanted)] += 1
    free = int((problem.need > 0).sum()) - pinned
    room = np.where(problem.receives, free, np.where(problem.usable, held, 0))
    return problem.certain + room


def _takers(problem: Problem, least: Ints, most: Ints) -> list[Taker]:
    rack = np.where(problem.usable, problem.rack, -1)
    return [
        Taker(w, low, max(low, high), r)
        for w, low, high, r in zip(
            problem.weight, least.tolist(), most.tolist(), rack.tolist(), strict=True
        )
    ]


def _sums(problem: Problem, of: Ints) -> Ints:
    """Summed over the usable brokers of each rack [K]."""
    at = problem.usable & (problem.rack >= 0)
    sums = np.zeros(len(problem.racks), np.int64)
    np.add.at(sums, problem.rack[at], of[at])
    return sums


def _racks(problem: Problem, certain: Ints, rows: Ints | None) -> list[tuple[int, int]]:
    """The fewest and the most that each rack can hold, from the bounds of its partitions."""
    sure = _sums(problem, certain)
    least = problem.least if rows is None else problem.least[rows]
    most = problem.most if rows is None else problem.most[rows]
    pairs = zip(
        (sure + least.sum(axis=0)).tolist(), (sure + most.sum(axis=0)).tolist(), strict=True
    )
    return list(pairs)


def _around(
    problem: Problem, found: Iterable[Fraction], certain: Ints, most: Ints
) -> tuple[Ints, Ints]:
    slack = Fraction(problem.goals.tolerance or 0)
    pairs = np.array([around(share, slack) for share in found], np.int64).reshape(-1, 2)
    low = np.clip(pairs[:, 0], certain, most) - certain
    return low, np.clip(pairs[:, 1], certain, most) - certain


def _by_topic(problem: Problem) -> dict[int, tuple[Ints, Ints]]:
    """The same within each topic; equal cases are worked out once."""
    t, brokers = problem.table, len(problem.table.brokers)
    found: dict[int, tuple[Ints, Ints]] = {}
    known: dict[tuple[object, ...], tuple[Ints, Ints]] = {}
    edges = np.searchsorted(t.topic, np.arange(len(t.topics) + 1))
    for topic in range(len(t.topics)):
        rows = np.arange(edges[topic], edges[topic + 1])
        units = int(problem.need[rows].sum())
        if not units:
            continue
        certain = np.zeros(brokers, np.int64)
        for p in rows.tolist():
            for b in problem.forced.get(p, ()):
                certain[b] += 1
        row = slice(int(t.start[rows[0]]), int(t.start[rows[-1] + 1]))
        here = t.holder[row][problem.stays[row]]
        held = np.bincount(here, minlength=brokers)
        racks = _racks(problem, certain, rows)
        fussy = bool(certain.any() or (problem.usable & ~problem.receives).any())
        key = (units, len(rows), *racks, topic if fussy else -1)
        if key not in known:
            most = certain + np.where(
                problem.receives, len(rows), np.where(problem.usable, held, 0)
            )
            share = shares(_takers(problem, certain, most), units + int(certain.sum()), racks)
            known[key] = _around(problem, share, certain, most)
        found[topic] = known[key]
    return found
