"""Emptying a cluster that serves nobody, so that a move to it can begin anew.

After a rollback past the cut the target still holds what was mirrored and written there, and its
brokers remember the producers (a returning idempotent producer could die of that). Invariant:
nothing is deleted where a client could be: its CLIENT listener is fenced for good on every host, or
with `cutover.fence: clients` nothing grows there; no name points there, no group has members, no
mirror of ours reads or writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kafkaops.config.schema import Config
from kafkaops.cutover import fence, names, standstill
from kafkaops.engine.errors import GuardRefused, Unreachable
from kafkaops.engine.step import Blocked, Plan, Spec, State
from kafkaops.mirror import flow
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.move import Move, cluster_spec, partitions_of

USED = "KO-CLEAR-USED"


def plan(config: Config, *, id: str, created: float, dst: str = "green") -> Plan:
    """One step; `dst` is the cluster that is emptied."""
    src = "blue" if dst == "green" else "green"
    return Plan(
        id=id,
        operation="clear",
        cluster=config.name,
        created=created,
        specs=(
            Spec(
                id="clear",
                kind="topics-cleared",
                title=f"delete the carried topics of {dst}",
                phase="green",
                args={"src": src, "dst": dst},
                irreversible=f"the topics of {dst} are gone, with their records",
            ),
        ),
        config=config.model_dump(mode="json"),
    )


class TopicsCleared(Move):
    """No topic that a move carries is left on the target."""

    def check(self, world: World) -> State:
        return State.TODO if self.carried(world, self.target(world)) else State.DONE

    def safe(self, world: World) -> Blocked | None:
        why = next(self.in_use(world), None)
        if why is None:
            return None
        code, reason, hint = why
        # behind the fence a member is one that was cut off: its session runs out by itself
        return Blocked(code, reason, hint, transient=code == USED)

    def act(self, world: World) -> None:
        self.target(world).delete_topics(self.carried(world, self.target(world)))

    def undo(self, world: World) -> None:
        raise GuardRefused(
            "KO-IRREVERSIBLE", f"deleted topics of {self.dst} cannot be brought back"
        )

    def in_use(self, world: World) -> Iterator[tuple[str, str, str]]:
        """Every sign that somebody uses the target: code, reason, what to do."""
        yield from self._reached(world)
        mine = {h.address for h in cluster_spec(world, self.dst).hosts}
        records = world.names.records(names.wanted_names(world.config.cutover))
        led = sorted(r.name for r in records if mine & set(r.values))
        if led:
            yield (
                "KO-CLEAR-NAMED",
                f"names point to {self.dst}: {', '.join(led[:5])}",
                "kafkaops run rollback, or kafkaops cutover back",
            )
        groups = self.target(world).groups(offsets=False)
        live = sorted(g.id for g in groups if g.members and not g.id.startswith("kafkaops-"))
        if live:
            yield (
                USED,
                f"groups still have members on {self.dst}: {', '.join(live[:5])}",
                "clients that were cut off are gone after their session.timeout.ms (45 s by"
                " default); stop those that come by another listener",
            )
        for direction, connect in world.connect.items():
            try:
                running = connect.ready() and flow.is_running(connect, direction)
            except Unreachable:
                running = False
            if running:
                yield (
                    "KO-CLEAR-MIRRORED",
                    f"the mirror {direction} is running",
                    "end its run first: kafkaops run list",
                )

    def _reached(self, world: World) -> Iterator[tuple[str, str, str]]:
        """Without a firewall a listener is never closed; who writes is seen by what grows."""
        if outage.planned(world.config):
            target = self.target(world)
            parts = partitions_of(self.carried(world, target))
            before = target.ends(parts)
            world.clock.sleep(world.config.cutover.still_window)
            grown = standstill.differing(before, target.ends(parts))
            if grown:
                yield (
                    USED,
                    f"somebody writes to {self.dst}: {'; '.join(grown[:5])}",
                    "stop the writer: no firewall closes its way (cutover.fence: clients)",
                )
            return
        states = fence.states(self.hosts(world, self.dst))
        loose = sorted(name for name, s in states.items() if s.kind != "permanent")
        if loose:
            yield (
                "KO-CLEAR-OPEN",
                f"clients can reach {self.dst}: no lasting fence on {', '.join(loose)}",
                "only a cluster that was closed by a run can be emptied: kafkaops cutover show",
            )
