"""A broker that was restarted for a move: is it back?

Invariant: it is asked itself. For up to a second after a stop the others' metadata still tells of
the time before, when it was up and in sync with everything; whoever believed it would restart the
next one too early.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.model.health import under_replicated
from kafkaops.model.partition import Topic
from kafkaops.ports.cluster import Cluster


def thin(topics: Mapping[str, Topic]) -> list[str]:
    """Partitions that lack a replica in sync, by name."""
    parts = (p for topic in topics.values() for p in topic.partitions)
    return [str(p.tp) for p in parts if under_replicated(p)]


def is_back(cluster: Cluster, node: int) -> bool:
    """Whether the broker serves and no partition of the cluster lacks a replica in sync."""
    told = cluster.told_by(node)
    return told is not None and not thin(told.topics)
