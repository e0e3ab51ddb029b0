"""May the next wave begin now? Asked of fresh metadata before each one. Pure.

A reassignment takes no replica away before all that it leaves are in sync, the old ones as much as
the new: one that stays and lags would hold it up for good. What it costs is load, so whoever
catches up elsewhere is waited for, unless the plan takes that very replica away; and a disk must
not fill. A broker that was down when the plan was made is not waited for: to move its replicas may
be the cure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kafkaops.engine.step import Blocked
from kafkaops.model.cluster import LogDir
from kafkaops.model.log_dirs import usable
from kafkaops.model.min_isr import NAME as MIN_ISR
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.placement.applying import rates
from kafkaops.placement.applying.standing import Stand, partitions, stands, strangeness
from kafkaops.placement.moves import Move

SHOWN = 5
Removed = Mapping[TopicPartition, Collection[int]]
NOTHING: Removed = {}


@dataclass(frozen=True)
class Seen:
    """What was read, in this order: `moving`, then `topics` (all of them; those of the wave with
    their configs), who is `up`, and the log directories of the brokers that receive."""

    moving: Mapping[TopicPartition, Reassignment]
    topics: Mapping[str, Topic]
    up: Collection[int]
    dirs: Mapping[int, tuple[LogDir, ...]] = field(default_factory=dict)


def judge(
    moves: Sequence[Move],
    seen: Seen,
    *,
    removed: Removed = NOTHING,
    down: Collection[int] = (),
    reserve: int = 0,
) -> Blocked | None:
    """The first reason not to begin; what waiting cannot cure comes first. `removed` are the
    replicas that any wave of the plan takes away, `down` the brokers that were down when it was
    made, `reserve` bytes stay free on every disk."""
    reasons = sorted(_reasons(moves, seen, removed, set(down), reserve), key=lambda b: b.transient)
    return reasons[0] if reasons else None


def _reasons(
    moves: Sequence[Move], seen: Seen, removed: Removed, down: set[int], reserve: int
) -> Iterator[Blocked]:
    standing = stands(moves, seen.topics, seen.moving)
    found = partitions(seen.topics)
    odd = [m for m in moves if standing[m.tp] is Stand.STRANGE]
    if odd:
        told = [strangeness(m, found.get(m.tp), seen.moving.get(m.tp)) for m in odd[:SHOWN]]
        yield Blocked(
            "KO-PLACEMENT-FOREIGN",
            f"somebody else moves {len(odd)} of these partitions: {'; '.join(told)}",
            "let it end, or call it off with what began it; then kafkaops placement cancel, and"
            " apply anew: it plans from what is there",
            transient=False,
        )
    left = [m for m in moves if standing[m.tp] is Stand.BEFORE]
    yield from _brokers(left, seen)
    yield from _in_sync(left, found)
    yield from _others({m.tp for m in moves}, seen, removed, down)
    yield from _disks(left, seen, reserve)


def _brokers(left: Sequence[Move], seen: Seen) -> Iterator[Blocked]:
    away = sorted({b for m in left for b in m.adding} - set(seen.up))
    if away:
        yield Blocked(
            "KO-PLACEMENT-BROKER-DOWN",
            f"broker {', '.join(map(str, away))} is to receive replicas and is not up",
            "bring it up; it goes on by itself then",
        )


def _in_sync(left: Sequence[Move], found: Mapping[TopicPartition, Partition]) -> Iterator[Blocked]:
    offline: list[str] = []
    late: list[str] = []
    for move in left:
        part = found[move.tp]
        if part.leader < 0:
            offline.append(str(move.tp))
            continue
        behind = (set(part.replicas) & set(move.after)) - set(part.isr)
        if behind and (move.adding or move.removing):
            late.append(f"{move.tp} on broker {', '.join(map(str, sorted(behind)))}")
    if offline:
        yield Blocked(
            "KO-PLACEMENT-OFFLINE",
            f"without a leader, nothing can be copied: {_some(offline)}",
            "bring its brokers up: kafkaops cluster health",
        )
    if late:
        yield Blocked(
            "KO-PLACEMENT-ISR",
            "Kafka ends a move only when every replica that stays is in sync, and these lag:"
            f" {_some(late)}",
            "it goes on by itself when they are in sync: kafkaops cluster health",
        )


def _others(
    mine: Collection[TopicPartition], seen: Seen, removed: Removed, down: set[int]
) -> Iterator[Blocked]:
    """Partitions that nobody moves now, and whose replicas lag: those of a broker that is back, or
    that died since the plan was made."""
    passed = down - set(seen.up)
    lagging = [
        f"{p.tp} lacks {late}"
        for topic in seen.topics.values()
        for p in topic.partitions
        if p.tp not in mine and p.tp not in seen.moving
        if (late := sorted(set(p.replicas) - set(p.isr) - passed - set(removed.get(p.tp, ()))))
    ]
    if lagging:
        yield Blocked(
            "KO-PLACEMENT-UNDER-REPLICATED",
            f"{len(lagging)} other partitions are under-replicated, more load would not help:"
            f" {_some(lagging)}",
            "it goes on by itself when they are in sync",
        )


def _disks(left: Sequence[Move], seen: Seen, reserve: int) -> Iterator[Blocked]:
    needs: dict[int, int] = {}
    for move in left:
        for broker in move.adding:
            needs[broker] = needs.get(broker, 0) + move.bytes
    for broker, need in sorted(needs.items()):
        free = usable(seen.dirs.get(broker, ()))
        if free is not None and need + reserve > free:
            yield Blocked(
                "KO-PLACEMENT-DISK",
                f"broker {broker} is to receive {rates.words(need)} and has"
                f" {rates.words(free)} free, of which {rates.words(reserve)} must stay so",
                "make room on it, or cancel: kafkaops placement cancel",
            )


def minimum(topic: Topic, part: Partition) -> int:
    """How many must be in sync for acks=all, as far as the topic's configs tell; else 1."""
    text = topic.config.values.get(MIN_ISR) or "1"
    return min(int(text) if text.isdecimal() else 1, len(part.replicas))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (
        f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    )
