"""Every partition led by its preferred replica on both clusters, before the cut.

A client that moves sends on by the leaders it knows. Where the other cluster has another leader, or
elects one at that moment, a later batch can reach the new leader before an earlier one does; the
cluster that has never seen this producer takes it, and the earlier batch is then out of order for
good. Seen at such a coincidence: librdkafka reported two records as written that were nowhere, the
Java client gave one up after its delivery timeout. With the same assignment and preferred leaders
everywhere both clusters agree, and Kafka's own rebalancing of leaders has nothing left to do. So a
partition that has the same replicas in another order gets the source's order first.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import Move, epochs, offsets_in, offsets_out


def elsewhere(topics: Mapping[str, Topic]) -> list[Partition]:
    """Partitions that another replica than the preferred one leads."""
    found = (p for topic in topics.values() for p in topic.partitions)
    return sorted(
        (p for p in found if p.replicas and p.leader != p.replicas[0]), key=lambda p: p.tp
    )


MARGIN = 6
"""Elections that the source may have from here to the cut, brokers that die included."""
SPARE = 20
AGAIN, TRIES = 2.0, 30
"""Seconds between elections that bring a partition's own leader back, and how many there are."""
SETTLE = 0.1
"""Seconds in which an election reaches the metadata of every broker."""


class LeadersPreferred(Move):
    """Elections of preferred leaders on both clusters, Kafka's internal topics included: a
    coordinator that moves in the pause would cost time."""

    def check(self, world: World) -> State:
        away = any(self._elsewhere(world).values()) or bool(self._otherwise(world))
        return State.TODO if away else State.DONE

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
        other = self._otherwise(world)
        if other:
            kept = self.get(world, "orders")
            if kept:  # what `EpochsAhead` would bring back
                own = offsets_out({tp: list(order) for tp, order in other.items()})
                self.put(world, "orders", kept | own)
            self.target(world).reorder(other)
        for cluster in self._both(world):
            parts = elsewhere(cluster.topics())
            if parts:
                cluster.elect_preferred([p.tp for p in parts])

    def progress(self, world: World) -> Progress | None:
        left = {name: len(parts) for name, parts in self._elsewhere(world).items() if parts}
        words = ", ".join(f"{count} partitions of {name}" for name, count in left.items())
        return Progress(0, None, "", f"not led by the preferred replica: {words}" if words else "")

    def _otherwise(self, world: World) -> dict[TopicPartition, tuple[int, ...]]:
        """Partitions of the target that have the source's replicas in another order, with that of
        the source."""
        source = self.carried(world, self.source(world))
        wanted = {p.tp: p.replicas for t in source.values() for p in t.partitions}
        there = self.carried(world, self.target(world))
        return {
            p.tp: wanted[p.tp]
            for t in there.values()
            for p in t.partitions
            if p.tp in wanted
            and p.replicas != wanted[p.tp]
            and set(p.replicas) == set(wanted[p.tp])
        }

    def _both(self, world: World) -> tuple[Cluster, Cluster]:
        return self.source(world), self.target(world)

    def _elsewhere(self, world: World) -> dict[str, list[Partition]]:
        return {c.name: elsewhere(c.topics()) for c in self._both(world)}


class EpochsAhead(Move):
    """Every leader epoch of the target is above the source's.

    A client keeps the leader that it knows while metadata shows an older leader epoch, librdkafka
    even where the topic's id is another one (confluentinc/librdkafka#4898). After a move to lower
    epochs it would follow no election any more: seen as producers of librdkafka and of Java that
    got no answer, and consumers that never read some partitions again. Each election adds one, so
    leaders go to another replica and back as often as it takes; at the end each partition has its
    own order.
    """

    def check(self, world: World) -> State:
        return State.DONE if not self._behind(world) and not self._turned(world) else State.TODO

    def act(self, world: World) -> None:
        target = self.target(world)
        rounds = 2 * max(self._behind(world).values(), default=0) + SPARE
        while behind := self._behind(world):
            rounds -= 1
            if rounds < 0:
                raise StepFailed(
                    "KO-EPOCHS",
                    f"elections do not raise the leader epochs of {', '.join(map(str, behind))}",
                    where=target.name,
                    hint="kafkaops cluster health",
                )
            parts = {p.tp: p for t in target.topics().values() for p in t.partitions}
            self._remember(world, [parts[tp] for tp in behind])
            turned = {
                tp: (parts[tp].replicas[1], parts[tp].replicas[0], *parts[tp].replicas[2:])
                for tp in behind
            }
            target.reorder(turned)
            target.elect_preferred(turned)
            world.clock.sleep(SETTLE)
        for wait in (SETTLE, *[AGAIN] * TRIES):  # a replica that is out of sync just then leads not
            again = self._turned(world)
            if not again:
                return
            target.reorder(again)
            target.elect_preferred(again)
            world.clock.sleep(wait)

    def undo(self, world: World) -> None:
        again = self._turned(world)
        self.target(world).reorder(again)
        self.target(world).elect_preferred(again)

    def progress(self, world: World) -> Progress | None:
        behind = self._behind(world)
        most = max(behind.values(), default=0)
        if not behind:
            turned = len(self._turned(world))
            return Progress(0, None, "", f"{turned} partitions to get their own leader back")
        return Progress(0, None, "", f"{len(behind)} partitions, by {most} elections at the most")

    def _behind(self, world: World) -> dict[TopicPartition, int]:
        """Partitions whose epoch is not far enough ahead, and by how much. One whose second replica
        is not in sync cannot be helped now, nor one that has a single replica."""
        known = epochs(self.carried(world, self.source(world)))
        return {
            p.tp: known[p.tp] + MARGIN - p.leader_epoch
            for t in self.carried(world, self.target(world)).values()
            for p in t.partitions
            if p.tp in known
            and p.leader_epoch < known[p.tp] + MARGIN
            and len(p.replicas) > 1
            and set(p.replicas[:2]) <= set(p.isr)
        }

    def _remember(self, world: World, parts: list[Partition]) -> None:
        kept = self.get(world, "orders") or {}
        new = {p.tp: list(p.replicas) for p in parts}
        self.put(world, "orders", {**offsets_out(new), **kept})

    def _turned(self, world: World) -> dict[TopicPartition, tuple[int, ...]]:
        """Partitions that do not have their own order, with that order."""
        kept = offsets_in(self.get(world, "orders") or {})
        now = {p.tp: p for t in self.target(world).topics().values() for p in t.partitions}
        return {
            tp: tuple(order)
            for tp, order in kept.items()
            if tp in now and (now[tp].replicas != tuple(order) or now[tp].leader != order[0])
        }
