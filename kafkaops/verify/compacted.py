"""The comparison of one compacted partition: the latest record of each key, tombstones included.

Two clusters compact at different times, so their sequences differ and mean the same. A key
whose newest record is a tombstone equals a key that is gone.

Invariant: both tables hold, of every key hash, the record with the highest offset read so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kafkaops.model.partition import TopicPartition
from kafkaops.ports.verification import Difference, PartitionProof
from kafkaops.verify.records import Visible
from kafkaops.verify.side import SIDES, SOURCE, TARGET, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL = 1024
LISTED = 1000  # differences named of one partition


class Latest:
    """Newest record hash (0 for a tombstone) and offset of each key hash: open addressing."""

    keys: NDArray[np.uint64]
    values: NDArray[np.uint64]
    places: NDArray[np.int64]
    count: int

    def __init__(self) -> None:
        self._clear(SMALL)

    def put(self, found: Visible) -> None:
        if found.keys is None or found.tombstones is None:
            raise ValueError("records of a compacted partition were read without their keys")
        values = np.where(found.tombstones, np.uint64(0), found.hashes | np.uint64(1))
        self._insert(found.keys, values, found.offsets)

    def _insert(self, keys: Any, values: Any, places: Any) -> None:
        from kafkaops.verify import kernel

        slots = len(self.keys)
        while 2 * (self.count + len(keys)) > slots:
            slots *= 2
        if slots > len(self.keys):
            old = self.sorted()
            self._clear(slots)
            self.count = kernel.put_latest(self.keys, self.values, self.places, *old)
        self.count += kernel.put_latest(self.keys, self.values, self.places, keys, values, places)

    def restore(self, keys: Any, values: Any, places: Any) -> None:
        """Begin again with these, as `sorted` gave them."""
        self._clear(SMALL)
        self._insert(keys, values, places)

    def _clear(self, slots: int) -> None:
        self.keys = np.zeros(slots, np.uint64)
        self.values = np.zeros(slots, np.uint64)
        self.places = np.full(slots, -1, np.int64)
        self.count = 0

    def sorted(self) -> tuple[Any, Any, Any]:
        """Keys ascending, with their values and offsets."""
        used = np.flatnonzero(self.places >= 0)
        order = used[np.argsort(self.keys[used], kind="stable")]
        return self.keys[order], self.values[order], self.places[order]


class Compacted:
    """The same face as `sequence.Sequence`. Differences are judged only where both logs have been
    read to agreed ends; positions translate conservatively: never skipping, at most replaying
    records that newer ones of the same key replace."""

    compacted = True
    anchored = True

    def __init__(self, tp: TopicPartition, source_start: int, target_start: int) -> None:
        self.tp = tp
        self.sides = (Side(source_start, source_start), Side(target_start, target_start))
        self.latest = (Latest(), Latest())
        self.seen = [0, 0]
        self.gaps: tuple[Difference, ...] = ()
        self.stopped = ""
        self.differences: tuple[Difference, ...] = ()
        self._anchors: tuple[tuple[int, int], Any] | None = None

    @property
    def records(self) -> int:
        """Visible records read on the source."""
        return self.seen[SOURCE]

    def add(self, side: int, found: Visible, now: float) -> None:
        here = self.sides[side]
        here.position = found.next_offset
        if len(found.offsets):
            here.grown = now
            self.seen[side] += len(found.offsets)
            self.latest[side].put(found)

    def lost(self, side: int, log_start: int, log_end: int) -> None:
        """Expiry is no loss where compaction may delete too: only keys still live count, so
        reading goes on at the log's start; a log that ends early is a gap."""
        here = self.sides[side]
        if log_start > here.position:
            here.position = log_start
            return
        why = f"the {SIDES[side]} log ends at {log_end}: records that were there are gone"
        at = here.position
        source, target = (at, -1) if side == SOURCE else (-1, at)
        self.differences = (Difference(self.tp, "gap", source, target, why),)
        self.stopped = why

    def compare(self, limit: int | None = None) -> None:
        """Nothing in step: keys are compared at the end."""

    def judge(
        self,
        *,
        source_whole: bool,
        target_whole: bool,
        complete: bool = False,
        limit: int | None = None,
    ) -> None:
        """Name what differs, once both sides are known to get nothing more."""
        if complete and not self.stopped:
            self.differences = self._differing()

    def _joined(self) -> tuple[Any, Any, Any, Any, Any]:
        """Over all keys of both: (key, source value, source offset, target value, target offset);
        offset -1 and value 0 where a side has no such key."""
        keys, values, places = self.latest[SOURCE].sorted()
        others, there, spots = self.latest[TARGET].sorted()
        every = np.union1d(keys, others)
        columns: list[Any] = [every]
        for own, vals, offs in ((keys, values, places), (others, there, spots)):
            at = np.searchsorted(every, own)
            value = np.zeros(len(every), np.uint64)
            place = np.full(len(every), -1, np.int64)
            value[at], place[at] = vals, offs
            columns += [value, place]
        return columns[0], columns[1], columns[2], columns[3], columns[4]

    def _differing(self) -> tuple[Difference, ...]:
        _, a, at, b, there = self._joined()
        found: list[Difference] = []
        for i in np.flatnonzero(a != b)[:LISTED].tolist():
            source, target = int(at[i]), int(there[i])
            if b[i] == 0 and target < 0:
                kind, why = "missing", "the key's latest record is not on the target"
            elif a[i] == 0 and source < 0:
                kind, why = "extra", "the source does not have this key"
            else:
                kind, why = "altered", "the key's latest record differs"
            found.append(Difference(self.tp, kind, source, target, why))
        return tuple(sorted(found, key=lambda d: (max(d.source_offset, d.target_offset), d.kind)))

    @property
    def behind(self) -> int:
        source = self.sides[SOURCE]
        return 0 if self.stopped else max(0, source.stable - source.position)

    def settled(self, end: int) -> bool:
        """Both sides say the same, with the source read to `end`."""
        if self.sides[SOURCE].position < end:
            return False
        _, a, _, b, _ = self._joined()
        return bool((a == b).all())

    def caught_up(self) -> bool:
        """The source's newest record is on the target: a mirror that keeps order has copied all
        before it, so what differs now stays different."""
        keys, a, at, b, _ = self._joined()
        if not len(keys):
            return True
        newest = int(np.argmax(at))
        return bool(at[newest] < 0 or (a[newest] == b[newest] and a[newest] != 0))

    def proof(self, source_end: int, target_end: int) -> PartitionProof:
        from kafkaops.verify import kernel

        keys, values, _ = self.latest[SOURCE].sorted()
        live = values != 0
        mixed = np.empty(2 * int(live.sum()), np.uint64)
        mixed[0::2], mixed[1::2] = keys[live], values[live]
        blocks = np.empty(len(mixed) // kernel.BLOCK + 1, np.uint64)
        digest = int(kernel.chain(np.uint64(0), 0, mixed, blocks))
        return PartitionProof(
            self.tp,
            int(live.sum()),
            f"{digest:016x}",
            self.sides[SOURCE].start,
            source_end,
            self.sides[TARGET].start,
            target_end,
            compacted=True,
        )

    def translate(self, offset: int, *, back: bool = False) -> int:
        here, there = (TARGET, SOURCE) if back else (SOURCE, TARGET)
        pairs = self._pairs()
        if offset >= self.sides[here].position:
            return self.sides[there].position
        mine, other = pairs[here], pairs[there]
        order = np.argsort(mine, kind="stable")
        at = int(np.searchsorted(mine[order], offset, side="left")) - 1
        if at < 0:
            return self.sides[there].start
        return int(other[order[: at + 1]].max()) + 1

    def _pairs(self) -> Any:
        """(source offsets, target offsets) of keys whose latest record is on both."""
        key = (self.seen[SOURCE], self.seen[TARGET])
        if self._anchors is None or self._anchors[0] != key:
            _, a, at, b, there = self._joined()
            both = (at >= 0) & (there >= 0) & (a == b)
            self._anchors = (key, (at[both], there[both]))
        return self._anchors[1]
