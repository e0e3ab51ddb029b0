"""One operation on one cluster as a command carries it out: plan, show, ask, run, go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, GuardRefused, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan
    from kafkaops.ports.world import World


def _never(found: Plan | Run) -> bool:
    return False


@dataclass(frozen=True)
class Job:
    """`operation` is the plan's, `noun` what people call it, `nothing` what to say where nothing is
    left to do. `lines` show a plan; `what` is the sentence that consent is asked for, with the
    cluster's name; `severe` and `severe_still` say whether it must be agreed to by name; `leave` is
    the command that ends a run and keeps what it finished, where there is one."""

    operation: str
    noun: str
    nothing: str
    lines: Callable[[Plan], Iterable[str]]
    what: Callable[[Plan, str], str]
    severe: Callable[[Plan], bool] = _never
    severe_still: Callable[[Run], bool] = _never
    leave: str = ""


@dataclass(frozen=True)
class Wish:
    """What to do with the plan: show it, save it to `out`, `detailed` exit code."""

    plan: bool
    out: str | None
    detailed: bool


@dataclass(frozen=True)
class Asked:
    """What was asked for: the cluster's colour, and all options as the plan keeps them. `make`
    plans it, under the id that a run of it would have; `looking` says what that looks at."""

    colour: str
    options: Mapping[str, Any]
    make: Callable[[World, str], Plan]
    looking: str


def colour_of(cluster: str) -> str:
    """UsageFault for what is neither blue nor green."""
    if cluster not in ("blue", "green"):
        raise UsageFault(
            "KO-CLUSTER-UNKNOWN", f"there is no cluster {cluster!r}", hint="--cluster blue|green"
        )
    return cluster


def carried_out(job: Job, asked: Asked, wish: Wish, orders: Orders) -> int:
    """Go on with one that did not end, or plan, show, ask and run."""
    from kafkaops.cli import carry, plans, runs
    from kafkaops.cli.ending import ended
    from kafkaops.cli.output import Text, emit, news

    loaded = current().load()
    before = runs.latest(loaded, job.operation)
    looking = wish.plan or wish.out is not None
    if before is not None and before.status in runs.UNFINISHED and not looking:
        _same(job, before, asked, loaded)
        news(f"run {before.id} did not end ({before.status.value}): going on with it")
        words = f"This goes on with run {before.id}."
        _agree(loaded, asked.colour, words, orders, severe=job.severe_still(before))
        result = carry.carry(loaded, before.directory, orders, current().operations.resume)
        return ended(loaded, before.id, result.outcome)
    made = _planned(job, loaded, asked)
    if wish.out is not None:
        plans.save(made, wish.out)
    if looking:
        return show(job, made, wish)
    if not made.specs:
        emit(
            {"outcome": "nothing-to-do", "notes": list(made.notes)},
            Text(f"nothing to do: {job.nothing}"),
            *(Text(f"note: {note}") for note in made.notes),
        )
        return Exit.OK
    return begin(job, loaded, made, orders)


def shown(job: Job, asked: Asked, wish: Wish) -> int:
    """Plan and show, whatever ran before."""
    from kafkaops.cli import plans

    made = _planned(job, current().load(), asked)
    if wish.out is not None:
        plans.save(made, wish.out)
    return show(job, made, wish)


def begin(job: Job, loaded: Loaded, plan: Plan, orders: Orders) -> int:
    """Show the plan on stderr, ask, run it, and say how it ended."""
    from kafkaops.cli import carry, runs
    from kafkaops.cli.ending import ended
    from kafkaops.cli.output import news

    for line in job.lines(plan):
        news(line)
    colour = str(plan.snapshot["options"]["cluster"])
    what = job.what(plan, getattr(loaded.config, colour).name)
    _agree(loaded, colour, what, orders, severe=job.severe(plan))
    directory = runs.store(loaded).run(plan.id)
    operations = current().operations
    result = carry.carry(loaded, directory, orders, lambda c: operations.begin(c, plan))
    return ended(loaded, plan.id, result.outcome)


def show(job: Job, plan: Plan, wish: Wish) -> int:
    """The plan on stdout."""
    import sys

    from kafkaops.cli import plans
    from kafkaops.cli.output import Text, emit
    from kafkaops.engine.plan_json import to_json

    flag = f" -c {current().config}" if current().config is not None else ""
    out = wish.out
    saved = [] if out is None else [f"saved to {out}; run it with: kafkaops apply {out}{flag}"]
    if sys.stdout.isatty():
        emit({"plan": to_json(plan)}, *(Text(x) for x in (*job.lines(plan), *saved)))
    else:
        words = [*(f"note: {note}" for note in plan.notes), *saved]
        emit({"plan": to_json(plan)}, plans.table(plan), *(Text(x) for x in words))
    return Exit.CHANGES if wish.detailed and plan.specs else Exit.OK


def _planned(job: Job, loaded: Loaded, asked: Asked) -> Plan:
    from kafkaops.cli.output import news

    world = current().operations.world(loaded.config, run_dir=None, say=news)
    run = run_id(loaded, world, job.operation)
    news(asked.looking)
    return asked.make(world, run)


def run_id(loaded: Loaded, world: World, kind: str = "") -> str:
    """The id of a new run: the config's name, what it is, and now; counted where that is taken."""
    from kafkaops.cli import runs

    at = datetime.fromtimestamp(world.clock.wall(), UTC)
    name = "-".join(filter(None, (loaded.config.name, kind, f"{at:%Y%m%d-%H%M%S}")))
    taken = {summary.id for summary in runs.store(loaded).list()}
    return next(i for i in (name, *(f"{name}-{n}" for n in range(2, 1000))) if i not in taken)


def _same(job: Job, run: Run, asked: Asked, loaded: Loaded) -> None:
    """One that did not end is gone on with only by who asks for the same."""
    from kafkaops.cli.carry import busy, config_flag
    from kafkaops.cli.runs import Status
    from kafkaops.engine.plan_json import drift

    if run.status is Status.RUNNING:
        raise busy(run)
    differs = drift(run.journals[0].plan.snapshot["options"], asked.options)
    if differs or run.going_back:
        flag = config_flag(loaded)
        way = "is on its way back" if run.going_back else f"did not end ({run.status.value})"
        raise GuardRefused(
            "KO-RUN-UNFINISHED",
            f"the {job.noun} {run.id} {way}"
            + (f", and was asked for otherwise: {differs[0]}" if differs else ""),
            where=run.id,
            hint=f"kafkaops run resume {run.id}{flag}, or end it: run rollback {run.id}{flag}"
            + (f"; to keep what is finished: {job.leave} {run.id}{flag}" if job.leave else ""),
        )


def _agree(loaded: Loaded, colour: str, what: str, orders: Orders, *, severe: bool) -> None:
    from kafkaops.cli import consent

    guarded = getattr(loaded.config, colour).protected
    consent.require(
        consent.tier_of(changes=True, severe=severe, protected=guarded),
        what,
        name=loaded.config.name,
        yes=orders.yes,
        confirm=orders.confirm,
    )
