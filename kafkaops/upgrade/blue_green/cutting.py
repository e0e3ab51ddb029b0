"""The critical section: from the fence to the moment the target takes writes.

Order and figures were measured on real clusters; see docs/blue-green.md. Invariant: at no moment do
both clusters take writes from clients, and until `Opened` the source's own kernel timers
bring writes back if nobody acts any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafkaops.cutover import fence, positions, standstill
from kafkaops.engine.errors import GuardRefused, OpsError, StepFailed
from kafkaops.engine.step import Blocked, State
from kafkaops.mirror import flow
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade import parity
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.move import (
    Move,
    cluster_spec,
    offsets_in,
    offsets_out,
    partitions_of,
    since,
)


class Fenced(Move):
    """The source's CLIENT listener is closed on every host at one moment, in phases, each
    host's kernel holding the timer that opens it again."""

    def check(self, world: World) -> State:
        states = fence.states(self.hosts(world, self.src))
        shut = [s.kind in {"timed", "permanent"} for s in states.values()]
        return State.DONE if all(shut) else State.TODO

    def act(self, world: World) -> None:
        cut, source = world.config.cutover, self.source(world)
        parts = partitions_of(self.carried(world, source))
        report = fence.fire(
            self.hosts(world, self.src),
            port=cluster_spec(world, self.src).client_port,
            budget=cut.max_write_pause,
            drain=cut.drain_window,
            quiet=cut.quiet_window if self.plain(world, self.src) else 0.0,
            doubts=lambda: [tp for tp, n in source.unreplicated(parts).items() if n],
            patience=cut.max_write_pause / 4,
            begun=lambda at: self.stamp(world, "fence.fired", at=at),
            clock=world.clock,
        )
        self.put(world, "fence", {"skew": report.skew, "hosts": report.fired})
        self.stamp(world, "fence.closed")

    def undo(self, world: World) -> None:
        fence.lift(self.hosts(world, self.src), cluster_spec(world, self.src).client_port)
        self.stamp(world, "fence.lifted")


NOT_CONFIRMED = "KO-FENCE-NOT-CONFIRMED"


@contextmanager
def held(move: Move, world: World) -> Iterator[None]:
    """What fails once the source's fence has ended by its timers fails for that reason, and says
    so: clients write and commit there again, which looks like a hole in the fence."""
    try:
        yield
    except StepFailed as failed:
        fired = move.get(world, "time.fence.fired")
        if fired is None or since(world, fired) < world.config.cutover.max_write_pause:
            raise  # at once: hosts may take long to be asked, and writers are held meanwhile
        try:
            loose = [] if outage.planned(world.config) else _loose(move, world)
        except OpsError:
            raise failed from None  # a host that does not answer: what is known is what failed
        if loose:
            raise StepFailed(
                NOT_CONFIRMED,
                f"the fence ended before it was made permanent on {loose}, after"
                f" {world.config.cutover.max_write_pause:g} s: {failed.message}",
            ) from failed
        raise


def _loose(move: Move, world: World) -> list[str]:
    """Hosts of the source that let clients in."""
    states = fence.states(move.hosts(world, move.src))
    return sorted(n for n, s in states.items() if s.kind not in {"timed", "permanent"})


class StandsStill(Move):
    """Open transactions are aborted, and two readings of every end offset are equal."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, "ends") is None else State.DONE

    def act(self, world: World) -> None:
        with held(self, world):
            ends, aborted = standstill.reach(self.source(world), self.parts(world), world.clock)
        self.put(world, "aborted", [str(p) for p in aborted])
        self.keep(world, ends)

    def parts(self, world: World) -> list[TopicPartition]:
        """What must stand still: all that is carried, which the target has too."""
        topics = self.carried(world, self.source(world))
        left = sorted(set(topics) - set(self.target(world).topics()))
        if left:
            raise StepFailed(
                "KO-TOPIC-LEFT-BEHIND",
                f"created on {self.src} too late to be carried: {left}",
                hint="run the same command again: it will be carried then",
            )
        return partitions_of(topics)

    def keep(self, world: World, ends: Mapping[TopicPartition, Ends]) -> None:
        found = {tp: [e.start, e.high_watermark, e.stable] for tp, e in ends.items()}
        self.put(world, "ends", offsets_out(found))
        self.stamp(world, "stands-still")

    def undo(self, world: World) -> None:
        self.put(world, "ends", None)


class Proven(Move):
    """Every visible record of the source is on the target, equal and in order, and nothing else."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, "proof") is None else State.DONE

    def act(self, world: World) -> None:
        ends = offsets_in(self.get(world, "ends") or {})
        stable = {tp: int(values[2]) for tp, values in ends.items()}
        pause = world.config.cutover.max_write_pause
        patience = outage.PROOF if outage.planned(world.config) else pause
        proofs = self.verification(world).seal(stable, timeout=patience)
        self.put(
            world, "proof", offsets_out({tp: vars(p) | {"tp": str(tp)} for tp, p in proofs.items()})
        )
        self.stamp(world, "proven")

    def undo(self, world: World) -> None:
        self.put(world, "proof", None)


class MirrorStopped(Move):
    """The mirror is told to stop, and its transactional ids are fenced so that no task of it can
    commit anything more (a killed exactly-once mirror held the target's LSO for 64 s). That is
    enough inside the pause: `MirrorGone` waits for the tasks afterwards."""

    def check(self, world: World) -> State:
        return State.DONE if self.get(world, "mirror.fenced") else State.TODO

    def act(self, world: World) -> None:
        if world.config.mirror.exactly_once:
            flow.ask_to_stop(self.connect(world), self.flow)
        else:
            flow.stop(self.connect(world), self.flow, world.clock)
        flow.fence_ids(self.target(world), self.flow, world.config.mirror)
        self.put(world, "mirror.fenced", True)
        self.stamp(world, "mirror.stopped")

    def undo(self, world: World) -> None:
        self.put(world, "mirror.fenced", None)
        flow.resume(self.connect(world), self.flow)


class MirrorGone(Move):
    """No task of the mirror is left."""

    def check(self, world: World) -> State:
        return State.DONE if flow.is_stopped(self.connect(world), self.flow) else State.TODO

    def act(self, world: World) -> None:
        flow.stop(self.connect(world), self.flow, world.clock)


class GroupsMoved(Move):
    """Every group's position is committed on the target, translated exactly, and read back."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, "groups") is None else State.DONE

    def act(self, world: World) -> None:
        with held(self, world):
            plan = positions.plan(
                self.source(world).groups(),
                offsets_in(self.get(world, "ends") or {}),
                self.verification(world),
            )
        stand = positions.commit(plan, self.target(world))
        self.put(world, "groups", positions.to_json(stand))
        self.stamp(world, "committed")

    def undo(self, world: World) -> None:
        self.put(world, "groups", None)


class DeferredConfigs(Move):
    """What had to differ until the cut (timestamps) is set now."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, "deferred.set") is None else State.DONE

    def act(self, world: World) -> None:
        parity.apply_deferred(self.get(world, "parity.deferred") or [], self.target(world))
        self.put(world, "deferred.set", True)

    def undo(self, world: World) -> None:
        parity.reopen_deferred(self.get(world, "parity.deferred") or [], self.target(world))
        self.put(world, "deferred.set", None)


class TimersDisarmed(Move):
    """The fence on every source host no longer ends by itself. A host that does not confirm,
    because its timer ran out first or it cannot be reached, means going back."""

    def check(self, world: World) -> State:
        states = fence.states(self.hosts(world, self.src))
        done = all(s.kind == "permanent" for s in states.values())
        return State.DONE if done else State.TODO

    def act(self, world: World) -> None:
        port = cluster_spec(world, self.src).client_port
        confirmed = fence.disarm(self.hosts(world, self.src), port)
        refused = sorted(name for name, ok in confirmed.items() if not ok)
        if refused:
            raise StepFailed(
                NOT_CONFIRMED,
                f"the fence ended before it was made permanent on {refused}",
            )
        self.stamp(world, "disarmed")

    def undo(self, world: World) -> None:
        fence.lift(self.hosts(world, self.src), cluster_spec(world, self.src).client_port)
        self.stamp(world, "fence.lifted")


class Opened(Move):
    """The target takes writes: its forward off, its fence lifted, on every host."""

    def check(self, world: World) -> State:
        states = fence.states(self.hosts(world, self.dst))
        done = all(s.kind == "open" and not s.forward for s in states.values())
        if done and self.get(world, "time.opened") is None:
            self.stamp(world, "opened")  # the process that opened it died before it could
        return State.DONE if done else State.TODO

    def safe(self, world: World) -> Blocked | None:
        states = fence.states(self.hosts(world, self.src))
        loose = sorted(n for n, s in states.items() if s.kind != "permanent")
        if loose:
            return Blocked(
                "KO-SOURCE-NOT-FENCED",
                f"{loose} would take writes beside {self.dst}",
                transient=False,
            )
        return None

    def act(self, world: World) -> None:
        self._open(world)

    def _open(self, world: World) -> None:
        fence.open_(
            self.hosts(world, self.dst),
            cluster_spec(world, self.dst).client_port,
            rejoin=world.config.cutover.rejoin_window if self.plain(world, self.dst) else 0.0,
        )
        self.stamp(world, "opened")

    def undo(self, world: World) -> None:
        """Close again; refused when a client may already have written, for then going back
        would lose it and only forward is right."""
        port = cluster_spec(world, self.dst).client_port
        if world.config.cutover.forward == "forward":
            fence.close_and_forward(self._pairs(world), port)
        else:
            fence.close(self.hosts(world, self.dst), port)
        found = written(self, world)
        if found:
            # forward is the only right way now: finish opening, so that a resume finds it done
            self._open(world)
            raise GuardRefused(
                "KO-TARGET-WRITTEN",
                f"{self.dst} already took records ({found[:5]}); going back would lose them",
                hint="resume the run; then roll back with `kafkaops run rollback`",
            )

    def _pairs(self, world: World) -> list[tuple[Any, str]]:
        source = {h.node_id: h.address for h in cluster_spec(world, self.src).hosts}
        return [
            (world.hosts[h.name], source[h.node_id]) for h in cluster_spec(world, self.dst).hosts
        ]


def written(move: Move, world: World) -> list[str]:
    """Partitions of the target with a visible record past the proof; the markers of a fenced mirror
    are none."""
    proof: dict[str, Any] = move.get(world, "proof") or {}
    sealed = {tp: int(p["target_end"]) for tp, p in offsets_in(proof).items()}
    target = move.target(world)
    now = target.ends(sealed)
    return sorted(
        str(tp)
        for tp, end in sealed.items()
        if now[tp].high_watermark > end and target.consume(tp, end, 1)
    )
