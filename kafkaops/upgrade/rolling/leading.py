"""Giving a broker back the partitions whose preferred leader it is, once it is in sync with them.

Not earlier: electing one that still catches up costs the clients more than the restart did
(KAFKA-20708). With `auto.leader.rebalance.enable` the cluster does it by itself within minutes;
an election of what is led already is asked for nowhere, and would be harmless.
"""

from __future__ import annotations

from contextlib import suppress

from kafkaops.engine.errors import Unreachable
from kafkaops.engine.step import Progress, State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import since
from kafkaops.upgrade.rolling.node import NodeStep, named

AGAIN = 1.0
"""Seconds after which what is still led elsewhere is asked for once more: brokers learn of an ISR
one after the other, so that a partition may be seen in sync only once the election was asked."""


class LeadersBack(NodeStep):
    """Done when the broker leads all that it is to lead and is in sync with."""

    def check(self, world: World) -> State:
        if self.over(world, "leaders") or not self.spec.args["broker"]:
            return State.DONE
        if not self._elsewhere(world)[0]:
            return self.seen(world, "leaders")
        asked = self.get(world, "elected")
        if asked is None:
            return State.TODO
        if not asked.get("looked"):  # the engine acts again only on what was seen on its way
            self.put(world, "elected", {**asked, "looked": True})
            return State.PENDING
        return State.PENDING if since(world, asked) < AGAIN else State.TODO

    def act(self, world: World) -> None:
        clock = world.clock
        partitions, own = self._elsewhere(world)
        if partitions and own:
            # a broker that hangs may be the one that was to pass it on: the next look tells
            with suppress(Unreachable):
                self.cluster(world).elect_preferred(partitions)
        self.put(world, "elected", {"wall": clock.wall(), "monotonic": clock.monotonic()})

    def progress(self, world: World) -> Progress | None:
        left, own = self._elsewhere(world)
        words = named(left) if own else f"{named(left)}; it does not answer"
        return Progress(0, float(len(left)), "leaders", words)

    def _elsewhere(self, world: World) -> tuple[tuple[TopicPartition, ...], bool]:
        """What it is to lead, is in sync with and does not lead; and whether it said so itself, for
        it is to know that it leads. While it does not answer the others say whether anything is
        left: one that falters now is for the gate of the next batch, but nothing is elected on
        their word, which may be of before its stop."""
        cluster = self.cluster(world)
        told = cluster.told_by(self.node)
        topics = told.topics if told else cluster.topics()
        left = tuple(
            sorted(
                p.tp
                for t in topics.values()
                for p in t.partitions
                if p.replicas[:1] == (self.node,) and self.node in p.isr and p.leader != self.node
            )
        )
        return left, told is not None
