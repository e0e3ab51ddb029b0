"""Waiting until a broker is in the ISR again of every partition that it was in before."""

from __future__ import annotations

from kafkaops.engine.step import Progress, State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.node import NodeStep, catching_up, named
from kafkaops.upgrade.rolling.process import how, lives


class InSync(NodeStep):
    """There is nothing to do but to wait, while its process runs."""

    def check(self, world: World) -> State:
        if self.over(world, "in-sync") or not self.spec.args["broker"]:
            return State.DONE
        missing = self._missing(world) if lives(self, world, self.unit(world)) else None
        if missing is None or missing:
            return State.PENDING
        return self.seen(world, "in-sync")

    def progress(self, world: World) -> Progress | None:
        had = self._had(world)
        missing = self._missing(world)
        missing = had if missing is None else missing
        total = len(had)
        done = float(total - len(missing))
        unit = self.unit(world)
        ended = "" if unit.running else f"; its process is not running ({how(unit) or unit.active})"
        return Progress(done, float(total), "partitions in sync", named(missing) + ended)

    def _had(self, world: World) -> tuple[TopicPartition, ...]:
        mark = self.mark(world)
        return mark.isr if mark is not None else ()

    def _missing(self, world: World) -> tuple[TopicPartition, ...] | None:
        """By its own metadata, for what the others tell may be of before its stop; None while it
        does not answer."""
        told = self.cluster(world).told_by(self.node)
        return None if told is None else catching_up(told.topics, self.node, self._had(world))
