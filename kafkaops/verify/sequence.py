"""The comparison of one ordinary partition: equal sequences of visible records, in step.

Invariant: a record leaves `pending` only compared, with its pair in the map and its hash in
the digest, or as part of a segment that is reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kafkaops.model.partition import TopicPartition
from kafkaops.ports.verification import Difference, PartitionProof
from kafkaops.verify import alignment
from kafkaops.verify.alignment import Half, Segment
from kafkaops.verify.offset_map import OffsetMap
from kafkaops.verify.records import Visible
from kafkaops.verify.side import SOURCE, TARGET, Side

MOST = 2000  # differing records of one partition; then it is not compared further
QUIET = 1.5  # seconds without news after which what is there is judged


class Sequence:
    """`source_start` and `target_start` are the offsets that comparing begins at. `exact` says
    that they are known to hold the same record; else they are the two logs' starts, and where
    retention has cut one of them the other may hold older records, which are passed over."""

    compacted = False

    def __init__(
        self, tp: TopicPartition, source_start: int, target_start: int, *, exact: bool = True
    ) -> None:
        self.tp = tp
        self.exact = exact
        self.anchored = exact or source_start == target_start == 0
        self.sides = (Side(source_start, source_start), Side(target_start, target_start))
        self.map = OffsetMap()
        self.records = 0
        self.digest = np.uint64(0)
        self.blocks: list[tuple[int, int]] = []  # (source offset after the block, digest)
        self.segments: list[Segment] = []
        self.gaps: tuple[Difference, ...] = ()
        self.stopped = ""  # why this partition is not compared further
        self._named: tuple[int, tuple[Difference, ...]] = (0, ())

    # -- reading -------------------------------------------------------------

    def add(self, side: int, found: Visible, now: float) -> None:
        """Records that were fetched from `sides[side].position`; `now` is monotonic seconds."""
        here = self.sides[side]
        here.position = found.next_offset
        if len(found.offsets):
            here.grown = now
            here.push(found.offsets, found.hashes)

    def lost(self, side: int, log_start: int, log_end: int) -> None:
        """The log does not hold the position any more: nothing further can be proven."""
        here = self.sides[side]
        at = here.position
        untouched = not self.exact and here.newest < 0
        if untouched and log_start > at:  # retention was quicker: what is there now is compared
            here.restart(log_start)
            self.anchored = False
            return
        why = (
            f"the log starts at {log_start}: records expired before they were read"
            if log_start > at
            else f"the log ends at {log_end}: records that were there are gone"
        )
        source, target = (at, -1) if side == SOURCE else (-1, at)
        self.gaps = (*self.gaps, Difference(self.tp, "gap", source, target, why))
        self.stopped = why
        here.forget()
        self.sides[1 - side].forget()

    # -- comparing -----------------------------------------------------------

    def compare(self, limit: int | None = None) -> None:
        """Compare as far as both sides reach; source records at or after `limit` wait."""
        source, target = self.sides
        while source.pending and target.pending and not self.stopped:
            offsets, hashes = source.head()
            there, others = target.head()
            count = min(len(hashes), len(others))
            if limit is not None and offsets[count - 1] >= limit:
                count = int(np.searchsorted(offsets[:count], limit))
            same = _same(hashes[:count], others[:count])
            if same:
                self.anchored = True
                self._accept(offsets[:same], hashes[:same], there[:same])
            if same < count:
                if not self._realign(limit, source_whole=False, target_whole=False):
                    return
            elif not same:
                return

    def judge(
        self,
        *,
        source_whole: bool,
        target_whole: bool,
        complete: bool = False,
        limit: int | None = None,
    ) -> None:
        """Decide what is pending where no more will come: a whole side gets nothing more.
        `complete` also makes records that the target does not have missing, not late."""
        self.compare(limit)
        source, target = self.sides
        while not self.stopped and self._realign(
            limit, source_whole=source_whole, target_whole=target_whole
        ):
            self.compare(limit)
        if self.stopped or not (source.pending or target.pending):
            return
        late = complete and not target.pending
        stray = source_whole and not source.pending
        if late or stray:
            self._pass(self._until(limit) if late else 0, target.pending if stray else 0)

    def _until(self, limit: int | None) -> int:
        """How many pending source records come before `limit`."""
        offsets, _ = self.sides[SOURCE].joined()
        return len(offsets) if limit is None else int(np.searchsorted(offsets, limit))

    def _accept(self, source: Any, hashes: Any, target: Any) -> None:
        from kafkaops.verify import kernel

        count = len(hashes)
        blocks = np.empty(count // kernel.BLOCK + 1, np.uint64)
        self.digest = np.uint64(kernel.chain(self.digest, self.records, hashes, blocks))
        first = kernel.BLOCK - self.records % kernel.BLOCK
        for index, at in enumerate(range(first, count + 1, kernel.BLOCK)):
            self.blocks.append((int(source[at - 1]) + 1, int(blocks[index])))
        self.records += count
        self.map.append(source, target)
        self.sides[SOURCE].pop(count)
        self.sides[TARGET].pop(count)

    def _anchor(self, hashes: Any, others: Any, source_whole: bool, target_whole: bool) -> bool:
        """Find the first record that both have, passing over what retention took on one side."""
        met = alignment.meet(hashes, others, source_whole=source_whole, target_whole=target_whole)
        if met is None and not (source_whole and target_whole):
            return False
        self.anchored = True
        # A side that was never cut lacks nothing: what the other has before it is a difference.
        cut = [side.start > 0 for side in reversed(self.sides)]
        for side, other_cut, count in zip(self.sides, cut, met or (0, 0), strict=True):
            if count and other_cut:
                side.joined()
                side.pop(count)
                side.start = side.compared
        return True

    def _realign(self, limit: int | None, *, source_whole: bool, target_whole: bool) -> bool:
        """Find where the sides meet again and pass what is between; False to wait for more."""
        source, target = self.sides
        end = self._until(limit)
        if not end or not target.pending:
            return False
        hashes = source.joined()[1][:end]
        others = target.joined()[1]
        if not self.anchored:
            return self._anchor(hashes, others, source_whole, target_whole)
        met = alignment.meet(hashes, others, source_whole=source_whole, target_whole=target_whole)
        if met is None and source_whole and target_whole:
            both = min(len(hashes), len(others))  # nothing agrees to the end: pair in place
            met = (both, both)
        if met is None:
            return False
        self._pass(*met)
        return True

    def _pass(self, source_count: int, target_count: int) -> None:
        """Put the first pending records of both sides aside as one segment."""
        halves: list[tuple[Half, ...]] = []
        for side, count in zip(self.sides, (source_count, target_count), strict=True):
            offsets, hashes = side.joined()
            halves.append(
                tuple(zip(offsets[:count].tolist(), hashes[:count].tolist(), strict=True))
            )
        both = min(source_count, target_count)
        if both:
            self.map.append(
                self.sides[SOURCE].joined()[0][:both], self.sides[TARGET].joined()[0][:both]
            )
        self.sides[SOURCE].pop(source_count)
        self.sides[TARGET].pop(target_count)
        self.segments.append(
            Segment(halves[0], halves[1], self.sides[SOURCE].compared, self.sides[TARGET].compared)
        )
        if sum(len(s.source) + len(s.target) for s in self.segments) > MOST:
            self.stopped = f"more than {MOST} records differ"

    # -- what is known -------------------------------------------------------

    @property
    def differences(self) -> tuple[Difference, ...]:
        if self._named[0] != len(self.segments):
            self._named = (len(self.segments), alignment.differences(self.tp, self.segments))
        return (*self.gaps, *self._named[1])

    @property
    def behind(self) -> int:
        """Source offsets that are known and not yet compared."""
        if self.stopped:
            return 0
        source = self.sides[SOURCE]
        return max(0, source.stable - source.compared)

    def settled(self, end: int) -> bool:
        """Everything on the source before `end` is compared, and nothing is left over."""
        source, target = self.sides
        return source.compared >= end and not target.pending

    def proof(self, source_end: int, target_end: int) -> PartitionProof:
        return PartitionProof(
            self.tp,
            self.records,
            f"{int(self.digest):016x}",
            self.sides[SOURCE].start,
            source_end,
            self.sides[TARGET].start,
            target_end,
        )

    def translate(self, offset: int, *, back: bool = False) -> int:
        found = self.map.translate(offset, back=back)
        return self.sides[SOURCE if back else TARGET].compared if found is None else found


def _same(a: Any, b: Any) -> int:
    from kafkaops.verify import kernel

    return int(kernel.first_difference(a, b)) if len(a) else 0
