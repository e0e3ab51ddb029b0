"""Every partition led by its preferred replica on both clusters, before the cut.

A client that moves sends on by the leaders it knows. Where the other cluster has another leader, or
elects one at that moment, a later batch can reach the new leader before an earlier one does; the
cluster that has never seen this producer takes it, and the earlier batch is then out of order for
good. Seen at such a coincidence: librdkafka reported two records as written that were nowhere, the
Java client gave one up after its delivery timeout. With the same assignment and preferred leaders
everywhere both clusters agree, and Kafka's own rebalancing of leaders has nothing left to do.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.partition import Partition, Topic
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import Move


def elsewhere(topics: Mapping[str, Topic]) -> list[Partition]:
    """Partitions that another replica than the preferred one leads."""
    found = (p for topic in topics.values() for p in topic.partitions)
    return sorted(
        (p for p in found if p.replicas and p.leader != p.replicas[0]), key=lambda p: p.tp
    )


class LeadersPreferred(Move):
    """Elections of preferred leaders on both clusters, Kafka's internal topics included: a
    coordinator that moves in the pause would cost time."""

    def check(self, world: World) -> State:
        return State.TODO if any(self._elsewhere(world).values()) else State.DONE

    def safe(self, world: World) -> Blocked | None:
        for name, parts in self._elsewhere(world).items():
            behind = [str(p.tp) for p in parts if p.replicas[0] not in p.isr]
            if behind:
                return Blocked(
                    "KO-LEADER-BEHIND",
                    f"{name}: the preferred leaders of {', '.join(behind[:5])} are not in sync",
                    "kafkaops cluster health",
                )
        return None

    def act(self, world: World) -> None:
        for cluster in self._both(world):
            parts = elsewhere(cluster.topics())
            if parts:
                cluster.elect_preferred([p.tp for p in parts])

    def progress(self, world: World) -> Progress | None:
        left = {name: len(parts) for name, parts in self._elsewhere(world).items() if parts}
        words = ", ".join(f"{count} partitions of {name}" for name, count in left.items())
        return Progress(0, None, "", f"not led by the preferred replica: {words}" if words else "")

    def _both(self, world: World) -> tuple[Cluster, Cluster]:
        return self.source(world), self.target(world)

    def _elsewhere(self, world: World) -> dict[str, list[Partition]]:
        return {c.name: elsewhere(c.topics()) for c in self._both(world)}
