"""The last look at the source's clients before they are held back.

Invariant: who is seen here is waited for on the other cluster, or accepted by name as absent.
"""

from __future__ import annotations

from kafkaops.cutover import positions
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.move import Once, epochs, offsets_out, partitions_of


class Observed(Once):
    """Who consumes and which topics advance just before the fence: the baseline for `settle`."""

    def act(self, world: World) -> None:
        source, target = self.source(world), self.target(world)
        parts = partitions_of(self.carried(world, source))
        first = source.ends(parts)
        begun = world.clock.monotonic()
        groups = source.groups()
        seeded = positions.seed(groups, target, target.groups())
        for tp in partitions_of(self.carried(world, target))[:1]:
            positions.rehearse(target, tp)
        world.clock.sleep(max(0.0, 1.0 - (world.clock.monotonic() - begun)))
        second = source.ends(parts)
        growing = sorted(
            {tp.topic for tp in parts if second[tp].high_watermark > first[tp].high_watermark}
        )
        members = {g.id: len(g.members) for g in groups if not g.id.startswith("kafkaops-")}
        consuming = sorted(g for g, count in members.items() if count)
        if outage.planned(world.config) and (earlier := self.get(world, "before")):
            # after a given-up attempt its clients may still be on their way up
            growing = sorted({*growing, *earlier["growing"]})
            members = {**(self.get(world, "members") or {}), **{g: members[g] for g in consuming}}
            consuming = sorted({*consuming, *earlier["consuming"]})
        self.put(world, "before", {"growing": growing, "consuming": consuming, "seeded": seeded})
        self.put(world, "members", {g: members[g] for g in consuming})
        self.put(world, "epochs", offsets_out(epochs(self.carried(world, target))))
        self.finish(world)

    def undo(self, world: World) -> None:
        positions.forget_rehearsal(self.target(world))
        self.forget(world)
