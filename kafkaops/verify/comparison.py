"""All partitions of two clusters, compared: what to fetch next, and what is known so far.

Invariant: a chunk is taken only where its partition stands (`Chunk.start` is the position), so
answers may come late, twice or not at all. One lock a partition; any thread may call.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kafkaops.engine.clock import Clock
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.log_reader import Chunk
from kafkaops.ports.verification import Difference
from kafkaops.verify.codecs import DataFault
from kafkaops.verify.compacted import Compacted
from kafkaops.verify.records import visible
from kafkaops.verify.sequence import QUIET, Sequence
from kafkaops.verify.side import SIDES, SOURCE, TARGET

Part = Sequence | Compacted

AHEAD = 4_000_000  # records of one side, over all partitions, that may wait for the other
UNANCHORED = 16  # times that, while the first common record is looked for
SHARE = (16_384, 262_144)  # the least and the most of it that one partition gets


@dataclass
class _Slot:
    part: Part
    lock: threading.Lock = field(default_factory=threading.Lock)
    limit: int | None = None  # source records from here on wait
    fault: str = ""


class Comparison:
    """`share` bounds how many records of one partition may wait for the other side."""

    def __init__(self, clock: Clock, *, share: tuple[int, int] = SHARE) -> None:
        self._clock, self._share = clock, share
        self._slots: dict[TopicPartition, _Slot] = {}
        self._changed = threading.Lock()

    # -- partitions ----------------------------------------------------------

    def cover(self, part: Part) -> None:
        """Compare this partition from now on; one that is covered already stays as it is."""
        with self._changed:
            if part.tp not in self._slots:
                self._slots = {**self._slots, part.tp: _Slot(part)}

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """No longer compare these: their topic is gone."""
        with self._changed:
            gone = set(partitions)
            self._slots = {tp: slot for tp, slot in self._slots.items() if tp not in gone}

    @property
    def covered(self) -> frozenset[TopicPartition]:
        return frozenset(self._slots)

    def part(self, tp: TopicPartition) -> Part | None:
        slot = self._slots.get(tp)
        return slot.part if slot else None

    # -- reading -------------------------------------------------------------

    def wanted(self, side: int) -> dict[TopicPartition, int]:
        """Where to fetch next, for every partition that has room for more."""
        slots = self._slots
        least, most = self._share
        room = min(max(AHEAD // max(1, len(slots)), least), most)
        return {
            tp: slot.part.sides[side].position
            for tp, slot in slots.items()
            if not slot.part.stopped
            and slot.part.sides[side].pending < room * (1 if slot.part.anchored else UNANCHORED)
        }

    def accept(self, side: int, chunk: Chunk) -> int:
        """Take what was fetched; the number of new visible records."""
        slot = self._slots.get(chunk.tp)
        if slot is None or slot.part.stopped:
            return 0
        here = slot.part.sides[side]
        if here.position != chunk.start:
            return 0
        now = self._clock.monotonic()
        if chunk.lost:
            with slot.lock:
                slot.part.lost(side, chunk.ends.start, chunk.ends.high_watermark)
            return 0
        try:
            found = visible(chunk.data, chunk.start, chunk.aborted, keys=slot.part.compacted)
        except DataFault as fault:
            slot.fault = f"{chunk.tp} on the {SIDES[side]}: {fault}"
            slot.part.stopped = slot.fault
            return 0
        with slot.lock:
            slot.part.add(side, found, now)
            here.learn(chunk.ends)
            if not len(found.offsets) and here.at_end:
                here.confirmed = now
            slot.part.compare(slot.limit)
        return len(found.offsets)

    # -- judging -------------------------------------------------------------

    def judge_quiet(self) -> None:
        """Decide what is pending where nothing has come for a while although both were asked:
        alone, a record on the target that the source does not have would wait for ever."""
        for slot in self._slots.values():
            source, target = slot.part.sides
            if not target.pending or slot.part.stopped:
                continue
            with slot.lock:
                newest = max(source.grown, target.grown)
                quiet = all(s.at_end and s.confirmed >= newest + QUIET for s in slot.part.sides)
                if quiet:
                    slot.part.judge(source_whole=True, target_whole=True, limit=slot.limit)

    def judge(self, tp: TopicPartition, *, target_whole: bool, complete: bool) -> None:
        """Decide now: the source gets nothing more (before the limit), the target perhaps."""
        slot = self._slots[tp]
        with slot.lock:
            slot.part.judge(
                source_whole=True, target_whole=target_whole, complete=complete, limit=slot.limit
            )

    def limit(self, ends: Mapping[TopicPartition, int] | None) -> None:
        """Compare source records before these offsets only; None lifts all limits."""
        for tp, slot in self._slots.items():
            with slot.lock:
                slot.limit = None if ends is None else ends.get(tp)
                slot.part.compare(slot.limit)

    # -- what is known -------------------------------------------------------

    @property
    def records(self) -> int:
        return sum(slot.part.records for slot in self._slots.values())

    @property
    def behind(self) -> int:
        return sum(slot.part.behind for slot in self._slots.values())

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(slot.fault for slot in self._slots.values() if slot.fault)

    def differences(
        self, partitions: Collection[TopicPartition] | None = None
    ) -> tuple[Difference, ...]:
        chosen = sorted(self._slots if partitions is None else set(partitions) & set(self._slots))
        found: list[Difference] = []
        for tp in chosen:
            slot = self._slots[tp]
            if slot.part.differences:
                with slot.lock:
                    found.extend(slot.part.differences)
        return tuple(found)

    def locked(self, tp: TopicPartition) -> threading.Lock:
        """The partition's lock, for a reader that needs several values at one moment."""
        return self._slots[tp].lock


__all__ = ["SOURCE", "TARGET", "Comparison", "Part"]
