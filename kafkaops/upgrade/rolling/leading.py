"""Giving a broker back the partitions whose preferred leader it is, once it is in sync with them.

Not earlier: electing one that still catches up costs the clients more than the restart did
(KAFKA-20708). With `auto.leader.rebalance.enable` the cluster does it by itself within minutes;
an election of what is led already is asked for nowhere, and would be harmless.
"""

from __future__ import annotations

from kafkaops.engine.step import Progress, State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import since
from kafkaops.upgrade.rolling.node import NodeStep, named

AGAIN = 10.0
"""Seconds after which an election that did not change a leader is asked for once more."""


class LeadersBack(NodeStep):
    """Done when the broker leads all that it is to lead and is in sync with."""

    def check(self, world: World) -> State:
        if self.over(world, "leaders"):
            return State.DONE
        if not self._elsewhere(world):
            return self.seen(world, "leaders")
        asked = self.get(world, "elected")
        return State.PENDING if asked and since(world, asked) < AGAIN else State.TODO

    def act(self, world: World) -> None:
        clock = world.clock
        partitions = self._elsewhere(world)
        if partitions:
            self.cluster(world).elect_preferred(partitions)
        self.put(world, "elected", {"wall": clock.wall(), "monotonic": clock.monotonic()})

    def progress(self, world: World) -> Progress | None:
        left = self._elsewhere(world)
        return Progress(0, float(len(left)), "leaders", named(left))

    def _elsewhere(self, world: World) -> tuple[TopicPartition, ...]:
        return tuple(
            sorted(
                p.tp
                for t in self.cluster(world).topics().values()
                for p in t.partitions
                if p.replicas[:1] == (self.node,) and self.node in p.isr and p.leader != self.node
            )
        )
