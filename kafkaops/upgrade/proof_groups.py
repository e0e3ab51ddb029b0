"""What a move did to the positions of consumer groups: skipped, replayed, and what nobody knows.

Pure. Invariant: a figure that no fact holds is None, never zero, and so is every sum with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNSET = "read without a commit: auto.offset.reset decides"

UNKNOWN = (
    "not known, for the group had no commit there or none was read back: with"
    " auto.offset.reset=latest it misses what it had not read yet, with earliest it reads all again"
)
"""What a line that is not `known` means for an operator."""
SHOWN = 5


@dataclass(frozen=True)
class PositionLine:
    """One partition of one group: where it stood, where it stands. `skipped` is what the move
    skips: records between the exact position and the one that the target showed after the commit.
    `replayed` is what the group may see again at the most: received and not committed at the
    fence (0 for a group without members there), and what the target's position lies short of the
    exact one. `expired` is what its commit had already lost to retention. In records; None where
    it cannot be known, as where the group read without a commit: `source` and `target` are None
    then too, and its own reset policy decides."""

    group: str
    topic: str
    partition: int
    source: int | None
    target: int | None
    skipped: int | None = None
    replayed: int | None = None
    expired: int | None = None
    note: str = ""

    @property
    def known(self) -> bool:
        return self.skipped is not None and self.replayed is not None


def positions_of(groups: Sequence[Mapping[str, Any]]) -> tuple[PositionLine, ...]:
    """The `groups` fact, as `cutover.positions.to_json` writes it."""
    lines = []
    for group in groups:
        name, members = str(group["group"]), bool(group.get("members"))
        lines += [_line(name, members, row) for row in group["positions"]]
        for unset in group.get("unset") or ():
            topic, _, number = str(unset).rpartition("-")
            lines.append(PositionLine(name, topic, int(number), None, None, note=UNSET))
    return tuple(sorted(lines, key=lambda p: (p.group, p.topic, p.partition)))


def _line(group: str, members: bool, row: Mapping[str, Any]) -> PositionLine:
    kept, repeated = row.get("kept"), row.get("repeated")
    uncommitted = int(row["unread"]) if members else 0
    return PositionLine(
        group=group,
        topic=str(row["topic"]),
        partition=int(row["partition"]),
        source=int(row["committed"]),
        target=int(row["target"] if kept is None else kept),
        skipped=row.get("skipped"),
        replayed=None if repeated is None else uncommitted + int(repeated),
        expired=int(row.get("expired", 0)),
        note="" if members else "no members at the fence",
    )


def in_all(figures: Sequence[int | None]) -> int | None:
    """Their sum; None as soon as one of them is not known."""
    known = [f for f in figures if f is not None]
    return sum(known) if len(known) == len(figures) else None


def unknown(positions: Sequence[PositionLine]) -> tuple[str, ...]:
    """Group and partition of each line whose figures cannot be known."""
    return tuple(f"{p.group} {p.topic}-{p.partition}" for p in positions if not p.known)


def words(positions: Sequence[PositionLine]) -> str:
    """What the groups skip and may see again, in one line for people."""
    known = [p for p in positions if p.known]
    left = unknown(positions)
    if left and not known:
        told = "groups skipped -, may see - again"
    else:
        skipped = sum(p.skipped or 0 for p in known)
        replayed = sum(p.replayed or 0 for p in known)
        told = f"groups skipped {skipped:,}, may see {replayed:,} again"
    if not left:
        return told
    more = f" and {len(left) - SHOWN:,} more" if len(left) > SHOWN else ""
    return f"{told}; not among it, for it cannot be known: {', '.join(left[:SHOWN])}{more}"
