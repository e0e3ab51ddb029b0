"""Which brokers hold each partition after a plan, in preferred order.

Invariant: what stays keeps its order, a new replica takes the place of the one it replaces, and a
partition that nothing was decided on is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kafkaops.placement.planning.decode import Decision
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.table import Bools, Ints, Table

After = dict[int, tuple[int, ...]]
"""Broker indices by partition, of partitions that change."""


@dataclass(frozen=True)
class Layout:
    """Replicas of partition p: `holder[start[p]:start[p + 1]]`, broker indices."""

    start: Ints
    holder: Ints

    @property
    def owner(self) -> Ints:
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int64), np.diff(self.start))

    def of(self, p: int) -> tuple[int, ...]:
        return tuple(self.holder[self.start[p] : self.start[p + 1]].tolist())


def now(table: Table) -> Layout:
    return Layout(table.start, table.holder)


def changed(problem: Problem, decision: Decision) -> After:
    """The partitions whose replicas change."""
    t = problem.table
    stays = decision.kept | problem.ghosts | ~problem.active[t.owner]
    fresh: dict[int, list[int]] = {}
    for p, b in zip(decision.parts.tolist(), decision.brokers.tolist(), strict=True):
        fresh.setdefault(p, []).append(b)
    stays = stays.copy()
    for p, wanted in problem.forced.items():
        held = {int(t.holder[r]): r for r in range(int(t.start[p]), int(t.start[p + 1]))}
        for b in wanted:
            if b in held:
                stays[held[b]] = True
            else:
                fresh.setdefault(p, []).append(b)
    found: After = {}
    for p in np.union1d(t.owner[~stays], np.fromiter(fresh, np.int64, len(fresh))).tolist():
        row = slice(int(t.start[p]), int(t.start[p + 1]))
        found[p] = _merged(problem, p, t.holder[row].tolist(), stays[row], fresh.get(p, []))
    return found


def _merged(
    problem: Problem, p: int, before: list[int], stays: Bools, fresh: list[int]
) -> tuple[int, ...]:
    """New replicas in the places of those that go: the broker named as the replacement, then one
    of the same rack, then in order of id; what is left over comes last."""
    rack = problem.rack
    named = {old: new for new, old in problem.forced.get(p, {}).items() if old >= 0}
    left = sorted(fresh)
    gone = [i for i, stay in enumerate(stays.tolist()) if not stay]
    into: dict[int, int] = {}
    for near in (
        lambda i, b: named.get(before[i]) == b,
        lambda i, b: b not in named.values() and rack[b] == rack[before[i]],
        lambda i, b: True,
    ):
        for i in gone:
            if i not in into:
                match = next((b for b in left if near(i, b)), None)
                if match is not None:
                    into[i] = match
                    left.remove(match)
    merged = [into.get(i, b) for i, b in enumerate(before) if stays[i] or i in into]
    return tuple(merged + left)


def laid_out(table: Table, after: Mapping[int, tuple[int, ...]]) -> Layout:
    """The whole cluster with these partitions changed."""
    rf = table.rf.copy()
    parts = np.fromiter(after, np.int64, len(after))
    rf[parts] = np.fromiter((len(row) for row in after.values()), np.int64, len(after))
    start = np.concatenate(([0], np.cumsum(rf))).astype(np.int64)
    holder = np.empty(int(start[-1]), np.int64)
    same = np.ones(table.partitions, np.bool_)
    same[parts] = False
    source = same[table.owner]
    owner = np.repeat(np.arange(table.partitions), rf)
    holder[same[owner]] = table.holder[source]
    for p, row in after.items():
        holder[start[p] : start[p + 1]] = row
    return Layout(start, holder)
