"""Where the replicas of a new topic go on green. Pure.

Invariant: replicas of one partition lie on distinct brokers and, where green has the racks,
in as many racks as on blue; with the same node ids in the same racks the assignment is blue's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from kafkaops.model.cluster import Broker, ClusterState
from kafkaops.model.partition import Partition

Assignment = dict[int, tuple[int, ...]]


class Placer:
    """Places partitions one after the other, so that green fills evenly."""

    def __init__(self, blue: ClusterState, green: ClusterState) -> None:
        self._blue = {b.id: b for b in blue.brokers}
        self._green = {b.id: b for b in green.brokers}
        self._same = bool(self._blue) and all(
            node in self._green and self._green[node].rack == broker.rack
            for node, broker in self._blue.items()
        )
        self._replicas: Counter[int] = Counter()
        self._leaders: Counter[int] = Counter()
        for topic in green.topics.values():
            for partition in topic.partitions:
                self._count(partition.replicas)

    def place(self, partitions: Sequence[Partition]) -> Assignment:
        """Replicas by partition number; fewer replicas than on blue where green is too small."""
        placed: Assignment = {}
        for partition in partitions:
            replicas = self._one(partition.replicas)
            placed[partition.tp.partition] = replicas
            self._count(replicas)
        return placed

    def _one(self, blue_replicas: tuple[int, ...]) -> tuple[int, ...]:
        if self._same and all(node in self._green for node in blue_replicas):
            return blue_replicas
        chosen: list[int] = []
        for position, node in enumerate(blue_replicas):
            rack = self._blue[node].rack if node in self._blue else None
            taken = {self._green[n].rack for n in chosen}
            free = [b for b in self._green.values() if b.id not in chosen]
            if not free:
                break
            chosen.append(min(free, key=self._preference(rack, taken, leading=position == 0)).id)
        return tuple(chosen)

    def _preference(
        self, rack: str | None, taken: set[str | None], *, leading: bool
    ) -> Callable[[Broker], tuple[bool, bool, int, int, int]]:
        def key(broker: Broker) -> tuple[bool, bool, int, int, int]:
            load = self._leaders if leading else self._replicas
            other = self._replicas if leading else self._leaders
            return (
                broker.rack in taken,
                broker.rack != rack,
                load[broker.id],
                other[broker.id],
                broker.id,
            )

        return key

    def _count(self, replicas: Sequence[int]) -> None:
        self._replicas.update(replicas)
        if replicas:
            self._leaders[replicas[0]] += 1


def too_small(assignment: Mapping[int, Sequence[int]], rf: int) -> bool:
    """Whether some partition got fewer replicas than `rf`."""
    return any(len(replicas) < rf for replicas in assignment.values())
