"""The cut without a firewall: clients that hooks have stopped, proven to be all, are started on the
other cluster once the names lead there.

Invariant: nobody is started while names could lead to either cluster, on the way there and on the
way back; who writes without a hook is found by what grows on the source, until the decision.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.cutover import names, standstill
from kafkaops.engine.errors import GuardRefused, StepFailed, TimedOut
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import outage, strangers
from kafkaops.upgrade.blue_green.cutting import StandsStill, written
from kafkaops.upgrade.blue_green.hooking import start_there
from kafkaops.upgrade.blue_green.move import (
    Move,
    cluster_spec,
    offsets_in,
    offsets_out,
    opposite,
    since,
)
from kafkaops.upgrade.blue_green.naming import NamesMoved

POLL = 0.5
STRAY = "a client that no hook stops; find it in {}'s request log, stop it or give it a hook"


def members(move: Move, world: World, colour: str) -> list[str]:
    """Groups of this cluster that have members, with where one of them is."""
    found = world.clusters[colour].groups(offsets=False)
    return [
        f"{g.id} ({g.members[0].client_id} at {g.members[0].host.lstrip('/')})"
        for g in found
        if g.members and not g.id.startswith("kafkaops-")
    ]


class StoppedStill(StandsStill):
    """For `still_window` seconds no record came, no transaction was open and no group had members.
    Transactions are waited for and never aborted: a producer that no hook stops would take its
    commit for good."""

    def check(self, world: World) -> State:
        begun = self.get(world, "still.begun")
        if begun is None or super().check(world) is State.DONE:
            return super().check(world)
        seen = {tp: Ends(*e) for tp, e in offsets_in(self.get(world, "still.ends") or {}).items()}
        now = self.source(world).ends(seen)
        grown, still_in = standstill.differing(seen, now), members(self, world, self.src)
        if grown or still_in:
            self._patience(world, since(world, begun), grown, still_in)
            self._look(world, now)
            self.put(world, "still.words", [*grown, *still_in][:4])
            return State.PENDING
        if since(world, self.get(world, "still.at") or begun) < world.config.cutover.still_window:
            return State.PENDING
        self.parts(world)  # a topic that came meanwhile is left behind: refused
        self.keep(world, now)
        return State.DONE

    def act(self, world: World) -> None:
        self.put(world, "aborted", [])
        self.put(world, "still.words", [])
        self.stamp_as(world, "still.begun")
        self._look(world, self.source(world).ends(self.parts(world)))

    def undo(self, world: World) -> None:
        super().undo(world)
        self.put(world, "still.begun", None)

    def progress(self, world: World) -> Progress | None:
        words = self.get(world, "still.words") or []
        at = self.get(world, "still.at")
        held = 0.0 if at is None else since(world, at)
        window = world.config.cutover.still_window
        return Progress(min(held, window), window, "s still", "; ".join(words))

    def _look(self, world: World, ends: Mapping[TopicPartition, Ends]) -> None:
        seen = {tp: [e.start, e.high_watermark, e.stable] for tp, e in ends.items()}
        self.put(world, "still.ends", offsets_out(seen))
        self.stamp_as(world, "still.at")

    def _patience(self, world: World, gone: float, grown: list[str], still_in: list[str]) -> None:
        """StepFailed once waiting cures it no more."""
        if grown and gone > max(outage.GROWTH, 2 * world.config.cutover.still_window):
            raise StepFailed(
                "KO-NOT-STILL",
                f"{gone:.0f} s after the stop hooks {len(grown)} partitions of {self.src} do not"
                f" stand still: {'; '.join(grown[:5])}",
                where=self.src,
                hint=STRAY.format(self.src),
            )
        if gone > outage.patience(world.config):
            raise StepFailed(
                "KO-NOT-STOPPED",
                f"{gone:.0f} s after the stop hooks {len(still_in)} groups still have members on"
                f" {self.src}: {'; '.join(still_in[:5])}",
                where=self.src,
                hint=STRAY.format(self.src),
            )


class HandedOver(NamesMoved):
    """The names lead to the target for every resolver, and the clients were started there.

    It acts twice: first the names move, then, when no cache can hold the old answer and the source
    has not moved since the proof, the stamp `opened` decides and the start hooks run. A hook that
    fails then is tried again by a resume; going back is a move of its own from there.
    """

    def check(self, world: World) -> State:
        goal = self._goal(world)
        if not goal.reached:
            return State.TODO
        if self.get(world, "time.opened") is not None:
            return State.DONE
        found = super().check(world)
        if found is State.PENDING:
            self._refuse_grown(world)
        return State.TODO if found is State.DONE else found

    def safe(self, world: World) -> Blocked | None:
        self._refuse_grown(world)
        return None if self._goal(world).reached else super().safe(world)

    def act(self, world: World) -> None:
        if not self._goal(world).reached:
            super().act(world)
        else:
            self._start(world)

    def undo(self, world: World) -> None:
        """Names back, and nobody is started before every resolver says so. Refused when somebody
        has written to the target: going back would lose that, and only forward is right."""
        taken = self._taken(world)
        if not taken:
            self._back(world)
            taken = self._taken(world)
        if not taken:
            self.put(world, "names.change", None)
            self.put(world, "names.back", None)
            return
        self._through(world)
        raise GuardRefused(
            "KO-TARGET-WRITTEN",
            f"{self.dst} already took records ({', '.join(taken[:5])}); going back would lose them",
            hint="resume the run; then roll back with `kafkaops run rollback`",
        )

    def _taken(self, world: World) -> list[str]:
        if self.get(world, "time.opened") is not None:
            return ["clients were started there"]
        return written(self, world)

    def _start(self, world: World) -> None:
        self.stamp(world, "opened")  # first: from here on nobody may be started on the source
        start_there(self, world)

    def _through(self, world: World) -> None:
        if not self._goal(world).reached:
            super().act(world)
        if self.get(world, "time.opened") is None:
            self._wait(world, self.dst, self.get(world, "names.change"))
            self._start(world)

    def _back(self, world: World) -> None:
        if self.get(world, "names.change") is None and self._points_to(world, self.src):
            return  # they were never moved
        change = self.get(world, "names.back")
        if not self._points_to(world, self.src):
            super().undo(world)
            change = self.get(world, "names.back")
        self._wait(world, self.src, change)

    def _points_to(self, world: World, colour: str) -> bool:
        return self._to(world, colour).reached

    def _to(self, world: World, colour: str) -> names.Goal:
        found = world.names.records(names.wanted_names(world.config.cutover))
        return names.to_addresses(found, world.config.cutover, cluster_spec(world, colour))

    def _wait(self, world: World, colour: str, change: str | None) -> None:
        """Until every resolver answers with this cluster and caches have run out. A change whose id
        was lost with a process is given the time that Route 53 takes at the most."""
        clock, goal = world.clock, self._to(world, colour)
        cut = world.config.cutover
        until = clock.monotonic() + outage.NAMES
        due = clock.monotonic() + (0.0 if change else outage.INSYNC)
        while (
            clock.monotonic() < due
            or (change is not None and not world.names.in_sync(change))
            or not all(world.names.answer(r.name) == r.values for r in goal.records)
        ):
            if clock.monotonic() > until:
                raise TimedOut(
                    "KO-NAMES-NOT-ANSWERED",
                    f"after {outage.NAMES:g} s resolvers do not answer with {colour}; nobody is"
                    " started before they do",
                    where=cut.alias,
                )
            clock.sleep(POLL)
        clock.sleep(float(cut.cut_ttl))

    def _refuse_grown(self, world: World) -> None:
        """StepFailed when the source took records after it was proven to stand still."""
        ends = offsets_in(self.get(world, "ends") or {})
        kept = {tp: Ends(*values) for tp, values in ends.items()}
        grown = standstill.differing(kept, self.source(world).ends(kept))
        if grown:
            places = "; ".join(grown[:5])
            raise StepFailed(
                "KO-NOT-STILL",
                f"{self.src} took records after it was proven to stand still: {places}",
                where=self.src,
                hint=STRAY.format(self.src),
            )

    def _settled(self, world: World) -> bool:
        """Caches of the clients' machines keep the old answer for one TTL after every resolver had
        the new one; those of a JVM are older than its client's stop."""
        answered, stopped = (
            self.get(world, f"time.{name}") for name in ("names.answered", "hooks.stopped")
        )
        if answered is None or stopped is None:
            return False
        return (
            since(world, answered) >= world.config.cutover.cut_ttl
            and since(world, stopped) >= outage.JVM_CACHE
        )

    def _cached(self, world: World) -> float:
        return float(world.config.cutover.cut_ttl)


class NobodyLeft(Move):
    """No group has members on the source, and it holds no record that the mirror back did not
    write. Brokers know no more without a firewall that counts: who is connected and does nothing,
    or reads without a group, is not seen."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, "nobody.left") is None else State.DONE

    def safe(self, world: World) -> Blocked | None:
        found = members(self, world, self.src)
        if found:
            return Blocked(
                "KO-STILL-THERE",
                f"groups still have members on {self.src}: {', '.join(found[:10])}",
                hint="move or stop them, then finalize again",
                transient=False,
            )
        return strangers.barred(world, opposite(self.flow), self.src)

    def act(self, world: World) -> None:
        self.put(world, "nobody.left", True)
