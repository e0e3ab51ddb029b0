"""`kafkaops restart`: the safe rolling restart of one cluster. Plan, show, ask, run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.session import current
from kafkaops.cli.upgrade import Confirm, Detailed, Reason, Yes
from kafkaops.engine.errors import Exit, GuardRefused, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan
    from kafkaops.upgrade.rolling.choosing import Options

app = make_app()


@app.command(cls=OpsCommand)
def restart(
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="blue|green", help="Which cluster.")
    ] = "blue",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NODE|HOST", help="Only this one; may be repeated."),
    ] = None,
    rack: Annotated[str | None, typer.Option("--rack", help="Only the brokers of a rack.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--not-restarted-since",
            metavar="TIME",
            help="Only who runs since before then: 2026-11-26T10:00Z.",
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option("--max-batch", metavar="N", help="Brokers in a batch at most; default 3."),
    ] = None,
    whole_racks: Annotated[
        bool,
        typer.Option("--whole-racks", help="Batches as large as the largest rack: no margin left."),
    ] = False,
    soak: Annotated[
        float, typer.Option("--soak", metavar="S", min=0, help="Seconds to watch each batch after.")
    ] = 10.0,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-unavailable",
            metavar="GLOB",
            help="Topics or partitions that no order can keep writable; may be repeated.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Save the plan, for `apply`.")
    ] = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Restart the nodes of one cluster, batch by batch, without losing a write.

    Before each stop fresh metadata says what it would do to every partition; a node counts as back
    when it is in the ISR of all that it had. The same command again goes on with a restart that
    did not end.

    \b
    Examples:
      kafkaops restart --cluster blue --plan
      kafkaops restart --cluster blue --yes --reason CHG-1234
      kafkaops restart --only 3 --only blue-5 --soak 60
      kafkaops restart --not-restarted-since 2026-11-26T10:00Z --whole-racks
      kafkaops restart --rack eu-west-1a --plan --out plan.json
    """
    from kafkaops.cli import carry, plans, runs
    from kafkaops.cli.output import Text, emit, news
    from kafkaops.cli.upgrade import ended
    from kafkaops.upgrade.batches import MAX_BATCH
    from kafkaops.upgrade.rolling.choosing import Options

    if max_batch is not None and whole_racks:
        raise UsageFault(
            "KO-USAGE", "--max-batch and --whole-racks contradict each other", hint="give one"
        )
    if cluster not in ("blue", "green"):
        raise UsageFault(
            "KO-CLUSTER-UNKNOWN", f"there is no cluster {cluster!r}", hint="--cluster blue|green"
        )
    options = Options(
        cluster,
        tuple(only or ()),
        rack,
        None if since is None else moment(since),
        MAX_BATCH if max_batch is None else max_batch,
        whole_racks,
        soak,
        tuple(accept or ()),
    )
    loaded = current().load()
    orders = carry.Orders(yes, confirm, None, reason)
    before = runs.latest(loaded, runs.RESTART)
    if before is not None and before.status in runs.UNFINISHED and not plan and out is None:
        _same(before, options, loaded)
        news(f"run {before.id} did not end ({before.status.value}): going on with it")
        _agree(loaded, options.cluster, f"This goes on with run {before.id}.", orders)
        result = carry.carry(loaded, before.directory, orders, current().operations.resume)
        return ended(loaded, before.id, result.outcome)
    made = new_plan(loaded, options)
    if out is not None:
        plans.save(made, out)
    if plan or out is not None:
        return _show(made, out, detailed=detailed)
    if not made.specs:
        emit(
            {"outcome": "nothing-to-do", "notes": list(made.notes)},
            Text("nothing to do: nobody is left to restart"),
            *(Text(f"note: {note}") for note in made.notes),
        )
        return Exit.OK
    return begin(loaded, made, orders)


def moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 time; UTC where it has no offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFault(
            "KO-TIME", f"{text!r} is no time", hint="--not-restarted-since 2026-11-26T10:00Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def new_plan(loaded: Loaded, options: Options) -> Plan:
    from kafkaops.cli import runs
    from kafkaops.cli.output import news

    operations = current().operations
    world = operations.world(loaded.config, run_dir=None, say=news)
    at = datetime.fromtimestamp(world.clock.wall(), UTC)
    name = f"{loaded.config.name}-restart-{at:%Y%m%d-%H%M%S}"
    taken = {summary.id for summary in runs.store(loaded).list()}
    run = next(i for i in (name, *(f"{name}-{n}" for n in range(2, 1000))) if i not in taken)
    news(f"looking at {options.cluster} and its hosts")
    return operations.plan_restart(world, run, options)


def begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    """Show the plan on stderr, ask, run it, and say how it ended."""
    from kafkaops.cli import carry, runs
    from kafkaops.cli.output import news
    from kafkaops.cli.upgrade import ended

    for line in lines(plan):
        news(line)
    colour = str(plan.snapshot["options"]["cluster"])
    count = len(nodes(plan))
    what = f"This restarts {count} nodes of {getattr(loaded.config, colour).name}."
    _agree(loaded, colour, what, orders)
    directory = runs.store(loaded).run(plan.id)
    operations = current().operations
    result = carry.carry(loaded, directory, orders, lambda c: operations.begin(c, plan))
    return ended(loaded, plan.id, result.outcome)


def nodes(plan: Plan) -> list[str]:
    """Hosts whose nodes the plan restarts, in order."""
    return [str(s.args["host"]) for s in plan.specs if s.kind == "node-stopped"]


def summary(run: Run) -> list[str]:
    """Who was restarted and is back, and who is not."""
    facts = run.directory.facts()
    every = nodes(run.last.plan)
    back = [name for name in every if facts.get(f"restart.{name}.soaked") is not None]
    found = [f"restarted and back in sync: {', '.join(back) or 'nobody'}"]
    left = [name for name in every if name not in back]
    return found + (
        [f"not restarted, or not watched to the end: {', '.join(left)}"] if left else []
    )


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: the batches, and once what is done to each."""
    titles = current().operations.titles()
    yield f"plan {plan.id}: restart of {plan.cluster}, {len(nodes(plan))} nodes"
    for note in plan.notes:
        yield f"  {note}"
    yield "  for each batch:"
    for phase in dict.fromkeys(s.phase for s in plan.specs):
        yield f"    {phase:<8} {titles.get(phase, phase)}"
    yield "  going back starts what is down; a restart itself cannot be undone"


def _same(run: Run, options: Options, loaded: Loaded) -> None:
    """A restart that did not end is gone on with only by who asks for the same."""
    from kafkaops.cli.carry import busy, config_flag
    from kafkaops.cli.runs import Status
    from kafkaops.engine.plan_json import drift

    if run.status is Status.RUNNING:
        raise busy(run)
    differs = drift(run.last.plan.snapshot["options"], options.to_json())
    if differs or run.going_back:
        flag = config_flag(loaded)
        way = "is on its way back" if run.going_back else f"did not end ({run.status.value})"
        way += f"; it was asked for otherwise: {differs[0]}" if differs else ""
        raise GuardRefused(
            "KO-RUN-UNFINISHED",
            f"the restart {run.id} {way}"
            + (f", and was asked for {differs[0]}" if differs else ""),
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
