"""Log directories inside a broker, evened out (JBOD): replicas from one disk to another.

By bytes, within a tolerance, since Kafka places new replicas by count alone. A disk that cannot
be read is neither source nor target, a cordoned one (KIP-1066) no target. Local search; the bytes
above each disk's share are the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from kafkaops.model.cluster import LogDir
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.moves import DirMove, Move

TOLERANCE = Decimal("0.05")


@dataclass(frozen=True)
class Evened:
    """The moves, their bytes, the least that they could be, and disks that stay over their share,
    as `broker path`."""

    moves: tuple[DirMove, ...]
    bytes: int
    bound: int
    over: tuple[str, ...]


def even(
    dirs: Mapping[int, tuple[LogDir, ...]],
    moves: Iterable[Move],
    brokers: Iterable[int],
    tolerance: Decimal | None,
) -> Evened:
    """Disks of these brokers, once `moves` took away what leaves them."""
    gone: dict[int, set[TopicPartition]] = {}
    for move in moves:
        for broker in move.removing:
            gone.setdefault(broker, set()).add(move.tp)
    slack = Fraction(TOLERANCE if tolerance is None else tolerance)
    found: list[DirMove] = []
    over: list[str] = []
    bound = 0
    for broker in sorted(brokers):
        good = [d for d in dirs.get(broker, ()) if not d.error]
        if len(good) > 1:
            of_broker = _Broker(broker, good, gone.get(broker, set()), slack)
            bound += sum(of_broker.excess(i) for i in range(len(good)))
            found += of_broker.moves()
            over += [f"{broker} {d.path}" for i, d in enumerate(good) if of_broker.excess(i)]
    found.sort(key=lambda m: (m.broker, m.tp))
    return Evened(tuple(found), sum(m.bytes for m in found), bound, tuple(over))


class _Broker:
    def __init__(
        self, id: int, dirs: list[LogDir], gone: set[TopicPartition], slack: Fraction
    ) -> None:
        self.id, self.dirs = id, dirs
        moving = {tp for d in dirs for tp in d.arriving}
        self.left = [
            {tp: n for tp, n in d.replicas.items() if tp not in gone and tp not in moving}
            for d in dirs
        ]
        self.held = [sum(n for tp, n in d.replicas.items() if tp not in gone) for d in dirs]
        self.room = [d.usable if d.usable >= 0 else None for d in dirs]
        whole = all(d.total > 0 for d in dirs)
        weight = [Fraction(d.total if whole else 1) for d in dirs]
        self.top = [ceil(w * sum(self.held) / sum(weight) * (1 + slack)) for w in weight]

    def excess(self, i: int) -> int:
        return max(0, self.held[i] - self.top[i])

    def moves(self) -> list[DirMove]:
        found: list[DirMove] = []
        while True:
            over = sorted((i for i in range(len(self.dirs)) if self.excess(i)), key=self._worst)
            step = next((s for s in map(self._step, over) if s is not None), None)
            if step is None:
                return found
            found.append(step)

    def _worst(self, i: int) -> tuple[int, int]:
        return (-self.excess(i), i)

    def _step(self, i: int) -> DirMove | None:
        excess = self.excess(i)
        order = sorted(
            self.left[i].items(),
            key=lambda one: (one[1] < excess, one[1] if one[1] >= excess else -one[1], one[0]),
        )
        for tp, size in order:
            for j in sorted(range(len(self.dirs)), key=lambda j: (self.held[j] - self.top[j], j)):
                room = self.room[j]
                fits = self.held[j] + size <= self.top[j] and (room is None or size <= room)
                if size and j != i and fits and not self.dirs[j].cordoned:
                    return self._moved(tp, size, i, j)
        return None

    def _moved(self, tp: TopicPartition, size: int, i: int, j: int) -> DirMove:
        del self.left[i][tp]  # a replica moves once
        self.held[i] -= size
        self.held[j] += size
        room = self.room[j]
        if room is not None:
            self.room[j] = room - size
        return DirMove(tp, self.id, self.dirs[i].path, self.dirs[j].path, size)
