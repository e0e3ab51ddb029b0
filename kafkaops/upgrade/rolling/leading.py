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
from kafkaops.upgrade.rolling.process import lives

AGAIN = 1.0
"""Seconds after which what is still led elsewhere is asked for once more: brokers learn of an ISR
one after the other, so that a partition may be seen in sync only once the election was asked."""


class LeadersBack(NodeStep):
    """Done when the broker leads all that it is to lead and is in sync with."""

    def check(self, world: World) -> State:
        if self.over(world, "leaders") or not self.spec.args["broker"]:
            return State.DONE
        left = self._elsewhere(world)
        if left is None:  # it does not answer; whoever has ended is told of
            lives(self, world, self.unit(world))
            return State.PENDING
        if not left:
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
        if left is None:
            return Progress(0, None, "", "it does not answer")
        return Progress(0, float(len(left)), "leaders", named(left))

    def _elsewhere(self, world: World) -> tuple[TopicPartition, ...] | None:
        """By its own metadata, for it is to know that it leads; None while it does not answer."""
        told = self.cluster(world).told_by(self.node)
        if told is None:
            return None
        return tuple(
            sorted(
                p.tp
                for t in told.topics.values()
                for p in t.partitions
                if p.replicas[:1] == (self.node,) and self.node in p.isr and p.leader != self.node
            )
        )
