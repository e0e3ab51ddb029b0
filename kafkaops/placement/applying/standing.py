"""Where a partition stands on its way: not begun, moving, there, or moved by somebody else. Pure.

Two tell of it, and never at the same moment: the controller of what is on its way, a broker of the
replicas. Invariant: what the two say together is read so that a late broker never looks like
somebody else's move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.placement.moves import Move


class Stand(Enum):
    BEFORE = "before"  # the right brokers to begin from; the order may still be another
    MOVING = "moving"  # to where we send it
    SETTLING = "settling"  # it has ended, and the broker that was asked does not know yet
    THERE = "there"
    GONE = "gone"  # the topic was deleted: there is nothing to move
    STRANGE = "strange"  # somebody else moves it, or has


def stand(move: Move, found: Partition | None, moving: Reassignment | None) -> Stand:
    if found is None and moving is None:
        return Stand.GONE
    if moving is not None:
        return Stand.MOVING if moving.target == move.after else Stand.STRANGE
    assert found is not None
    if found.replicas == move.after:
        return Stand.THERE
    held, before, after = set(found.replicas), set(move.before), set(move.after)
    if held in (before, after):
        return Stand.BEFORE
    return Stand.SETTLING if held == before | after else Stand.STRANGE


def stands(
    moves: Iterable[Move],
    topics: Mapping[str, Topic],
    moving: Mapping[TopicPartition, Reassignment],
) -> dict[TopicPartition, Stand]:
    """`moving` must have been read before `topics`: what ended in between then looks settled."""
    found = partitions(topics)
    return {m.tp: stand(m, found.get(m.tp), moving.get(m.tp)) for m in moves}


def partitions(topics: Mapping[str, Topic]) -> dict[TopicPartition, Partition]:
    return {p.tp: p for topic in topics.values() for p in topic.partitions}


def strangeness(move: Move, found: Partition | None, moving: Reassignment | None) -> str:
    """What somebody else made of it, in words."""
    if moving is not None:
        return f"{move.tp} is on its way to {list(moving.target)}, not {list(move.after)}"
    held = list(found.replicas) if found is not None else []
    return f"{move.tp} is on {held}, neither {list(move.before)} nor {list(move.after)}"
