"""How many replicas must be in sync for acks=all: what the brokers really apply. Pure.

A topic's own setting holds; without one the leader's own value does, and every replica can come
to lead, so the highest among their brokers counts. With eligible leader replicas (KIP-966) the
cluster-wide value is the only one below the topic's. Whatever is set, the leader caps it at the
number of replicas (`Partition.effectiveMinIsr`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import Partition, Topic

NAME = "min.insync.replicas"
ELR = "eligible.leader.replicas.version"


class MinIsr:
    """The setting of each topic of one cluster."""

    def __init__(self, state: ClusterState) -> None:
        self._elr = state.features.get(ELR, 0) > 0
        read = ((b, _number(config)) for b, config in state.broker_config.items())
        self._brokers = {b: value for b, value in read if value is not None}

    def wanted(self, topic: Topic, replicas: Iterable[int]) -> int | None:
        """The setting before the cap, for a partition with these replicas; None where neither the
        topic's configs nor its brokers' were read."""
        own = _number(topic.config.values)
        if own is not None and (self._elr or topic.config.sources.get(NAME) == "topic"):
            return own
        known = [self._brokers[b] for b in replicas if b in self._brokers]
        if own is not None:
            known.append(own)
        return max(known, default=None)

    def fixed(self, topic: Topic) -> int | None:
        """The setting before the cap where every partition of the topic has the same, so that
        many are asked for once; None where it depends on the replicas, or was not read."""
        own = _number(topic.config.values)
        if self._elr or topic.config.sources.get(NAME) == "topic":
            return own
        return own if set(self._brokers.values()) <= {own} else None

    def applied(self, topic: Topic, partition: Partition) -> int | None:
        """What the leader demands: the setting, capped at the number of replicas."""
        wanted = self.wanted(topic, partition.replicas)
        return None if wanted is None else min(wanted, len(partition.replicas))


def _number(config: Mapping[str, str | None]) -> int | None:
    text = config.get(NAME) or ""
    return int(text) if text.isdecimal() else None
