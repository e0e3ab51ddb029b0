"""Bytes evened out over brokers, by local search: with sizes the problem is as hard as bin packing,
so no flow solves it. What is moved is compared with a bound: the bytes above each broker's share.

Invariant: every step keeps racks within their bounds, and counts where those are goals too; it
takes the broker furthest above its share and leaves no other one above its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

import numpy as np

from kafkaops.engine.errors import GuardRefused
from kafkaops.placement.planning.flow import Ranges
from kafkaops.placement.planning.layout import After, Layout
from kafkaops.placement.planning.problem import Problem

TOLERANCE = Decimal("0.05")
_PARTITIONS, _BROKERS = 200, 60  # looked at for one step
PROOF = "bytes above each broker's share; local search"


@dataclass(frozen=True)
class Evened:
    """Partitions that change, and brokers that stay above their share, with the bytes over it."""

    after: After
    over: dict[int, int]


def tops(problem: Problem, laid: Layout) -> list[int]:
    """The most bytes of each broker [B]: its share by weight, widened by the tolerance; no limit
    for brokers that keep what they have, and 0 for drained ones."""
    slack = Fraction(problem.goals.tolerance if problem.goals.tolerance is not None else TOLERANCE)
    held = sum_of(problem, laid)
    fed = [b for b in range(len(held)) if problem.receives[b]]
    total = sum(held[b] for b in fed)
    weight = sum((problem.weight[b] for b in fed), Fraction(0))
    found = [0 if not problem.usable[b] else held[b] for b in range(len(held))]
    for b in fed:
        found[b] = ceil(problem.weight[b] * total / weight * (1 + slack))
    return found


def sum_of(problem: Problem, laid: Layout) -> list[int]:
    """Bytes of each broker [B]."""
    held = np.zeros(len(problem.table.brokers), np.int64)
    np.add.at(held, laid.holder, problem.table.size[laid.owner])
    return [int(b) for b in held.tolist()]


def bound(problem: Problem, before: Layout, laid: Layout) -> int:
    """Bytes that any plan copies at least: what brokers have above their share now, less what goes
    without a copy because fewer replicas are wanted."""
    now, top = sum_of(problem, before), tops(problem, laid)
    shed = max(0, sum(now) - sum(sum_of(problem, laid)))
    return max(0, sum(max(0, n - u) for n, u in zip(now, top, strict=True)) - shed)


def refuse_without_sizes(problem: Problem) -> None:
    if not problem.table.size.any():
        raise GuardRefused(
            "KO-PLACEMENT-SIZES",
            "the sizes of replicas are not known, so bytes cannot be evened out or minimised",
            hint="plan from a cluster or a snapshot (`cluster snapshot`), or by replicas",
        )


def even(problem: Problem, laid: Layout, ranges: Ranges | None) -> Evened:
    """`ranges` bound the counts of brokers where these are to be even too."""
    search = _Search(problem, laid, ranges)
    while True:
        over = sorted(search.over(), key=lambda b: (search.top[b] - search.held[b], b))
        if not any(search.relieve(b) for b in over):
            break
    left = {int(problem.table.brokers[b]): search.held[b] - search.top[b] for b in over}
    rows = {p: tuple(row) for p, row in sorted(search.rows.items())}
    return Evened({p: row for p, row in rows.items() if row != laid.of(p)}, left)


class _Search:
    def __init__(self, problem: Problem, laid: Layout, ranges: Ranges | None) -> None:
        t = problem.table
        self.problem, self.laid = problem, laid
        self.size: list[int] = t.size.tolist()
        self.held = sum_of(problem, laid)
        self.top = tops(problem, laid)
        self.rows: dict[int, list[int]] = {}
        self.on: list[set[int]] = [set() for _ in t.brokers]
        for p, b in zip(laid.owner.tolist(), laid.holder.tolist(), strict=True):
            self.on[b].add(p)
        if ranges is None:
            self.low, self.high = [0] * len(self.on), [t.partitions] * len(self.on)
        else:
            self.low = (ranges.low + problem.certain).tolist()
            self.high = (ranges.high + problem.certain).tolist()

    def over(self) -> list[int]:
        return [b for b in range(len(self.on)) if self.held[b] > self.top[b] and self.on[b]]

    def relieve(self, b: int) -> bool:
        """One step that brings the broker closer to its share; whether there was one."""
        excess = self.held[b] - self.top[b]
        movable = [p for p in self.on[b] if self._may_leave(p, b)]
        # The smallest that is enough, else the largest; what is new here costs nothing to redirect.
        movable.sort(key=lambda p: (not self._fresh(p, b), *_fit(self.size[p], excess), p))
        movable = movable[:_PARTITIONS]
        low_first = self._targets()
        for p in movable:
            for e in low_first if len(self.on[b]) > self.low[b] else ():
                fits = self.held[e] + self.size[p] <= self.top[e] and len(self.on[e]) < self.high[e]
                if fits and self._may_go(p, b, e):
                    self._move(p, b, e)
                    return True
        return any(self._swap(p, b, e) for p in movable[:20] for e in low_first)

    def _swap(self, p: int, b: int, e: int) -> bool:
        if e == b or not self._may_go(p, b, e):
            return False
        room = self.top[e] - self.held[e]
        for q in sorted(self.on[e], key=lambda q: (self.size[q], q))[:_PARTITIONS]:
            gain = self.size[p] - self.size[q]
            if 0 < gain <= room and self._may_leave(q, e) and self._may_go(q, e, b):
                self._move(p, b, e)
                self._move(q, e, b)
                return True
        return False

    def _targets(self) -> list[int]:
        weight = self.problem.weight
        fed = [b for b in range(len(self.on)) if self.problem.receives[b]]
        return sorted(fed, key=lambda b: (self.held[b] / weight[b], b))[:_BROKERS]

    def _row(self, p: int) -> list[int]:
        return self.rows.get(p) or list(self.laid.of(p))

    def _fresh(self, p: int, b: int) -> bool:
        t = self.problem.table
        return b not in t.holder[t.start[p] : t.start[p + 1]]

    def _may_leave(self, p: int, b: int) -> bool:
        return bool(
            self.size[p] and self.problem.active[p] and b not in self.problem.forced.get(p, ())
        )

    def _may_go(self, p: int, b: int, e: int) -> bool:
        row = self._row(p)
        if e in row:
            return False
        rack = self.problem.rack
        if rack[e] == rack[b]:
            return True
        there = sum(1 for x in self._loose(p, row) if rack[x] == rack[e])
        here = sum(1 for x in self._loose(p, row) if rack[x] == rack[b])
        most, least = self.problem.most[p], self.problem.least[p]
        return bool(there < most[rack[e]] and here > least[rack[b]])

    def _loose(self, p: int, row: list[int]) -> Iterator[int]:
        forced = self.problem.forced.get(p, {})
        return (x for x in row if x not in forced)

    def _move(self, p: int, b: int, e: int) -> None:
        row = self._row(p)
        row[row.index(b)] = e
        self.rows[p] = row
        self.on[b].discard(p)
        self.on[e].add(p)
        self.held[b] -= self.size[p]
        self.held[e] += self.size[p]


def _fit(size: int, excess: int) -> tuple[bool, int]:
    return (size < excess, size if size >= excess else -size)
