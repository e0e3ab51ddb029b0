"""The partitions of a cluster as arrays, and the rule of a batch over them. Pure.

The rule: brokers B may be down together when for every partition |B and ISR| <= |ISR| - min ISR.
It is held twice: as the ISR is now, and as it will be when everybody is in sync, for a batch
begins only then. Two kinds of partition cannot be held to it. One that is short now (`weak`) is
planned as if in sync, and the gate waits for it. One that never has a replica to spare (`never`:
RF 1, or RF at most min ISR) keeps at least one replica up where it has two, and needs to be
accepted by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.cluster import ClusterState
from kafkaops.model.min_isr import MinIsr
from kafkaops.model.partition import TopicPartition

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Rows:
    """`brokers` are the node ids that are up, in order; a replica is an index into them, NOBODY
    where its broker is not up or the row has no more. `isr` marks the columns of `replicas` that
    are in sync, `rf` and `in_sync` count all replicas, absent ones too. `leaders` are indices."""

    brokers: tuple[int, ...]
    racks: tuple[str | None, ...]
    names: tuple[TopicPartition, ...]
    replicas: Ints
    isr: Bools
    rf: Ints
    in_sync: Ints
    minimum: Ints
    leaders: Ints

    @property
    def spare(self) -> Ints:
        """How many replicas may be down when all are in sync; 0 is `never`."""
        return self.rf - self.minimum

    @property
    def never(self) -> Bools:
        return np.asarray(self.spare <= 0)

    @property
    def weak(self) -> Bools:
        return np.asarray((self.spare > 0) & (self.in_sync <= self.minimum))

    def rules(self) -> tuple[Ints, Ints, NDArray[np.int64]]:
        """Every rule as members (rows of indices, NOBODY where there is none), the number of them
        that may be down, and the partition it comes from: one rule each, and a second while it is
        not all in sync."""
        allowed = np.where(self.never, self.rf - 1, self.spare).astype(np.int32)
        lagging = np.flatnonzero((self.in_sync < self.rf) & ~self.never & ~self.weak)
        now = np.where(self.isr[lagging], self.replicas[lagging], NOBODY)
        return (
            np.concatenate([self.replicas, now]).astype(np.int32),
            np.concatenate([allowed, (self.in_sync - self.minimum)[lagging]]).astype(np.int32),
            np.concatenate([np.arange(len(self.names)), lagging]),
        )

    def judged(
        self, batches: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of batches (indices) that share no broker: how many partitions each leaves at their min
        ISR, all others in sync (one failure more and acks=all writes to them stop); and which
        partitions the rule forbids to be treated so, `never` aside."""
        of = np.full(len(self.brokers) + 1, NOBODY, np.int64)  # the last stands for NOBODY
        for number, batch in enumerate(batches):
            of[list(batch)] = number
        where = of[self.replicas]
        at_minimum = np.zeros(len(batches), np.int64)
        broken = np.zeros(len(self.names), bool)
        for i in range(where.shape[1]):
            mine = where[:, i]
            same = (where == mine[:, None]) & (mine != NOBODY)[:, None]
            down = same.sum(1)
            last = ~self.never & (down == self.spare) & ~same[:, :i].any(1)
            at_minimum += np.bincount(mine[last & (mine != NOBODY)], minlength=len(batches))
            broken |= down > self.spare
            broken |= ~self.weak & ((same & self.isr).sum(1) > self.in_sync - self.minimum)
        return at_minimum, np.flatnonzero(broken & ~self.never)

    def led(self) -> NDArray[np.int64]:
        """Leaders a broker."""
        known = self.leaders[self.leaders >= 0]
        return np.bincount(known, minlength=len(self.brokers))


def rows_of(state: ClusterState) -> Rows:
    """GuardRefused KO-MIN-ISR-UNKNOWN where min.insync.replicas was not read."""
    brokers = tuple(sorted(b.id for b in state.brokers))
    racks = {b.id: b.rack for b in state.brokers}
    setting = MinIsr(state)
    names: list[TopicPartition] = []
    replicas: list[int] = []
    isr: list[int] = []
    figures: list[tuple[int, int, int, int]] = []  # replicas, in sync, min ISR, leader
    for _, topic in sorted(state.topics.items()):
        fixed = setting.fixed(topic)
        for p in topic.partitions:
            minimum = setting.wanted(topic, p.replicas) if fixed is None else fixed
            if minimum is None:
                raise GuardRefused(
                    "KO-MIN-ISR-UNKNOWN",
                    f"min.insync.replicas of topic {topic.name} was not read",
                    where=topic.name,
                    hint="take a whole snapshot: kafkaops cluster snapshot CLUSTER --out FILE",
                )
            rf = len(p.replicas)
            names.append(p.tp)
            replicas.extend(p.replicas)
            isr.extend(p.isr)
            figures.append((rf, len(p.isr), min(minimum, rf), p.leader))
    table = np.array(figures, np.int32).reshape(-1, 4)
    rows = np.repeat(np.arange(len(names)), table[:, 0])
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(table[:, 0]) - table[:, 0], table[:, 0])
    nodes = np.array(replicas, np.int64)
    synced = np.isin(_keys(rows, nodes), _keys(np.repeat(np.arange(len(names)), table[:, 1]), isr))
    shape = (len(names), int(table[:, 0].max(initial=1)))
    where, marks = np.full(shape, NOBODY, np.int32), np.zeros(shape, bool)
    where[rows, columns] = _places(brokers, nodes)
    marks[rows, columns] = synced
    return Rows(
        brokers,
        tuple(racks[b] for b in brokers),
        tuple(names),
        where,
        marks,
        table[:, 0],
        table[:, 1],
        table[:, 2],
        _places(brokers, table[:, 3]),
    )


def _keys(rows: NDArray[np.int64], nodes: Any) -> NDArray[np.int64]:
    """One number for each row and node id."""
    return (rows << 32) + np.asarray(nodes, np.int64)


def _places(brokers: Sequence[int], nodes: NDArray[Any]) -> Ints:
    """Node ids as indices into the sorted `brokers`; NOBODY for those not among them."""
    known = np.array(brokers, np.int64)
    if not len(known):
        return np.full(len(nodes), NOBODY, np.int32)
    at = np.minimum(np.searchsorted(known, nodes), len(known) - 1)
    return np.where(known[at] == nodes, at, NOBODY).astype(np.int32)
