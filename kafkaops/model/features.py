"""Feature levels of a cluster: what is finalized, and what each of its nodes could run.

A feature's level is finalized for the whole cluster (KIP-584, KIP-778); a node's software supports
a range of levels. Level 0 is a feature that is off: brokers leave it out of their answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True)
class Range:
    """Levels that a node's software knows, both ends included."""

    min: int
    max: int

    def __contains__(self, level: int) -> bool:
        return self.min <= level <= self.max


@dataclass(frozen=True)
class FeatureNode:
    """A broker, a controller, or both in one process. `supports` is None where the node could not
    be asked, and `why` says so. `member` is False for what is registered and takes no part any
    more: a controller that left the quorum ("ghost"), a broker that is fenced."""

    id: int
    broker: bool = True
    controller: bool = False
    supports: Mapping[str, Range] | None = None
    why: str = ""
    member: bool = True

    @property
    def name(self) -> str:
        kind = "node" if self.broker and self.controller else "broker"
        return f"{kind if self.broker else 'controller'} {self.id}"

    def range(self, feature: str) -> Range | None:
        """None when it was not asked; (0, 0) for a feature that it does not know."""
        return None if self.supports is None else self.supports.get(feature, Range(0, 0))


class Way(Enum):
    """How a level may move; the names are Kafka's."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


@dataclass(frozen=True)
class FeatureChange:
    feature: str
    level: int
    way: Way = Way.UPGRADE


@dataclass(frozen=True)
class Features:
    """`kraft` is False in ZooKeeper mode, which has no features to speak of. `min_isr` is the
    dynamic cluster-wide default of `min.insync.replicas`, None where it is not set; `min_isr_of`
    what each broker applies. `unseen` says why nobody could list the registered controllers, ""
    where they were listed."""

    cluster_id: str
    kraft: bool
    finalized: Mapping[str, int]
    nodes: tuple[FeatureNode, ...] = ()
    min_isr: str | None = None
    min_isr_of: Mapping[int, str] = field(default_factory=dict)
    unseen: str = ""

    def level(self, feature: str) -> int:
        return self.finalized.get(feature, 0)

    @property
    def ghosts(self) -> tuple[FeatureNode, ...]:
        return tuple(n for n in self.nodes if not n.member)
