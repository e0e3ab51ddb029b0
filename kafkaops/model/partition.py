"""Topics, partitions and offsets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MOST = 2**31 - 1
"""The highest id of a broker and number of a partition: Kafka's protocol has 32 bits for them."""

_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def legal(topic: str) -> bool:
    """Whether Kafka lets a topic have this name."""
    return _LEGAL.fullmatch(topic) is not None and topic not in (".", "..")


class TopicPartition(NamedTuple):
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True)
class Partition:
    """One partition as its leader's metadata says. `leader` is -1 when there is none;
    `replicas` in preferred order."""

    tp: TopicPartition
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    offline: tuple[int, ...] = ()


@dataclass(frozen=True)
class TopicConfig:
    """Effective values of a topic's configs by name, and where each comes from
    (`topic`, `broker-dynamic`, `broker-default-dynamic`, `static`, `default`).
    A sensitive value is None."""

    values: Mapping[str, str | None]
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Topic:
    name: str
    topic_id: str
    internal: bool
    partitions: tuple[Partition, ...]
    config: TopicConfig = field(default_factory=lambda: TopicConfig({}, {}))

    @property
    def rf(self) -> int:
        return max((len(p.replicas) for p in self.partitions), default=0)


def is_carried(topic: Topic) -> bool:
    """Whether a migration carries this topic: neither Kafka's own, nor MirrorMaker's bookkeeping,
    nor this tool's. A Connect cluster's own topics are its users' data and are carried."""
    name = topic.name
    bookkeeping = (name.startswith("mm2-") and name.endswith(".internal")) or name.endswith(
        ".checkpoints.internal"
    )
    return not (topic.internal or bookkeeping or name.startswith(("__", "kafkaops-")))


@dataclass(frozen=True)
class Ends:
    """Offsets of one partition at one reading: log start, high watermark, LSO."""

    start: int
    high_watermark: int
    stable: int
