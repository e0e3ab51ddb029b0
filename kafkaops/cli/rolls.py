"""What `restart` and a rolling upgrade share: plan, show, ask, run, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, GuardRefused, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan
    from kafkaops.upgrade.rolling.choosing import Options


STOPS = ("node-stopped", "outage-down")
"""Kinds of the steps that stop a node."""


@dataclass(frozen=True)
class Kind:
    """The words of one kind of roll. `operation` is the plan's; `name` goes into a run's id."""

    operation: str
    name: str
    noun: str
    verb: str
    back: str


RESTART = Kind(
    "restart",
    "restart",
    "restart",
    "restarts",
    "going back starts what is down; a restart itself cannot be undone",
)
UPGRADE = Kind(
    "rolling",
    "rolling",
    "rolling upgrade",
    "upgrades, one batch after the other,",
    "going back is a roll of its own, to what each node ran before: kafkaops run rollback",
)
DOWNTIME = Kind(
    "downtime",
    "downtime",
    "upgrade with an outage",
    "stops, upgrades and starts all",
    "going back is an outage of its own, to what each node ran before: kafkaops run rollback",
)
KINDS = {kind.operation: kind for kind in (RESTART, UPGRADE, DOWNTIME)}


def checked(cluster: str, max_batch: int | None, whole_racks: bool) -> int:
    """The largest batch. UsageFault for flags that make no sense together."""
    from kafkaops.upgrade.batches import MAX_BATCH

    if max_batch is not None and whole_racks:
        raise UsageFault(
            "KO-USAGE", "--max-batch and --whole-racks contradict each other", hint="give one"
        )
    if cluster not in ("blue", "green"):
        raise UsageFault(
            "KO-CLUSTER-UNKNOWN", f"there is no cluster {cluster!r}", hint="--cluster blue|green"
        )
    return MAX_BATCH if max_batch is None else max_batch


@dataclass(frozen=True)
class Wish:
    """What to do with the plan: show it, save it to `out`, `detailed` exit code."""

    plan: bool
    out: str | None
    detailed: bool


def carried_out(kind: Kind, loaded: Loaded, options: Options, wish: Wish, orders: Orders) -> int:
    """Go on with one that did not end, or plan, show, ask and run."""
    from kafkaops.cli import carry, plans, runs
    from kafkaops.cli.output import Text, emit, news
    from kafkaops.cli.upgrade import ended

    before = runs.latest(loaded, kind.operation)
    looking = wish.plan or wish.out is not None
    if before is not None and before.status in runs.UNFINISHED and not looking:
        _same(kind, before, options, loaded)
        news(f"run {before.id} did not end ({before.status.value}): going on with it")
        _agree(loaded, options.cluster, f"This goes on with run {before.id}.", orders)
        result = carry.carry(loaded, before.directory, orders, current().operations.resume)
        return ended(loaded, before.id, result.outcome)
    made = new_plan(kind, loaded, options)
    if wish.out is not None:
        plans.save(made, wish.out)
    if looking:
        return _show(made, wish.out, detailed=wish.detailed)
    if not made.specs:
        emit(
            {"outcome": "nothing-to-do", "notes": list(made.notes)},
            Text(f"nothing to do: nobody is left to {kind.noun.split()[-1]}"),
            *(Text(f"note: {note}") for note in made.notes),
        )
        return Exit.OK
    return begin(loaded, made, orders)


def upgraded(strategy: str, options: Options, wish: Wish, orders: Orders) -> int:
    """An upgrade on the cluster's own hosts. UsageFault without a release to go to."""
    if options.to is None:
        raise UsageFault(
            "KO-USAGE",
            f"Missing option '--to': {strategy} installs a version.",
            where=f"kafkaops upgrade --strategy {strategy}",
            hint="--to 4.3.1, with its tarball under `versions` in the config",
        )
    from kafkaops.upgrade.install.release import Release

    Release.of(options.to)
    return carried_out(KINDS[strategy], current().load(), options, wish, orders)


def new_plan(kind: Kind, loaded: Loaded, options: Options) -> Plan:
    from kafkaops.cli import runs
    from kafkaops.cli.output import news

    operations = current().operations
    world = operations.world(loaded.config, run_dir=None, say=news)
    at = datetime.fromtimestamp(world.clock.wall(), UTC)
    name = f"{loaded.config.name}-{kind.name}-{at:%Y%m%d-%H%M%S}"
    taken = {summary.id for summary in runs.store(loaded).list()}
    run = next(i for i in (name, *(f"{name}-{n}" for n in range(2, 1000))) if i not in taken)
    news(f"looking at {options.cluster} and its hosts")
    return operations.plan_roll(world, run, options, kind.operation)


def begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    """Show the plan on stderr, ask, run it, and say how it ended."""
    from kafkaops.cli import carry, runs
    from kafkaops.cli.output import news
    from kafkaops.cli.upgrade import ended

    for line in lines(plan):
        news(line)
    colour = str(plan.snapshot["options"]["cluster"])
    to = plan.snapshot["options"].get("to")
    what = f"This {KINDS[plan.operation].verb} {len(nodes(plan))} nodes of"
    what += f" {getattr(loaded.config, colour).name}{f' to {to}' if to else ''}."
    _agree(loaded, colour, what, orders)
    directory = runs.store(loaded).run(plan.id)
    operations = current().operations
    result = carry.carry(loaded, directory, orders, lambda c: operations.begin(c, plan))
    return ended(loaded, plan.id, result.outcome)


def nodes(plan: Plan) -> list[str]:
    """Hosts whose nodes the plan restarts, in order."""
    return [str(s.args["host"]) for s in plan.specs if s.kind in STOPS]


def summary(run: Run) -> list[str]:
    """Who was restarted, by which way, and is back; and who is not."""
    facts = run.directory.facts()
    plan = run.last.plan
    notes = next((str(s.args["notes"]) for s in plan.specs if "notes" in s.args), plan.operation)
    every = nodes(plan)
    version = {
        str(s.args["host"]): str(s.args.get("version", "")) for s in plan.specs if s.kind in STOPS
    }
    end = "up" if plan.operation.startswith(DOWNTIME.operation) else "soaked"
    back = [name for name in every if facts.get(f"{notes}.{name}.{end}") is not None]
    found = []
    for release in dict.fromkeys(version[name] for name in back):
        names = ", ".join(name for name in back if version[name] == release)
        what = f"on {release} and in sync" if release else "restarted and back in sync"
        found.append(f"{what}: {names}")
    begun, over = (facts.get(f"{notes}.outage-{end}") for end in ("begun", "over"))
    if begun and over:
        found.append(f"the outage: {over['wall'] - begun['wall']:.1f} s")
    left = [name for name in every if name not in back]
    if left:
        found.append(f"not restarted, or not watched to the end: {', '.join(left)}")
    return found or ["restarted and back in sync: nobody"]


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: the batches, and once what is done to each."""
    titles = current().operations.titles()
    kind = KINDS[plan.operation]
    yield f"plan {plan.id}: {kind.noun} of {plan.cluster}, {len(nodes(plan))} nodes"
    for note in plan.notes:
        yield f"  {note}"
    once = [s.phase for s in plan.specs if s.kind in ("version-ready", "version-tried")]
    if once:
        yield "  for every host, before the first stop:"
        for phase in dict.fromkeys(once):
            yield f"    {phase:<8} {titles.get(phase, phase)}"
    yield "  then:" if kind is DOWNTIME else "  for each batch:"
    for phase in dict.fromkeys(s.phase for s in plan.specs if s.phase not in once):
        yield f"    {phase:<8} {titles.get(phase, phase)}"
    yield f"  {kind.back}"


def _same(kind: Kind, run: Run, options: Options, loaded: Loaded) -> None:
    """One that did not end is gone on with only by who asks for the same."""
    from kafkaops.cli.carry import busy, config_flag
    from kafkaops.cli.runs import Status
    from kafkaops.engine.plan_json import drift

    if run.status is Status.RUNNING:
        raise busy(run)
    differs = drift(run.journals[0].plan.snapshot["options"], options.to_json())
    if differs or run.going_back:
        flag = config_flag(loaded)
        way = "is on its way back" if run.going_back else f"did not end ({run.status.value})"
        raise GuardRefused(
            "KO-RUN-UNFINISHED",
            f"the {kind.noun} {run.id} {way}"
            + (f", and was asked for otherwise: {differs[0]}" if differs else ""),
            where=run.id,
            hint=f"kafkaops run resume {run.id}{flag}, or end it: run rollback {run.id}{flag}",
        )


def _agree(loaded: Loaded, colour: str, what: str, orders: Orders) -> None:
    from kafkaops.cli import consent

    consent.require(
        consent.tier_of(changes=True, protected=getattr(loaded.config, colour).protected),
        what,
        name=loaded.config.name,
        yes=orders.yes,
        confirm=orders.confirm,
    )


def _show(plan: Plan, out: str | None, *, detailed: bool) -> int:
    import sys

    from kafkaops.cli import plans
    from kafkaops.cli.output import Text, emit
    from kafkaops.engine.plan_json import to_json

    flag = f" -c {current().config}" if current().config is not None else ""
    saved = [] if out is None else [f"saved to {out}; run it with: kafkaops apply {out}{flag}"]
    if sys.stdout.isatty():
        emit({"plan": to_json(plan)}, *(Text(x) for x in (*lines(plan), *saved)))
    else:
        words = [*(f"note: {note}" for note in plan.notes), *saved]
        emit({"plan": to_json(plan)}, plans.table(plan), *(Text(x) for x in words))
    return Exit.CHANGES if detailed and plan.specs else Exit.OK
