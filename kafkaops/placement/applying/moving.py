"""A wave of partitions: one request, done when each is where it is to be, in that order.

Invariant: only what is at its beginning is sent; what somebody else moves is refused, never
overridden.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kafkaops.engine.step import Blocked, Progress, Spec, State
from kafkaops.model.cluster import LogDir
from kafkaops.model.partition import Topic, TopicPartition
from kafkaops.placement.applying import gate, rates, spec_args, tuning
from kafkaops.placement.applying.calling_off import call_off
from kafkaops.placement.applying.standing import Stand, stands
from kafkaops.placement.applying.throttle import Throttles
from kafkaops.placement.moves import Move
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World

AGAIN = 10.0
"""Seconds after which what seems not begun is sent once more: brokers are late to show it."""
MIB = 1 << 20


@dataclass(frozen=True)
class Whole:
    """What a wave has to know of the whole plan: `removed` are the replicas that any of its waves
    takes away, `ours` the throttles that it sets, `rates` the fact that tells to what they were
    tuned."""

    removed: gate.Removed = field(default_factory=dict)
    ours: Throttles = field(default_factory=Throttles)
    rates: str = ""


@dataclass(frozen=True)
class Moved:
    """`spec.args`: `cluster` (colour), `moves` (see `spec_args`), `down` (brokers that were down
    when it was planned), `reserve` (bytes), `link` (bytes/s, None where no rate is tuned)."""

    spec: Spec
    whole: Whole = Whole()

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        return spec_args.moves_of(self.spec.args["moves"])

    def check(self, world: World) -> State:
        found = set(self._stands(world).values())
        if found <= {Stand.THERE, Stand.GONE}:
            return State.DONE
        if found & {Stand.MOVING, Stand.SETTLING}:
            return State.PENDING
        begun = world.facts.get(self._begun)
        fresh = begun is not None and 0 <= world.clock.wall() - float(begun) < AGAIN
        return State.PENDING if fresh and Stand.STRANGE not in found else State.TODO

    def safe(self, world: World) -> Blocked | None:
        cluster = self._cluster(world)
        moving = cluster.reassignments()
        topics = dict(cluster.topics())
        topics.update(cluster.some_topics(self._topics, configs=True))
        receiving = {b for m in self.moves for b in m.adding}
        seen = gate.Seen(
            moving,
            topics,
            cluster.brokers_up(),
            cluster.log_dirs(receiving) if receiving else {},
        )
        args = self.spec.args
        return gate.judge(
            self.moves,
            seen,
            removed=self.whole.removed,
            down=args["down"],
            reserve=int(args["reserve"]),
        )

    def act(self, world: World) -> None:
        standing = self._stands(world)
        world.facts.put(self._begun, world.clock.wall())
        todo = {m.tp: m.after for m in self.moves if standing[m.tp] is Stand.BEFORE}
        if todo:
            self._cluster(world).reassign(todo)

    def undo(self, world: World) -> None:
        call_off(self._cluster(world), world.clock, self.moves)

    def progress(self, world: World) -> Progress | None:
        """Asked while replicas are on their way, which is when their rate may be tuned."""
        copying = [m for m in self.moves if m.adding]
        link = self.spec.args["link"]
        if link is not None and copying:
            whole = self.whole
            tuning.retune(world, self._cluster(world), copying, int(link), whole.ours, whole.rates)
        standing = self._stands(world)
        if not copying:
            there = sum(s in (Stand.THERE, Stand.GONE) for s in standing.values())
            return Progress(there, float(len(standing)), "partitions")
        receiving = {b for m in copying for b in m.adding}
        sizes = _sizes(self._cluster(world).log_dirs(receiving))
        over = {tp for tp, s in standing.items() if s not in (Stand.BEFORE, Stand.MOVING)}
        done = copied(copying, sizes, over)
        total = sum(m.copied for m in copying)
        slowest = self._slowest(copying, sizes, over)
        return Progress(done / MIB, total / MIB, "MiB", slowest)

    def _slowest(
        self,
        copying: Sequence[Move],
        sizes: Mapping[tuple[TopicPartition, int], int],
        over: Collection[TopicPartition],
    ) -> str:
        """The replica that has the most still to copy, in words."""
        left = [
            (max(0, m.bytes - sizes.get((m.tp, b), 0)), m.tp, b)
            for m in copying
            if m.tp not in over
            for b in m.adding
        ]
        if not left:
            return ""
        most, tp, broker = max(left)
        return f"slowest {tp} on broker {broker}, {rates.words(most)} to go"

    @property
    def _begun(self) -> str:
        return f"placement.{self.spec.id}.begun"

    @property
    def _topics(self) -> tuple[str, ...]:
        return tuple(sorted({m.tp.topic for m in self.moves}))

    def _cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]

    def _stands(self, world: World) -> dict[TopicPartition, Stand]:
        cluster = self._cluster(world)
        moving = cluster.reassignments()
        topics: Mapping[str, Topic] = cluster.some_topics(self._topics)
        return stands(self.moves, topics, moving)


def copied(
    moves: Sequence[Move],
    sizes: Mapping[tuple[TopicPartition, int], int],
    over: Collection[TopicPartition],
) -> int:
    """Bytes that are there, of what is to be copied: no replica counts for more than its share."""
    return sum(
        m.bytes if m.tp in over else min(m.bytes, sizes.get((m.tp, b), 0))
        for m in moves
        for b in m.adding
    )


def _sizes(dirs: Mapping[int, tuple[LogDir, ...]]) -> dict[tuple[TopicPartition, int], int]:
    return {
        (tp, broker): size
        for broker, of_broker in dirs.items()
        for one in of_broker
        for tp, size in one.replicas.items()
    }
