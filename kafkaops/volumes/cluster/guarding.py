"""Whether a node's disk may be made anew: what only it still holds would be gone. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kafkaops.engine.step import Blocked
from kafkaops.model.partition import Topic, TopicPartition


def alone(topics: Iterable[Topic], node: int) -> tuple[TopicPartition, ...]:
    """Partitions whose only in-sync replica is this node; a partition without any in-sync replica
    that the node leads or could, too: an unclean election would take it from there."""
    return tuple(
        sorted(
            p.tp
            for topic in topics
            for p in topic.partitions
            if tuple(p.isr) == (node,) or (not p.isr and node in p.replicas)
        )
    )


def blocked(topics: Iterable[Topic], node: int) -> Blocked | None:
    only = alone(topics, node)
    if not only:
        return None
    some = ", ".join(map(str, only[:5])) + (f" and {len(only) - 5} more" if len(only) > 5 else "")
    return Blocked(
        "KO-VOLUME-LAST-REPLICA",
        f"node {node} is the only in-sync replica of {some}: what is on its disks is all there is",
        "bring its disk back, or move those partitions off it first (kafkaops placement)",
    )
