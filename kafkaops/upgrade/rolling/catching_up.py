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
        if self.over(world, "in-sync"):
            return State.DONE
        if not lives(self, world, self.unit(world)) or self._missing(world):
            return State.PENDING
        return self.seen(world, "in-sync")

    def progress(self, world: World) -> Progress | None:
        missing = self._missing(world)
        total = len(self._had(world))
        done = float(total - len(missing))
        unit = self.unit(world)
        ended = "" if unit.running else f"; its process is not running ({how(unit) or unit.active})"
        return Progress(done, float(total), "partitions in sync", named(missing) + ended)

    def _had(self, world: World) -> tuple[TopicPartition, ...]:
        mark = self.mark(world)
        return mark.isr if mark is not None else ()

    def _missing(self, world: World) -> tuple[TopicPartition, ...]:
        return catching_up(self.cluster(world).topics(), self.node, self._had(world))
