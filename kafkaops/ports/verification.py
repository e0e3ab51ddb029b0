"""The verification that runs beside a migration: both logs read, hashed, compared, mapped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kafkaops.model.partition import TopicPartition


@dataclass(frozen=True)
class Difference:
    """One found difference. `kind`: altered, missing, extra, reordered, gap (source records
    expired before they were read). Offsets are -1 where that side has no record."""

    tp: TopicPartition
    kind: str
    source_offset: int
    target_offset: int
    detail: str = ""


@dataclass(frozen=True)
class PartitionProof:
    """What was proven of one partition: every visible record of the source in
    [source_start, source_end) equals, in order, the target's in [target_start, target_end).
    `digest` is the rolling hash in hex; for compacted topics it is over latest-per-key."""

    tp: TopicPartition
    records: int
    digest: str
    source_start: int
    source_end: int
    target_start: int
    target_end: int
    compacted: bool = False


@dataclass(frozen=True)
class VerifyStatus:
    """`behind` counts source offsets known but not yet compared; `rate` is records/s a side."""

    partitions: int
    records: int
    behind: int
    rate: float
    differences: tuple[Difference, ...] = ()
    error: str = ""
    proofs: Mapping[TopicPartition, PartitionProof] = field(default_factory=dict)


class Verification(Protocol):
    """Verifies source -> target. Runs in the background between `start` and `stop`,
    checkpointed, so that a new process goes on where the last one was."""

    def start(self) -> None:
        """Idempotent; loads the checkpoint."""

    def status(self) -> VerifyStatus: ...

    def seal(
        self, ends: Mapping[TopicPartition, int], *, timeout: float
    ) -> Mapping[TopicPartition, PartitionProof]:
        """Verify up to these source LSOs exactly, with nothing beyond on the target. Raises
        Mismatch (differences named) or TimedOut (which partitions are behind)."""

    def translate(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Exact target offsets for source offsets: the target offset of the first visible record
        at or after the source offset, or the target's end where there is none."""

    def translate_back(
        self, positions: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        """The inverse: source offsets for target offsets."""

    def pin(self, partitions: Collection[TopicPartition]) -> None:
        """Also cover partitions created since the start."""

    def stop(self) -> None: ...
