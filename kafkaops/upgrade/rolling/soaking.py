"""Watching a node for a while after it is back, before the next batch."""

from __future__ import annotations

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Progress, State
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import since
from kafkaops.upgrade.rolling.node import NodeStep
from kafkaops.upgrade.rolling.process import ended, lives
from kafkaops.upgrade.rolling.stopping import unclean


class Soaked(NodeStep):
    """Done when the node ran for `soak` seconds after all else was in order: the same process, for
    one that its unit had to start again meanwhile is what is watched for. Here, with the node back
    in service, a stop that was not clean ends the run once: a resume goes on."""

    def check(self, world: World) -> State:
        if self.over(world, "soaked"):
            return State.DONE
        begun = self.get(world, "soak")
        if begun is None:
            return State.TODO
        unit = self.unit(world)
        if "restarts" not in begun:
            # not in the act: here a host that does not answer is waited for
            begun = {**begun, "restarts": unit.restarts}
            self.put(world, "soak", begun)
        if unit.restarts > begun["restarts"]:
            raise ended(self, world, unit, "while it was watched, and its unit started it again")
        if not lives(self, world, unit) or since(world, begun) < self._seconds:
            return State.PENDING
        return self.seen(world, "soaked")

    def act(self, world: World) -> None:
        how = unclean(self.get(world, "ended"))
        if how and self.get(world, "told") is None:
            self.put(world, "told", True)
            raise StepFailed(
                "KO-STOP-UNCLEAN",
                f"{self.name} did not end by itself when told to ({how}); it is back and in sync,"
                " and no batch after its own was begun",
                where=self.name,
                hint="look at its log, then resume",
            )
        clock = world.clock
        self.put(world, "soak", {"wall": clock.wall(), "monotonic": clock.monotonic()})

    def progress(self, world: World) -> Progress | None:
        begun = self.get(world, "soak")
        gone = since(world, begun) if begun else 0.0
        return Progress(gone, self._seconds, "s watched", "")

    @property
    def _seconds(self) -> float:
        return float(self.spec.args["soak"])
