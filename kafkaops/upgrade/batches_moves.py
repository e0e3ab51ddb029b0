"""Which few badly placed partitions cost batches, and the moves that would save them. Pure.

Partitions whose replicas share a rack, or that alone make two brokers a pair, are set aside and
the rest is coloured. Where that takes fewer batches, each set-aside partition that does not fit
gets moves that make it fit those batches, so the smaller number holds once they are done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade.batches_colouring import Colouring, Effort, colour
from kafkaops.upgrade.batches_graph import graph_of, pair_counts
from kafkaops.upgrade.batches_rows import NOBODY, Bools, Ints, Rows

HANDFUL = 0.02  # of all partitions; more is a new placement, not a few moves
AT_LEAST = 10
_EFFORT = Effort(steps=4_000, proof=1.0)


@dataclass(frozen=True)
class Move:
    """Move one replica of a partition from broker `source` to broker `target`."""

    tp: TopicPartition
    source: int
    target: int


@dataclass(frozen=True)
class Advice:
    """`batches` is the number of the colouring once all `moves` are done, against `now`."""

    moves: tuple[Move, ...]
    now: int
    batches: int


def advise(rows: Rows, keep: Sequence[int], cap: int, now: int) -> Advice | None:
    """The moves that save most, if a handful saves anything. `keep` are the indices of the
    brokers that were coloured in `now` batches."""
    least = -(-len(keep) // max(1, cap))
    if now <= least:
        return None
    members, limits, owner = rows.rules()
    every = _local(members, keep, len(rows.brokers))
    local, allowed = every[: len(rows.names)], limits[: len(rows.names)]
    racks = tuple(rows.racks[i] for i in keep)
    best: Advice | None = None
    tried: set[int] = set()
    for aside in _suspects(local, allowed, racks):
        if int(aside.sum()) in tried:
            continue
        tried.add(int(aside.sum()))
        use = ~aside[owner]
        found = colour(graph_of(every[use], limits[use], racks, cap), _EFFORT)
        number = len(found.classes)
        if number >= (best.batches if best else now):
            continue
        moves = _moves(rows, local, allowed, keep, found, np.flatnonzero(aside))
        if moves is not None:
            best = Advice(moves, now, number)
    return best


def placed(state: ClusterState, moves: Sequence[Move]) -> Mapping[TopicPartition, tuple[int, ...]]:
    """The replicas, in order, of each partition that is moved, once all of its moves are done."""
    found: dict[TopicPartition, tuple[int, ...]] = {}
    for move in moves:
        now = found.get(move.tp) or next(
            p.replicas for p in state.topics[move.tp.topic].partitions if p.tp == move.tp
        )
        found[move.tp] = tuple(move.target if node == move.source else node for node in now)
    return found


def _local(members: Ints, keep: Sequence[int], brokers: int) -> Ints:
    """Members as places in `keep`; those elsewhere are NOBODY, for they go down alone."""
    place = np.full(brokers + 1, NOBODY, np.int32)
    place[list(keep)] = np.arange(len(keep), dtype=np.int32)
    return np.asarray(place[members], np.int32)


def _suspects(local: Ints, allowed: Ints, racks: tuple[str | None, ...]) -> Iterator[Bools]:
    most = max(AT_LEAST, int(HANDFUL * len(local)))
    size = len(racks)
    if all(rack is not None for rack in racks):
        numbers = {rack: i for i, rack in enumerate(sorted({str(r) for r in racks}))}
        of = np.array([*(numbers[str(r)] for r in racks), NOBODY])
        rack = np.where(local == NOBODY, NOBODY, of[local])
        same = np.zeros(len(local), np.int64)
        for number in range(len(numbers)):
            same = np.maximum(same, (rack == number).sum(1))
        shared = (allowed > 0) & (same > allowed)
        if 0 < shared.sum() <= most:
            yield shared
    single = allowed == 1
    counts = pair_counts(local[single], size)
    for rarity in (1, 2, 3):
        rare = (counts > 0) & (counts <= rarity)
        holds = np.zeros(len(local), bool)
        for i in range(local.shape[1]):
            for j in range(i):
                both = (local[:, i] != NOBODY) & (local[:, j] != NOBODY)
                holds |= both & rare[local[:, i], local[:, j]]
        holds &= single
        if 0 < holds.sum() <= most:
            yield holds


def _moves(
    rows: Rows,
    local: Ints,
    allowed: Ints,
    keep: Sequence[int],
    found: Colouring,
    aside: NDArray[np.int64],
) -> tuple[Move, ...] | None:
    """The moves that make these partitions fit the batches found; None where one cannot."""
    batch = np.zeros(len(keep), np.int64)
    for number, members in enumerate(found.classes):
        batch[list(members)] = number
    load = np.bincount(local[local != NOBODY], minlength=len(keep))
    moves: list[Move] = []
    for row in aside.tolist():
        mine = [int(m) for m in local[row] if m != NOBODY]
        limit = int(allowed[row])
        counts = np.bincount(batch[mine], minlength=len(found.classes))
        for source in reversed(list(mine)):  # the preferred leader stays where it can
            if counts[batch[source]] <= limit:
                continue
            counts[batch[source]] -= 1
            free = counts[batch] < limit
            free[mine] = False
            targets = np.flatnonzero(free)
            if not len(targets):
                return None
            mine.remove(source)
            taken = {rows.racks[keep[m]] for m in mine}
            target = min(targets.tolist(), key=lambda t: (rows.racks[keep[t]] in taken, load[t], t))
            mine.append(target)
            counts[batch[target]] += 1
            load[target] += 1
            load[source] -= 1
            moves.append(
                Move(rows.names[row], rows.brokers[keep[source]], rows.brokers[keep[target]])
            )
    return tuple(moves)
