"""Cluster states for tests, written short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kafkaops.config.schema import ClusterSpec, Config, Cutover, HostSpec, Mirror
from kafkaops.model.cluster import Broker, ClusterState, Listener
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition

Configs = Mapping[str, tuple[str, str]]  # name -> (value, source)

OPEN = str(2**63 - 1)
DEFAULTS_39: Configs = {
    "retention.ms": ("604800000", "default"),
    "cleanup.policy": ("delete", "default"),
    "min.insync.replicas": ("1", "default"),
    "segment.bytes": ("1073741824", "default"),
    "message.timestamp.type": ("CreateTime", "default"),
    "message.timestamp.after.max.ms": (OPEN, "default"),
    "message.timestamp.before.max.ms": (OPEN, "default"),
    "message.timestamp.difference.max.ms": (OPEN, "default"),
    "message.format.version": ("3.0-IV1", "default"),
    "follower.replication.throttled.replicas": ("", "default"),
}
DEFAULTS_43: Configs = {
    name: value
    for name, value in {
        **DEFAULTS_39,
        "message.timestamp.after.max.ms": ("3600000", "default"),
    }.items()
    if name not in ("message.timestamp.difference.max.ms", "message.format.version")
}


def topic(
    name: str,
    replicas: Sequence[Sequence[int]] = ((1, 2, 3), (2, 3, 1), (3, 1, 2)),
    *,
    defaults: Configs = DEFAULTS_39,
    isr: Sequence[int] | None = None,
    leader: int | None = None,
    **configs: tuple[str, str],
) -> Topic:
    """`configs` as retention_ms=("1", "topic")."""
    merged = {**defaults, **{k.replace("_", "."): v for k, v in configs.items()}}
    return Topic(
        name,
        f"id-{name}",
        name.startswith("__consumer"),
        tuple(
            Partition(
                TopicPartition(name, p),
                nodes[0] if leader is None else leader,
                0,
                tuple(nodes),
                tuple(nodes if isr is None else isr),
            )
            for p, nodes in enumerate(replicas)
        ),
        TopicConfig({k: v for k, (v, _) in merged.items()}, {k: s for k, (_, s) in merged.items()}),
    )


def state(
    *topics: Topic,
    id: str = "blue-id",
    version: str = "3.9",
    racks: Mapping[int, str | None] | None = None,
    names: str = "b{}.k",
    **more: Any,
) -> ClusterState:
    placed = {1: "a", 2: "b", 3: "c"} if racks is None else racks
    return ClusterState(
        cluster_id=id,
        taken=1_000_000.0,
        controller=1,
        brokers=tuple(
            Broker(
                n, f"10.0.0.{n}", 9094, rack, version,
                (Listener("CLIENT", names.format(n), 9092), Listener("REPL", f"10.0.0.{n}", 9094)),
            )
            for n, rack in placed.items()
        ),
        topics={t.name: t for t in topics},
        **more,
    )  # fmt: skip


def green(*topics: Topic, **more: Any) -> ClusterState:
    return state(*topics, **{"id": "green-id", "version": "4.3", **more})


def config(**more: Any) -> Config:
    """Shared names b1.k to b3.k, alias boot.k, hosts 10.1.0.n (blue) and 10.2.0.n (green)."""

    def spec(name: str, net: int) -> ClusterSpec:
        return ClusterSpec(
            name=name,
            bootstrap=(f"10.{net}.0.1:9094",),
            hosts=tuple(
                HostSpec(name=f"{name}-{n}", node_id=n, address=f"10.{net}.0.{n}")
                for n in (1, 2, 3)
            ),
        )

    values: dict[str, Any] = {
        "name": "pair",
        "blue": spec("blue", 1),
        "green": spec("green", 2),
        "mirror": Mirror(host="green-1", back_host="blue-1"),
        "cutover": Cutover(
            hosted_zone="Z1", alias="boot.k", broker_names={n: f"b{n}.k" for n in (1, 2, 3)}
        ),
        **more,
    }
    return Config(**values)
