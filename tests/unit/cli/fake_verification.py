"""A comparison that finds what a test plants, and whose map shifts offsets by a constant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kafkaops.engine.errors import Mismatch, TimedOut
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.verification import Difference, PartitionProof, VerifyStatus

SHIFT = 100


@dataclass
class FakeVerification:
    """`differences` are found at once, or with the look `late` at it; `at_seal` only when the
    ends are known."""

    differences: tuple[Difference, ...] = ()
    at_seal: tuple[Difference, ...] = ()
    late: int = 0
    looks: int = 0
    error: str = ""
    behind: int = 0
    started: int = 0
    stopped: int = 0
    sealed: int = 0
    pinned: set[TopicPartition] = field(default_factory=set)

    def start(self) -> None:
        self.started += 1

    def status(self) -> VerifyStatus:
        self.looks += 1
        found = self.differences if self.looks >= self.late else ()
        return VerifyStatus(1, 7, self.behind, 10.0, found, self.error)

    def seal(
        self, ends: Mapping[TopicPartition, int], *, timeout: float
    ) -> Mapping[TopicPartition, PartitionProof]:
        self.sealed += 1
        if self.behind:
            raise TimedOut("KO-VERIFY-BEHIND", "t-3 at source offset 5 of 8")
        self.differences = self.differences or self.at_seal
        if self.differences:
            raise Mismatch("KO-VERIFY-DIFFERS", "they differ")
        return {
            tp: PartitionProof(tp, end, "ab", 0, end, 0, end + SHIFT) for tp, end in ends.items()
        }

    def translate(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        assert not self.started or set(positions) <= self.pinned
        return {tp: offset + SHIFT for tp, offset in positions.items()}

    def translate_back(
        self, positions: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        return {tp: offset - SHIFT for tp, offset in positions.items()}

    def pin(self, partitions: Collection[TopicPartition]) -> None:
        self.pinned |= set(partitions)

    def stop(self) -> None:
        self.stopped += 1
