"""Where two sequences of record hashes part, find where they meet again, and name what is
between: altered, missing, extra, reordered.

Invariant: pure; the same segments always give the same differences.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kafkaops.model.partition import TopicPartition
from kafkaops.ports.verification import Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

NEED = 16  # records that must agree before two places count as met
NEAR = 1024  # records (of both sides together) searched exhaustively
TRIES = 1000  # candidates tried farther away
LISTED = 32  # records of one missing or extra stretch named one by one

Half = tuple[int, int]  # (offset, hash)


@dataclass(frozen=True)
class Segment:
    """Records of both sides between two places where the sequences agree. `source_next` and
    `target_next` are the offsets that follow, -1 when not known yet."""

    source: tuple[Half, ...]
    target: tuple[Half, ...]
    source_next: int = -1
    target_next: int = -1


def meet(
    source: Hashes, target: Hashes, *, source_whole: bool, target_whole: bool
) -> tuple[int, int] | None:
    """How many records of each to pass so that the rest agrees for NEED records, the fewest in
    all; None where they do not meet. A `whole` side gets nothing more, so that an agreement to
    its end is enough."""
    from kafkaops.verify import kernel

    if not len(source) or not len(target):
        return None
    i, j = kernel.resync(source, target, NEAR, NEED, source_whole, target_whole)
    if i >= 0:
        return int(i), int(j)
    return _far(source, target, source_whole, target_whole)


def _far(
    source: Hashes, target: Hashes, source_whole: bool, target_whole: bool
) -> tuple[int, int] | None:
    order = np.argsort(target, kind="stable")
    in_order = target[order]
    places = np.searchsorted(in_order, source)
    places[places == len(target)] = 0
    hits = np.flatnonzero(in_order[places] == source)
    partners = order[places[hits]]
    for at in np.argsort(hits + partners, kind="stable")[:TRIES].tolist():
        i, j = int(hits[at]), int(partners[at])
        length = min(NEED, len(source) - i, len(target) - j)
        if not np.array_equal(source[i : i + length], target[j : j + length]):
            continue
        ended = (source_whole and i + length == len(source)) or (
            target_whole and j + length == len(target)
        )
        if length == NEED or ended:
            return i, j
    return None


def differences(tp: TopicPartition, segments: Sequence[Segment]) -> tuple[Difference, ...]:
    """Name what the segments hold. A record that left one place and stands at another is
    reordered; what is left is paired in place as altered, then missing or extra."""
    standing: dict[int, deque[int]] = {}
    for segment in segments:
        for offset, value in segment.target:
            standing.setdefault(value, deque()).append(offset)
    moved: dict[int, int] = {}  # source offset -> target offset of the same record
    for segment in segments:
        for offset, value in segment.source:
            if standing.get(value):
                moved[offset] = standing[value].popleft()
    arrived = set(moved.values())
    found = [
        Difference(tp, "reordered", a, b, "the same record, in another place")
        for a, b in moved.items()
    ]
    for segment in segments:
        source = [offset for offset, _ in segment.source if offset not in moved]
        target = [offset for offset, _ in segment.target if offset not in arrived]
        both = min(len(source), len(target))
        found += [
            Difference(tp, "altered", a, b, "timestamp, key, value or headers differ")
            for a, b in zip(source[:both], target[:both], strict=True)
        ]
        found += _alone(tp, "missing", source[both:], "the target", segment.target_next)
        found += _alone(tp, "extra", target[both:], "the source", segment.source_next)
    return tuple(sorted(found, key=lambda d: (max(d.source_offset, d.target_offset), d.kind)))


def _alone(
    tp: TopicPartition, kind: str, offsets: list[int], side: str, before: int
) -> list[Difference]:
    """Records that one side alone has; a long stretch is one difference."""
    where = f"not on {side}" + (f", expected before its offset {before}" if before >= 0 else "")
    groups = [[o] for o in offsets] if len(offsets) <= LISTED else [offsets]
    return [
        Difference(
            tp,
            kind,
            group[0] if kind == "missing" else -1,
            group[0] if kind == "extra" else -1,
            where if len(group) == 1 else f"{len(group)} records up to {group[-1]}: {where}",
        )
        for group in groups
    ]
