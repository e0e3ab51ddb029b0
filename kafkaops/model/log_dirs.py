"""What the log directories of brokers hold, and have room for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kafkaops.model.cluster import LogDir
from kafkaops.model.partition import TopicPartition

Dirs = Mapping[int, tuple[LogDir, ...]]


def largest(dirs: Dirs) -> dict[TopicPartition, int]:
    """The bytes of each partition's largest replica: a follower may lag, a leader may not have
    deleted yet what a follower has."""
    found: dict[TopicPartition, int] = {}
    for of_broker in dirs.values():
        for one in of_broker:
            for tp, size in one.replicas.items():
                if size > found.get(tp, -1):
                    found[tp] = size
    return dict(sorted(found.items()))


def usable(of_broker: Collection[LogDir]) -> int | None:
    """Free bytes over a broker's directories, those that get no new replica (they failed, or are
    cordoned) left out; None where it does not tell (before KIP-827)."""
    told = [d.usable for d in of_broker if d.usable >= 0 and not d.error and not d.cordoned]
    return sum(told) if told else None
