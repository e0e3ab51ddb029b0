"""Exact positions of consumer groups, carried from the fenced cluster to the other.

A committed offset is translated to the target offset of the first visible record at or after
it: nothing is skipped, nothing committed comes again. What a consumer had received but not
committed when the fence fell comes again on the target; a cluster cannot know how much that
was, only that it is at most the records between the commit and the end. What a group skips is
counted from the position that the target shows after the commit, not taken for granted.
Invariant: every commit is read back; a group that could not be committed fails the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.model.cluster import Group
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.verification import Verification

AT_ONCE = 16
REHEARSAL = "kafkaops-rehearsal"
SCRATCH = tuple(f"{REHEARSAL}-{number}" for number in range(100))
"""Names for groups of a rehearsal: their hashes fall to every partition of __consumer_offsets."""


@dataclass(frozen=True)
class Position:
    """One partition of one group. `committed` is the source offset, `target` its translation,
    `expired` how far the commit lies before the source's log start (lost to this group before
    we came), `unread` the offsets after the commit at the fence: what is left to consume, and
    the bound of what can be replayed. `kept` is what the target showed after the commit; visible
    records between it and `target` are `skipped` where it lies higher, `repeated` where it lies
    lower. These three are None where they are not known, as before a commit."""

    tp: TopicPartition
    committed: int
    target: int
    expired: int
    unread: int
    kept: int | None = None
    skipped: int | None = None
    repeated: int | None = None


@dataclass(frozen=True)
class GroupPositions:
    """All positions of one group. `left_out` are commits on partitions that are not carried;
    `unset` are partitions being consumed that hold records but no commit: on the target the
    consumer's own reset policy decides, so `latest` may miss what is written before it joins."""

    group: str
    kind: str
    members: int
    positions: tuple[Position, ...]
    left_out: tuple[TopicPartition, ...] = ()
    unset: tuple[TopicPartition, ...] = ()


def plan(
    groups: Sequence[Group],
    ends: Mapping[TopicPartition, Sequence[int]],
    verification: Verification,
) -> tuple[GroupPositions, ...]:
    """Translate every committed offset. `ends` are the fenced source's [log start, high watermark,
    LSO] per carried partition. Partitions without a commit are left out, except those that are
    being consumed and hold nothing: whatever the reset policy, that consumer stands at the end.
    What a rehearsal left, where groups may not be deleted, is carried nowhere.
    StepFailed when a commit lies beyond the end of its partition."""
    found: list[GroupPositions] = []
    for group in sorted(groups, key=lambda g: g.id):
        if group.id.startswith(REHEARSAL) or not (group.offsets or group.members):
            continue
        mine = {tp: o for tp, o in group.offsets.items() if tp in ends and o >= 0}
        _refuse_beyond(group.id, mine, ends)
        assigned = {tp for member in group.members for tp in member.assignment if tp in ends}
        empty = {tp for tp in assigned - mine.keys() if int(ends[tp][0]) == int(ends[tp][1])}
        mine |= {tp: int(ends[tp][1]) for tp in empty}
        clipped = {tp: max(offset, int(ends[tp][0])) for tp, offset in mine.items()}
        translated = verification.translate(clipped) if clipped else {}
        missing = sorted(str(tp) for tp in clipped if tp not in translated)
        if missing:
            raise StepFailed(
                "KO-POSITION-UNKNOWN",
                f"no exact position for {missing[:5]} of group {group.id}",
                where=group.id,
            )
        found.append(
            GroupPositions(
                group.id,
                group.kind,
                len(group.members),
                tuple(
                    Position(
                        tp,
                        committed=mine[tp],
                        target=int(translated[tp]),
                        expired=clipped[tp] - mine[tp],
                        unread=max(0, int(ends[tp][2]) - clipped[tp]),
                    )
                    for tp in sorted(clipped)
                ),
                tuple(sorted(tp for tp in group.offsets if tp not in mine)),
                tuple(sorted(assigned - mine.keys())),
            )
        )
    return tuple(found)


def commit(plan: Sequence[GroupPositions], target: Cluster) -> tuple[GroupPositions, ...]:
    """Commit all groups at once; the port reads each commit back. The plan, with what was read
    back and what each group skips by it. Every group is tried before StepFailed names those that
    failed. KIP-848 groups must exist on the target by now (`seed`)."""
    work = [g for g in plan if g.positions]
    if not work:
        return tuple(plan)

    def one(group: GroupPositions) -> GroupPositions:
        kept = target.commit(group.group, {p.tp: p.target for p in group.positions})
        stands = tuple(_stands(p, kept.get(p.tp), target) for p in group.positions)
        return replace(group, positions=stands)

    with ThreadPoolExecutor(min(AT_ONCE, len(work))) as pool:
        futures = {g.group: pool.submit(one, g) for g in work}
    failed = {name: e for name, f in futures.items() if (e := f.exception()) is not None}
    strange = [e for e in failed.values() if not isinstance(e, OpsError)]
    if strange:
        raise strange[0]
    if failed:
        words = "; ".join(f"{name}: {error}" for name, error in sorted(failed.items()))
        raise StepFailed("KO-COMMIT", f"{len(failed)} groups were not committed: {words}")
    return tuple(futures[g.group].result() if g.group in futures else g for g in plan)


def _stands(position: Position, kept: int | None, target: Cluster) -> Position:
    """The position with what was read back, and the records between. Offsets are no records (a
    mirror's markers lie between them), so where the two differ the log is read."""
    if kept is None:
        return position
    low, high = sorted((position.target, kept))
    between: int | None = 0
    if low < high:
        try:
            found = target.consume(position.tp, low, high - low)
        except OpsError:
            return replace(position, kept=kept)  # where it stands is known, how much that is not
        between = sum(1 for at, _ in found if at < high)
    ahead = kept > position.target
    return replace(
        position, kept=kept, skipped=between if ahead else 0, repeated=0 if ahead else between
    )


def seed(groups: Sequence[Group], target: Cluster, present: Sequence[Group] = ()) -> list[str]:
    """Have every KIP-848 group exist on the target as one, else its Java clients die there
    (GroupIdNotFoundException); `present` are the target's groups. Done before the fence, for a
    join takes seconds. The groups seeded."""
    there = {g.id for g in present if g.kind == "consumer"}
    seeded = []
    for group in sorted(groups, key=lambda g: g.id):
        topics = sorted(
            {tp.topic for tp in group.offsets}
            | {tp.topic for member in group.members for tp in member.assignment}
        )
        if group.kind == "consumer" and group.id not in there and topics:
            target.seed_consumer_group(group.id, topics[0])
            seeded.append(group.id)
    return seeded


def rehearse(target: Cluster, tp: TopicPartition) -> None:
    """Commit a group of our own through every coordinator of the target, and delete them: a broker
    that cannot keep a commit is found before the fence, and none does it for the first time inside
    the pause (seen: 0.18 s instead of 0.07). `tp` is a partition that the target has."""
    place = (Position(tp, 0, 0, 0, 0),)
    one_each = {node: name for name, node in target.coordinators(SCRATCH).items()}
    try:
        commit([GroupPositions(n, "simple", 0, place) for n in one_each.values()], target)
    finally:
        forget_rehearsal(target)


def forget_rehearsal(target: Cluster) -> None:
    """No group of a rehearsal is left, whatever became of it. Without the right to delete groups
    they expire by themselves."""
    with suppress(OpsError):
        target.delete_groups(SCRATCH)


def to_json(plan: Sequence[GroupPositions]) -> list[dict[str, Any]]:
    """For facts, the proof bundle and `offsets translate`."""
    return [
        {
            "group": g.group,
            "kind": g.kind,
            "members": g.members,
            "expired": sum(p.expired for p in g.positions),
            "unread": sum(p.unread for p in g.positions),
            "positions": [
                {
                    "topic": p.tp.topic,
                    "partition": p.tp.partition,
                    "committed": p.committed,
                    "target": p.target,
                    "expired": p.expired,
                    "unread": p.unread,
                    "kept": p.kept,
                    "skipped": p.skipped,
                    "repeated": p.repeated,
                }
                for p in g.positions
            ],
            "left_out": [str(tp) for tp in g.left_out],
            "unset": [str(tp) for tp in g.unset],
        }
        for g in plan
    ]


def _refuse_beyond(
    group: str, mine: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, Sequence[int]]
) -> None:
    beyond = sorted(
        f"{tp}: committed {offset}, end {ends[tp][1]}"
        for tp, offset in mine.items()
        if offset > int(ends[tp][1])
    )
    if beyond:
        raise StepFailed(
            "KO-POSITION-BEYOND",
            f"group {group} has commits beyond the end: {'; '.join(beyond[:5])}",
            where=group,
            hint="the partition was truncated, or somebody committed by hand: set it right first",
        )
