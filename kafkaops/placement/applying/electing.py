"""The preferred leaders that the plan changed, elected once their replicas are in sync.

Not earlier: electing one that still catches up costs the clients more than the move did
(KAFKA-20708).
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkaops.engine.step import Blocked, Progress, Spec, State
from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World


@dataclass(frozen=True)
class Led:
    """Done when each leads that is preferred, as far as it still is. `spec.args`: `cluster`
    (colour), `leaders` by topic as `[partition, broker]`."""

    spec: Spec

    def check(self, world: World) -> State:
        elsewhere = self._elsewhere(world)
        if not elsewhere:
            return State.DONE
        ready = any(wanted in p.isr for p, wanted in elsewhere)
        return State.TODO if ready else State.PENDING

    def safe(self, world: World) -> Blocked | None:
        return None

    def act(self, world: World) -> None:
        ready = [p.tp for p, wanted in self._elsewhere(world) if wanted in p.isr]
        if ready:
            self._cluster(world).elect_preferred(ready)

    def undo(self, world: World) -> None:
        """The way back elects those of before."""

    def progress(self, world: World) -> Progress | None:
        left = self._elsewhere(world)
        total = sum(len(rows) for rows in self.spec.args["leaders"].values())
        words = ", ".join(str(p.tp) for p, _ in left[:5])
        return Progress(float(total - len(left)), float(total), "leaders", words)

    def _elsewhere(self, world: World) -> list[tuple[Partition, int]]:
        wanted = {
            TopicPartition(topic, int(p)): int(leader)
            for topic, rows in self.spec.args["leaders"].items()
            for p, leader in rows
        }
        found = self._cluster(world).some_topics(tuple(self.spec.args["leaders"]))
        return [
            (p, wanted[p.tp])
            for topic in found.values()
            for p in topic.partitions
            if p.tp in wanted and p.replicas[:1] == (wanted[p.tp],) and p.leader != wanted[p.tp]
        ]

    def _cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]
