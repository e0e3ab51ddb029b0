"""`kafkaops upgrade`: plan, show, ask, run; one command for every strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from kafkaops.cli import roll_flags as flags
from kafkaops.cli.commands import Lazy, OpsGroup, common_params, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason, Until, Yes
from kafkaops.cli.ending import ended
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan


class Upgrade(OpsGroup):
    """A command of its own, with commands below it."""

    lazy: ClassVar[Mapping[str, Lazy]] = {
        "batches": Lazy("kafkaops.cli.upgrade_batches", "Which brokers may go down together."),
        "protocol": Lazy("kafkaops.cli.upgrade_protocol", "ZooKeeper mode: the second roll."),
    }

    def __init__(self, **attrs: Any) -> None:
        attrs["params"] = [*(attrs.get("params") or ()), *common_params()]
        super().__init__(**attrs)


HELP = """Upgrade: by a second cluster, or broker by broker; proven, and able to go back.

blue-green moves running clients from blue to green. rolling installs another version on the
hosts of one cluster, batch by batch; downtime does so in one short outage. Plans, shows the plan,
asks, and runs it. The same command again goes on with a run that did not end, and finds nothing
to do after one that did.

\b
Examples:
  kafkaops upgrade --strategy blue-green --plan
  kafkaops upgrade --strategy blue-green --to 4.3 --plan --out plan.json
  kafkaops upgrade --strategy blue-green --yes --reason CHG-1234
  kafkaops upgrade --strategy blue-green --until gates
  kafkaops upgrade --strategy rolling --to 4.3.1 --plan
  kafkaops upgrade --strategy rolling --to 4.3.1 --yes --max-batch 2 --soak 60
  kafkaops upgrade --strategy downtime --to 4.3.1 --plan
  kafkaops upgrade batches --cluster blue
  kafkaops upgrade protocol --to 3.9 --plan
"""

app = make_app(HELP, cls=Upgrade)

STRATEGIES = ("blue-green", "rolling", "downtime")
BATCHED = ("only", "max_batch", "whole_racks", "canary", "soak", "accept", "gate_timeout")
"""Parameters that only a roll heeds."""
ROLLS = ("cluster", *BATCHED, "return_timeout", "outage")
"""And those of an upgrade on the cluster's own hosts."""


@app.callback(invoke_without_command=True)
def upgrade(
    context: typer.Context,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", metavar="|".join(STRATEGIES), help="How to upgrade; required."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="VERSION", help="The release green must run, or is rolled to."
        ),
    ] = None,
    cluster: flags.Cluster = "blue",
    only: flags.Only = None,
    max_batch: flags.MaxBatch = None,
    whole_racks: flags.WholeRacks = False,
    canary: flags.Canary = True,
    soak: flags.Soak = 10.0,
    accept: flags.Accept = None,
    gate_timeout: flags.GateTimeout = 1800.0,
    return_timeout: flags.ReturnTimeout = 3600.0,
    outage: Annotated[
        float,
        typer.Option(
            "--outage", metavar="S", min=60, help="Downtime: past it clients are let in again."
        ),
    ] = 1800.0,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Save the plan, for `apply`.")
    ] = None,
    until: Until = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Plan, show, ask, run; or leave it to the command below."""
    if context.invoked_subcommand is not None:
        return _only_below(context)
    _known(strategy)
    from kafkaops.cli import carry, runs

    orders = carry.Orders(yes, confirm, until, reason)
    if strategy in ("rolling", "downtime"):
        from kafkaops.cli import rolls
        from kafkaops.cli.job import Wish
        from kafkaops.upgrade.rolling.choosing import Options

        size = rolls.checked(cluster, max_batch, whole_racks)
        options = Options(
            cluster=cluster,
            only=tuple(only or ()),
            max_batch=size,
            whole_racks=whole_racks,
            soak=soak,
            accept=tuple(accept or ()),
            to=to,
            outage=outage,
            canary=canary,
            gate_timeout=gate_timeout,
            return_timeout=return_timeout,
        )
        _not_for(context, strategy, () if strategy == "rolling" else BATCHED)
        return rolls.rolled(strategy, options, Wish(plan, out, detailed), orders)
    _not_for(context, strategy, ROLLS)
    loaded = current().load()
    before = runs.latest(loaded)
    if before is not None and before.status is runs.Status.RUNNING and not plan:
        raise carry.busy(before)
    if before is not None and before.going_back:
        raise UsageFault(
            "KO-GOING-BACK",
            f"run {before.id} is on its way back",
            hint=f"kafkaops run rollback {before.id}{carry.config_flag(loaded)}",
            exit=Exit.GUARD,
        )
    if before is not None and same_pair(before, loaded):
        if before.status in (runs.Status.DONE, runs.Status.FINALIZED):
            return _nothing_to_do(before, loaded)
        if before.status in runs.UNFINISHED:
            return _go_on(before, loaded, orders, show_only=plan, detailed=detailed)
    made = new_plan(loaded, to)
    if out is not None:
        from kafkaops.cli import plans

        plans.save(made, out)
    if plan or out is not None:
        return _show(made, out, detailed=detailed)
    return begin(loaded, made, orders)


def _only_below(context: typer.Context) -> int:
    """A flag of the upgrade itself before a command below it would be lost: refused."""
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if param.expose_value and source is not None and source.name == "COMMANDLINE":
            raise UsageFault(
                "KO-USAGE",
                f"{param.opts[0]} says nothing to `upgrade {context.invoked_subcommand}`",
                where=context.command_path,
                hint=f"{context.command_path} {context.invoked_subcommand} --help",
            )
    return Exit.OK


def _known(strategy: str | None) -> None:
    if strategy is None:
        raise UsageFault(
            "KO-USAGE",
            "Missing option '--strategy'.",
            where="kafkaops upgrade",
            hint=f"--strategy {'|'.join(STRATEGIES)}",
        )
    if strategy not in STRATEGIES:
        raise UsageFault(
            "KO-STRATEGY-UNKNOWN",
            f"there is no strategy {strategy!r}",
            hint=f"--strategy {'|'.join(STRATEGIES)}",
        )


def _not_for(context: typer.Context, strategy: str | None, names: tuple[str, ...]) -> None:
    """A flag that this strategy would not heed: refused."""
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if param.name in names and source is not None and source.name == "COMMANDLINE":
            raise UsageFault(
                "KO-USAGE",
                f"{param.opts[0]} says nothing to --strategy {strategy}",
                hint="leave it out; kafkaops upgrade --help says what is for which strategy",
            )


def same_pair(run: Run, loaded: Loaded) -> bool:
    """Whether a run was of the clusters that the config names now."""
    then = run.journals[0].plan.config
    return all(
        list(then.get(colour, {}).get("bootstrap", ()))
        == list(getattr(loaded.config, colour).bootstrap)
        for colour in ("blue", "green")
    )


def new_plan(loaded: Loaded, to: str | None) -> Plan:
    from kafkaops.cli.job import run_id
    from kafkaops.cli.output import news

    operations = current().operations
    world = operations.world(loaded.config, run_dir=None, say=news)
    news("looking at both clusters and the names")
    return operations.plan(world, run_id(loaded, world), to)


def begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    """Show the plan on stderr, ask, run it, and say how it ended."""
    from kafkaops.cli import carry, consent, plans, runs
    from kafkaops.cli.output import news

    config = loaded.config
    for line in plans.lines(plan, current().operations.titles()):
        news(line)
    tier = consent.tier_of(changes=True, protected=protected(loaded))
    consent.require(
        tier,
        f"This moves the clients of {config.blue.name} to {config.green.name}.",
        name=config.name,
        yes=orders.yes,
        confirm=orders.confirm,
    )
    directory = runs.store(loaded).run(plan.id)
    operations = current().operations
    result = carry.carry(loaded, directory, orders, lambda c: operations.begin(c, plan))
    return ended(loaded, plan.id, result.outcome)


def protected(loaded: Loaded) -> bool:
    return any(spec.protected for spec in loaded.config.clusters.values())


def _nothing_to_do(run: Run, loaded: Loaded) -> int:
    from kafkaops.cli.carry import config_flag
    from kafkaops.cli.output import Text, emit
    from kafkaops.cli.runs import Status

    flag = config_flag(loaded)
    after = (
        [f"kafkaops run rollback {run.id}{flag}", f"kafkaops run finalize {run.id}{flag}"]
        if run.status is Status.DONE
        else []
    )
    emit(
        {"run": run.id, "outcome": "nothing-to-do", "status": run.status, "next": after},
        Text(f"nothing to do: run {run.id} moved the clients to {loaded.config.green.name}"),
        *(Text(f"next: {command}") for command in after),
    )
    return Exit.OK


def _go_on(run: Run, loaded: Loaded, orders: Orders, *, show_only: bool, detailed: bool) -> int:
    from kafkaops.cli import carry, consent
    from kafkaops.cli.output import news

    if show_only:
        return _show(run.last.plan, None, detailed=detailed)
    news(f"run {run.id} did not end ({run.status.value}): going on with it")
    consent.require(
        consent.tier_of(changes=True, protected=protected(loaded)),
        f"This goes on with run {run.id}.",
        name=loaded.config.name,
        yes=orders.yes,
        confirm=orders.confirm,
    )
    result = carry.carry(loaded, run.directory, orders, current().operations.resume)
    return ended(loaded, run.id, result.outcome)


def _show(plan: Plan, out: str | None, *, detailed: bool) -> int:
    import sys

    from kafkaops.cli import plans
    from kafkaops.cli.output import Text, emit
    from kafkaops.engine.plan_json import to_json

    titles = current().operations.titles()
    flag = f" -c {current().config}" if current().config is not None else ""
    parts: list[Text] = []
    if out is not None:
        parts.append(Text(f"saved to {out}; run it with: kafkaops apply {out}{flag}"))
    if sys.stdout.isatty():
        emit({"plan": to_json(plan)}, *(Text(x) for x in plans.lines(plan, titles)), *parts)
    else:
        notes = [Text(f"note: {note}") for note in plan.notes]
        emit({"plan": to_json(plan)}, plans.table(plan), *notes, *parts)
    return Exit.CHANGES if detailed else Exit.OK
