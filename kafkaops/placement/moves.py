"""What a placement changes, as data: replicas of partitions, and directories of replicas. Pure.

Invariant: a change names the state before it in full, order included, so that it can be told from
drift and taken back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkaops.model.partition import TopicPartition


@dataclass(frozen=True)
class Move:
    """One partition's replicas, `before` and `after` in preferred order. `bytes` is the size of
    one replica, 0 where it is not known. Nothing is copied where both hold the same brokers."""

    tp: TopicPartition
    before: tuple[int, ...]
    after: tuple[int, ...]
    bytes: int = 0

    def __post_init__(self) -> None:
        for replicas in (self.before, self.after):
            if len(set(replicas)) != len(replicas):
                raise ValueError(f"{self.tp}: a broker is named twice in {list(replicas)}")
        if not self.after:
            raise ValueError(f"{self.tp}: no replica is left")

    @property
    def adding(self) -> tuple[int, ...]:
        return tuple(b for b in self.after if b not in self.before)

    @property
    def removing(self) -> tuple[int, ...]:
        return tuple(b for b in self.before if b not in self.after)

    @property
    def copied(self) -> int:
        """Bytes that go over the network."""
        return self.bytes * len(self.adding)

    @property
    def leads_anew(self) -> bool:
        """Whether another replica is preferred as its leader."""
        return self.before[:1] != self.after[:1]


@dataclass(frozen=True)
class DirMove:
    """One replica from a log directory of its broker to another one (JBOD)."""

    tp: TopicPartition
    broker: int
    source: str
    target: str
    bytes: int = 0
