"""A node's volumes made anew under a new volume key, while it is down: everything on them is
erased, and replicated again.

Invariant: nothing is erased that is not in sync elsewhere by fresh metadata; volumes that this run
made are not erased again by a resume.
"""

from __future__ import annotations

from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.node import NodeStep
from kafkaops.upgrade.rolling.stopping import refuse_running, see_end
from kafkaops.volumes import copies, inventory
from kafkaops.volumes.cluster import clearing, guarding
from kafkaops.volumes.cluster.on_host import status, typed


class Renewed(NodeStep):
    """Done when each volume of the node is mounted, and is another than before: by its UUID, for
    not every mode has a key of its own."""

    def check(self, world: World) -> State:
        if self.over(world, "up"):
            return State.DONE
        return State.TODO if self._left(world) else State.DONE

    def safe(self, world: World) -> Blocked | None:
        if self.stop_state(world) is not State.DONE:
            return Blocked("KO-NODE-RUNS", f"{self.name} still runs: its volumes are in use")
        # every broker that is listed has answered, so it is not told of a time before the stop
        state = self.cluster(world).availability()
        return guarding.blocked(state.topics.values(), self.node)

    def act(self, world: World) -> None:
        see_end(self, world)
        refuse_running(self, world, "its volumes are in use")
        host, before = self.host(world), self.get(world, "uuids")
        if before is None:
            before = {row["volume"]: row["uuid"] for row in status(host, "--local")}
            self.put(world, "uuids", before)
        left = self._left(world)
        for number, name in enumerate(left, 1):
            world.say(f"{self.name}: {name}, {number} of {len(left)} volumes")
            volume = self._volumes(world)[name]
            row = next(r for r in status(host, "--local") if r["volume"] == name)
            there = row["uuid"] == before[name] if row["uuid"] else row["state"] != "blank"
            if there:
                clearing.erase(world, host, name, volume.label, copies.home(volume))
            typed(host, "prepare", name, "--yes")

    def progress(self, world: World) -> Progress | None:
        names = self._volumes(world)
        return Progress(len(names) - len(self._left(world)), float(len(names)), "volumes")

    def _left(self, world: World) -> list[str]:
        before = self.get(world, "uuids")
        if before is None:
            return list(self._volumes(world))
        rows = {r["volume"]: r for r in status(self.host(world), "--local")}
        return [n for n, old in before.items() if not rows[n]["good"] or rows[n]["uuid"] == old]

    def _volumes(self, world: World) -> dict[str, VolumeSpec]:
        spec = self.cluster_spec(world)
        own = next(h for h in spec.hosts if h.name == self.name)
        found = inventory.host_file(spec, own, world.config.aws, broker=True)
        return {volume.name: volume for volume in found.volumes}
