"""A placement that is applied, as an operator drives it: begin, go on, call off, go back.

Ctrl-C and `cancel` call off what is on its way, and leave what is finished; both can be gone on
with. Going back is a placement of its own, with the moves of the finished waves reversed, under the
same gates and throttles. Invariant: whatever way it ends by itself, every throttle is as it was
before it began.
"""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine import history as h
from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.engine.history import History
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.engine.stepping import Interrupted
from kafkaops.placement.applying import dirs_moving, registry, spec_args, survey, throttling
from kafkaops.placement.applying.calling_off import CalledOff, call_off
from kafkaops.placement.applying.planner import BACK, OPERATION, Options
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
    be gone on with, or be rolled back."""
    journal = conduct.run.current()
    past = History(journal)
    if past.ended or past.rolled_back:
        raise GuardRefused(
            "KO-PLACEMENT-OVER",
            f"run {conduct.run.id} is over: nothing of it is on its way",
            hint=f"kafkaops run rollback {conduct.run.id}   takes back what it did",
        )
    found = _called_off(conduct, journal.plan, past)
    past.note(h.STOP, why="called off")
    _refuse_kept(conduct, found)
    return RunResult(conduct.run.id, "called-off", (), tuple(map(str, found.returned)), 0.0)


def rollback(conduct: Conduct) -> RunResult:
    """Call off what is on its way, then move back what was finished."""
    journal = conduct.run.current()
    if journal.plan.operation == BACK:
        return resume(conduct)
    found = _called_off(conduct, journal.plan, History(journal))
    _refuse_kept(conduct, found)
    plan = survey.way_back(conduct.world, journal.plan)
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


def _called_off(conduct: Conduct, plan: Plan, past: History) -> CalledOff:
    """Only waves that were begun: what somebody else did to the others is theirs."""
    world = conduct.world
    cluster = world.clusters[Options.of(plan.snapshot["options"]).cluster]
    begun = [s for s in plan.specs if s.id in past.begun]
    moves = [
        m
        for s in begun
        if s.kind == "partitions-moved"
        for m in spec_args.moves_of(s.args["moves"])
    ]
    dirs = [d for s in begun if s.kind == "dirs-moved" for d in spec_args.dirs_of(s.args["dirs"])]
    found = call_off(cluster, world.clock, moves) if moves else CalledOff()
    if dirs:
        dirs_moving.keep_where_they_are(cluster, dirs)
    _throttles_back(world, plan)
    _tell(world, found)
    return found


def _throttles_back(world: World, plan: Plan) -> None:
    for spec in plan.specs:
        if spec.kind == "throttled":
            throttling.Throttled(spec).give_back(world)


def _tell(world: World, found: CalledOff) -> None:
    if found.returned:
        world.say(f"called off, and back in their order: {len(found.returned)} partitions")
    if found.finished:
        world.say(f"finished, and left where they are: {len(found.finished)} partitions")
    if found.foreign:
        names = ", ".join(map(str, found.foreign[:5]))
        world.say(f"somebody else's now, and left alone: {names}")


def _refuse_kept(conduct: Conduct, found: CalledOff) -> None:
    if found.kept:
        raise StepFailed(
            "KO-PLACEMENT-KEPT",
            f"{len(found.kept)} partitions were not called off, for too few would be left in sync:"
            f" {'; '.join(found.kept[:5])}",
            hint=f"they end by themselves; then: kafkaops run resume {conduct.run.id}",
        )
