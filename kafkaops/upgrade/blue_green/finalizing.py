"""Steps that end an upgrade, or end a rollback: settings and TTL as they were, mirrors gone."""

from __future__ import annotations

from kafkaops.cutover import fence, names
from kafkaops.engine.step import Blocked, State
from kafkaops.mirror import flow, worker
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import strangers
from kafkaops.upgrade.blue_green.mirroring import worker_host
from kafkaops.upgrade.blue_green.move import Move, Once, opposite


class Quiet(Once):
    """No client knocks at the fenced source: their addresses are named if any does. Nor does the
    source hold a record that the mirror back did not write."""

    def safe(self, world: World) -> Blocked | None:
        knocking = fence.knocks(self.hosts(world, self.src))
        names_ = sorted(f"{who} at {host}" for host, found in knocking.items() for who in found)
        if names_:
            return Blocked(
                "KO-STILL-KNOCKING",
                f"clients still knock at {self.src}: {', '.join(names_[:10])}",
                hint="move or stop them, then finalize again",
                transient=False,
            )
        return strangers.barred(world, opposite(self.flow), self.src)

    def act(self, world: World) -> None:
        self.finish(world)


class MirrorRetired(Move):
    """Both mirrors and their workers are gone."""

    def check(self, world: World) -> State:
        up = any(worker.running(worker_host(world, f)) for f in ("forward", "back"))
        return State.TODO if up else State.DONE

    def act(self, world: World) -> None:
        for direction in ("forward", "back"):
            world.verification[direction].stop()
            if world.connect[direction].ready():
                flow.remove(world.connect[direction], direction)
            worker.stop(worker_host(world, direction))


class TtlRestored(Move):
    """The names have the TTL they had before."""

    def check(self, world: World) -> State:
        return State.TODO if self._batch(world).create else State.DONE

    def act(self, world: World) -> None:
        batch = self._batch(world)
        world.names.change(batch.delete, batch.create, comment="kafkaops: restore TTL")

    def _batch(self, world: World) -> names.Batch:
        kept = world.facts.get("ttl.before") or {}
        found = world.names.records(names.wanted_names(world.config.cutover))
        return names.with_ttl(found, {r.name: kept.get(r.name, r.ttl) for r in found})
