"""`kafkaops upgrade`: plan, show, ask, run; one command for every strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import typer

from kafkaops.cli import roll_flags as flags
from kafkaops.cli.commands import Lazy, OpsGroup, common_params, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason, Until, Yes
from kafkaops.engine.errors import Exit, UsageFault


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
to do after one that did. `kafkaops run rollback` goes back; what an upgrade in place leaves as it
was are the feature levels: `kafkaops features finalize`.

\b
Examples:
  kafkaops upgrade --strategy blue-green --plan
  kafkaops upgrade --strategy blue-green --to 4.3 --plan --out plan.json
  kafkaops upgrade --strategy blue-green --yes --reason CHG-1234
  kafkaops upgrade --strategy blue-green --until gates
  kafkaops upgrade --strategy rolling --to 4.3.1 --plan
  kafkaops upgrade --strategy rolling --to 4.3.1 --yes --max-batch 2 --soak 60
  kafkaops upgrade --strategy rolling --to 4.3.1 --yes --until try
  kafkaops upgrade --strategy downtime --to 4.3.1 --plan
  kafkaops upgrade batches --cluster blue
  kafkaops upgrade protocol --to 3.9 --plan
"""

app = make_app(HELP, cls=Upgrade)

STRATEGIES = ("blue-green", "rolling", "downtime")
BATCHED = (
    *("only", "max_batch", "whole_racks", "canary", "soak", "accept"),
    *("gate_looks", "gate_timeout"),
)
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
            "--to", metavar="VERSION", help="What green must run; in place: what to install."
        ),
    ] = None,
    cluster: flags.Cluster = "blue",
    only: flags.Only = None,
    max_batch: flags.MaxBatch = None,
    whole_racks: flags.WholeRacks = False,
    canary: flags.Canary = True,
    soak: flags.Soak = 10.0,
    accept: flags.Accept = None,
    gate_looks: flags.GateLooks = 3,
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
    from kafkaops.cli import carry, move

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
            gate_looks=gate_looks,
            gate_timeout=gate_timeout,
            return_timeout=return_timeout,
        )
        _not_for(context, strategy, ("outage",) if strategy == "rolling" else BATCHED)
        return rolls.rolled(strategy, options, Wish(plan, out, detailed), orders)
    _not_for(context, strategy, ROLLS)
    return move.wanted(to, out, orders, show_only=plan, detailed=detailed)


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
