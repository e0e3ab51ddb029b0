"""A cluster as numpy arrays: who holds which partition, in which order, and how large it is.

Invariant: partitions are sorted by topic and number and brokers by id, so that the same cluster
gives the same arrays whatever order it was read in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import TopicPartition

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_RACK = -1


@dataclass(frozen=True)
class Table:
    """P partitions, B brokers, R replicas, K racks.

    `topic` and `number` [P]; `brokers` [B] are ids, `live` [B] those that the cluster lists, the
    others only hold replicas; `rack` [B] is an index into `racks`, -1 where a broker names none.
    Replicas of partition p are `holder[start[p]:start[p + 1]]`, broker indices in preferred order,
    `in_sync` [R] likewise. `size` [P] are bytes of one replica, 0 where unknown. `busy` [P]: on
    the move already, by somebody else's doing."""

    cluster_id: str
    topics: tuple[str, ...]
    topic: Ints
    number: Ints
    brokers: Ints
    live: Bools
    rack: Ints
    racks: tuple[str, ...]
    start: Ints
    holder: Ints
    in_sync: Bools
    size: Ints
    busy: Bools

    @property
    def partitions(self) -> int:
        return len(self.topic)

    @property
    def rf(self) -> Ints:
        """Replicas of each partition [P]."""
        return np.diff(self.start)

    @property
    def owner(self) -> Ints:
        """The partition of each replica [R]."""
        return np.repeat(np.arange(self.partitions, dtype=np.int64), self.rf)

    def tp(self, p: int) -> TopicPartition:
        return TopicPartition(self.topics[self.topic[p]], int(self.number[p]))

    def replicas(self, p: int) -> tuple[int, ...]:
        """Broker ids of a partition, in preferred order."""
        held = self.holder[self.start[p] : self.start[p + 1]]
        return tuple(self.brokers[held].tolist())

    def index(self) -> dict[int, int]:
        """Broker id to its index."""
        return {int(b): i for i, b in enumerate(self.brokers)}

    def rack_name(self, broker: int) -> str | None:
        at = int(self.rack[broker])
        return None if at == NO_RACK else self.racks[at]


def topics_named(table: Table, glob: str) -> Bools:
    """Partitions [P] of topics that this glob names."""
    named = np.fromiter((fnmatchcase(t, glob) for t in table.topics), np.bool_, len(table.topics))
    mask: Bools = named[table.topic]
    return mask


def matches(table: Table, glob: str) -> Bools:
    """Partitions [P] that this glob names: whole topics, and where it names no topic and ends in
    a number, that partition of the topics it names."""
    mask = topics_named(table, glob)
    stem, _, number = glob.rpartition("-")
    if mask.any() or not stem or not number.isdecimal():
        return mask
    one: Bools = topics_named(table, stem) & (table.number == int(number))
    return one


Row = tuple[str, int, tuple[int, ...], tuple[int, ...]]
"""Topic, partition, replicas in preferred order, those in sync."""


def of_state(state: ClusterState) -> Table:
    """The arrays of a cluster's snapshot."""
    rows = [
        (name, p.tp.partition, p.replicas, p.isr)
        for name, topic in state.topics.items()
        for p in topic.partitions
    ]
    racks = {b.id: b.rack or None for b in state.brokers}  # an empty name is none
    return of_rows(rows, racks, state.cluster_id, state.replica_bytes, state.reassigning)


def of_rows(
    rows: Iterable[Row],
    racks: Mapping[int, str | None],
    cluster_id: str = "",
    sizes: Mapping[TopicPartition, int] | None = None,
    busy: Iterable[TopicPartition] = (),
) -> Table:
    """The arrays of rows and of the brokers there are, with their racks."""
    ordered = sorted(rows, key=lambda row: row[:2])
    names = sorted({row[0] for row in ordered})
    at = {name: i for i, name in enumerate(names)}
    count = len(ordered)
    rf = np.fromiter((len(row[2]) for row in ordered), np.int64, count)
    start = np.concatenate(([0], np.cumsum(rf))).astype(np.int64)
    held = np.fromiter((b for row in ordered for b in row[2]), np.int64, int(start[-1]))
    ids = np.union1d(held, np.fromiter(racks, np.int64, len(racks)))
    known = sorted({rack for rack in racks.values() if rack is not None})
    rack_at = {rack: i for i, rack in enumerate(known)}
    of_broker = (racks.get(int(b)) for b in ids)
    moving = set(busy)
    return Table(
        cluster_id,
        tuple(names),
        np.fromiter((at[row[0]] for row in ordered), np.int64, count),
        np.fromiter((row[1] for row in ordered), np.int64, count),
        ids,
        np.fromiter((int(b) in racks for b in ids), np.bool_, len(ids)),
        np.fromiter((NO_RACK if r is None else rack_at[r] for r in of_broker), np.int64, len(ids)),
        tuple(known),
        start,
        np.searchsorted(ids, held),
        _in_sync(ordered, int(start[-1])),
        _sizes(ordered, sizes or {}),
        np.fromiter((bool(moving) and (r[0], r[1]) in moving for r in ordered), np.bool_, count),
    )


def _in_sync(rows: list[Row], replicas: int) -> Bools:
    def each() -> Iterable[bool]:
        for _, _, held, isr in rows:
            if len(isr) == len(held):
                yield from (True for _ in held)
            else:
                yield from (b in isr for b in held)

    return np.fromiter(each(), np.bool_, replicas)


def _sizes(rows: list[Row], sizes: Mapping[TopicPartition, int]) -> Ints:
    if not sizes:
        return np.zeros(len(rows), np.int64)
    get: Any = sizes.get
    return np.fromiter((get((row[0], row[1]), 0) for row in rows), np.int64, len(rows))
