"""A placement that is applied, as an operator drives it: begin, go on, call off, go back.

Ctrl-C and `cancel` call off what is on its way, and leave what is finished; both can be gone on
with. Going back is a placement of its own, with the moves of the finished waves reversed, under the
same gates and throttles. Invariant: whatever way it ends by itself, every throttle is as it was
before it began; where it fails while copies are on their way, each that is set is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kafkaops.engine import history as h
from kafkaops.engine.errors import GuardRefused, LeaseHeld, OpsError, StepFailed
from kafkaops.engine.history import History
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.engine.stepping import Interrupted
from kafkaops.placement.applying import dirs_moving, registry, survey, throttling
from kafkaops.placement.applying import planner as applying
from kafkaops.placement.applying.calling_off import CalledOff, call_off
from kafkaops.placement.applying.planner import BACK, OPERATION, Options
from kafkaops.placement.moves import DirMove, Move
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.world import World

__all__ = ["BACK", "OPERATION", "begin", "cancel", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused, with what differs, where the partitions that it moves,
    the brokers, their racks or the throttles are not what it was made from."""
    now = survey.snapshot(conduct.world, plan)
    steps = registry.of(plan)
    return _stoppable(conduct, lambda: conduct.begin(plan, steps, now, "kafkaops placement plan"))


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    steps = registry.of(conduct.run.look().plan)
    return _stoppable(conduct, lambda: conduct.resume(steps))


def cancel(conduct: Conduct) -> RunResult:
    """Call off what is on its way and give the throttles back. What is finished stays; the run can
    be gone on with, or be rolled back. Of a run that is over it clears what is left of its
    throttles, as on a broker that was down in the end."""
    journal = conduct.run.current()
    past = History(journal)
    if past.ended or past.rolled_back:
        return _cleared(conduct)
    found = _called_off(conduct, journal.plan, past)
    past.note(h.STOP, why=h.CALLED_OFF)
    _refuse_kept(conduct, found)
    return RunResult(conduct.run.id, "called-off", (), tuple(map(str, found.returned)), 0.0)


def _cleared(conduct: Conduct) -> RunResult:
    """GuardRefused (KO-PLACEMENT-OVER) where nothing of it is left that can be reached."""
    conduct.lease.verify()
    world, left = conduct.world, []
    for journal in reversed(conduct.run.looks()):
        for step in _throttled(journal.plan, History(journal)):
            left += step.left(world)
            step.give_back(world)
    if not left:
        raise GuardRefused(
            "KO-PLACEMENT-OVER",
            f"run {conduct.run.id} is over: nothing of it is on its way, and no throttle of it is"
            " set on what is up",
            hint=f"kafkaops run rollback {conduct.run.id}   takes back what it did",
        )
    world.say(f"throttles cleared: {'; '.join(left)}")
    return RunResult(conduct.run.id, "cleared", (), (), 0.0)


def rollback(conduct: Conduct) -> RunResult:
    """Call off what is on its way, then move back what was finished."""
    journal = conduct.run.current()
    if journal.plan.operation == BACK:
        return resume(conduct)
    past = History(journal)
    found = _called_off(conduct, journal.plan, past)
    _refuse_kept(conduct, found)
    plan = survey.way_back(conduct.world, journal.plan, *_begun(journal.plan, past))
    if not plan.specs:
        return conduct.undo(registry.of(journal.plan))
    return _stoppable(conduct, lambda: conduct.carry(plan, registry.of(plan)))


def finalize(conduct: Conduct) -> RunResult:
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        f"run {conduct.run.id} moves replicas: it is done when it is done",
        hint=f"kafkaops run show {conduct.run.id}",
    )


def _stoppable(conduct: Conduct, work: Callable[[], RunResult]) -> RunResult:
    try:
        return work()
    except Interrupted:
        journal = conduct.run.current()
        found = _called_off(conduct, journal.plan, History(journal))
        _refuse_kept(conduct, found)
        raise
    except OpsError as error:
        if conduct.run.journals():
            _after(conduct, error)
        raise


def _after(conduct: Conduct, error: OpsError) -> None:
    """The throttles of a run that failed: given back where nothing is on its way, as a resume sets
    them again; else they hold what is, and are named with what clears them."""
    world, journal = conduct.world, conduct.run.look()
    clear = f"kafkaops placement cancel {conduct.run.id}"
    for step in _throttled(journal.plan, History(journal)):
        try:
            if isinstance(error, LeaseHeld):
                raise error
            if not _on_its_way(conduct, journal.plan, History(journal)):
                conduct.lease.verify()
                step.give_back(world)
            elif left := step.left(world):
                world.say(f"still set, for copies are on their way: {'; '.join(left)}")
                world.say(f"{clear}   calls them off and clears the throttles")
        except OpsError as second:
            world.say(f"throttles of this run may still be set: {second.message}")
            world.say(f"{clear}   clears them")


def _on_its_way(conduct: Conduct, plan: Plan, past: History) -> bool:
    cluster = _cluster(conduct, plan)
    moves, dirs = _begun(plan, past)
    moving = cluster.reassignments()
    return any(m.tp in moving for m in moves) or bool(dirs_moving.arriving(cluster, dirs))


def _begun(plan: Plan, past: History) -> tuple[tuple[Move, ...], tuple[DirMove, ...]]:
    """Only waves that were begun: what somebody else did to the others is theirs."""
    some = replace(plan, specs=tuple(s for s in plan.specs if s.id in past.begun))
    return applying.moves_of(some), applying.dirs_of(some)


def _throttled(plan: Plan, past: History) -> list[throttling.Throttled]:
    return [
        throttling.Throttled(s) for s in plan.specs if s.kind == "throttled" and s.id in past.begun
    ]


def _cluster(conduct: Conduct, plan: Plan) -> Cluster:
    return conduct.world.clusters[Options.of(plan.snapshot["options"]).cluster]


def _called_off(conduct: Conduct, plan: Plan, past: History) -> CalledOff:
    """However it ends, the throttles are given back; unless the lease is lost, for then nothing may
    be changed any more."""
    world, cluster, verify = conduct.world, _cluster(conduct, plan), conduct.lease.verify
    verify()
    moves, dirs = _begun(plan, past)
    found = CalledOff()
    try:
        if moves:
            found = call_off(cluster, world.clock, moves, verify)
        if dirs:
            verify()
            dirs_moving.keep_where_they_are(cluster, dirs)
    except Exception as error:
        _after_all(conduct, plan, past, error)
        raise
    verify()
    for step in _throttled(plan, past):
        step.give_back(world)
    _tell(world, found)
    return found


def _after_all(conduct: Conduct, plan: Plan, past: History, error: Exception) -> None:
    """The throttles of what could not be called off; the error itself is what must be heard."""
    try:
        if isinstance(error, LeaseHeld):
            raise error
        conduct.lease.verify()
        for step in _throttled(plan, past):
            step.give_back(conduct.world)
    except OpsError as second:
        conduct.world.say(f"throttles of this run may still be set: {second.message}")


def _tell(world: World, found: CalledOff) -> None:
    if found.returned:
        world.say(f"called off, and back in their order: {len(found.returned)} partitions")
    if found.finished:
        world.say(f"finished, and left where they are: {len(found.finished)} partitions")
    if found.foreign:
        names = ", ".join(map(str, found.foreign[:5]))
        world.say(f"somebody else's now, and left alone: {names}")
    for line in found.unordered:
        world.say(f"called off, in another order: {line}")


def _refuse_kept(conduct: Conduct, found: CalledOff) -> None:
    if found.kept:
        raise StepFailed(
            "KO-PLACEMENT-KEPT",
            f"{len(found.kept)} partitions were not called off, for too few would be left in sync:"
            f" {'; '.join(found.kept[:5])}",
            hint=f"they end by themselves; then: kafkaops run resume {conduct.run.id}",
        )
