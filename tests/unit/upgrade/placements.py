"""Clusters by their placement alone, and the rule of a batch written down a second time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kafkaops.model.cluster import Broker, ClusterState, Quorum
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition


def topic(
    name: str,
    replicas: Sequence[Sequence[int]],
    *,
    minimum: int | None = 2,
    isr: Mapping[int, Sequence[int]] | None = None,
    leaders: Mapping[int, int] | None = None,
    offline: Sequence[int] = (),
    unclean: bool = False,
) -> Topic:
    """`isr` and `leaders` by partition, where they are not all replicas and the first."""
    values: dict[str, str | None] = {"unclean.leader.election.enable": str(unclean).lower()}
    if minimum is not None:
        values["min.insync.replicas"] = str(minimum)
    parts = tuple(
        Partition(
            TopicPartition(name, i),
            (leaders or {}).get(i, nodes[0]),
            0,
            tuple(nodes),
            tuple((isr or {}).get(i, nodes)),
            tuple(offline),
        )
        for i, nodes in enumerate(replicas)
    )
    return Topic(name, "", False, parts, TopicConfig(values, dict.fromkeys(values, "topic")))


def cluster(
    racks: Mapping[int, str | None],
    *topics: Topic,
    quorum: Quorum | None = None,
    controller: int = -1,
    moving: Mapping[TopicPartition, tuple[int, ...]] | None = None,
) -> ClusterState:
    """`racks` by broker that is up; `moving` maps partitions on the move to what they lose."""
    return ClusterState(
        cluster_id="c",
        taken=0.0,
        controller=controller,
        brokers=tuple(Broker(n, f"h{n}", 9094, rack) for n, rack in racks.items()),
        topics={t.name: t for t in topics},
        quorum=quorum,
        reassigning=tuple(moving or ()),
        removing=dict(moving or {}),
    )


def grown(
    brokers: int,
    racks: int,
    partitions: int,
    *,
    stray: float = 0.0,
    minimum: int = 2,
    rf: int = 3,
    seed: int = 7,
) -> ClusterState:
    """A cluster with one replica a rack, but for a share `stray` of the partitions, whose replicas
    lie anywhere; stray 1 is a cluster that knows no racks. Brokers are numbered from 1."""
    chance = np.random.default_rng(seed)
    of = [list(range(rack, brokers, racks)) for rack in range(racks)]
    rows: list[list[int]] = []
    for p in range(partitions):
        if p < round(stray * partitions):
            rows.append([int(b) + 1 for b in chance.choice(brokers, rf, replace=False)])
        else:
            chosen = chance.choice(racks, rf, replace=False)
            rows.append([of[r][int(chance.integers(len(of[r])))] + 1 for r in chosen])
    return cluster(
        {b + 1: f"r{b % racks}" for b in range(brokers)}, topic("t", rows, minimum=minimum)
    )


def forbidden(state: ClusterState, batch: Collection[int]) -> list[str]:
    """Why these brokers may not go together: the rule in plain words of Kafka, nothing shared
    with the code under test."""
    reasons = []
    for some in state.topics.values():
        for p in some.partitions:
            wanted = int(some.config.values["min.insync.replicas"] or 1)
            needed = min(wanted, len(p.replicas))
            after = len([r for r in p.replicas if r not in batch])
            if len(p.replicas) <= needed:
                if after == 0 and len(p.replicas) > 1:
                    reasons.append(f"{p.tp} would be gone")
                continue
            if after < needed:
                reasons.append(f"{p.tp} would be under min ISR")
            if len(p.isr) > needed and len([r for r in p.isr if r not in batch]) < needed:
                reasons.append(f"{p.tp} would be under min ISR as it is now")
    return reasons
