"""Whether a node's disk may be made anew, or erased: what only it has would be gone. Pure."""

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


def stays(topics: Iterable[Topic], node: int, *, voter: bool) -> Blocked | None:
    """Why a node has not left the cluster, whose disks therefore are not erased."""
    if voter:
        return Blocked(
            "KO-VOLUME-VOTES",
            f"node {node} has a vote in the metadata quorum, or may have one",
            "remove it from the quorum first (kafka-metadata-quorum.sh remove-controller)",
            transient=False,
        )
    held = sorted(p.tp for topic in topics for p in topic.partitions if node in p.replicas)
    if not held:
        return None
    return Blocked(
        "KO-VOLUME-HOLDS",
        f"node {node} holds {len(held)} replicas, as of {held[0]}",
        f"move them off it first: kafkaops placement plan --drain {node}",
        transient=False,
    )
