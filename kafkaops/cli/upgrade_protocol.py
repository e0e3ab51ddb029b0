"""`kafkaops upgrade protocol`: the second roll of an upgrade in ZooKeeper mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli import roll_flags as flags
from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason
from kafkaops.cli.job import Asked, Job, Wish, carried_out
from kafkaops.cli.session import current
from kafkaops.model.words import counted

if TYPE_CHECKING:
    from kafkaops.cli.runs import Run
    from kafkaops.engine.step import Plan

app = make_app()


@app.command(cls=OpsCommand)
def protocol(
    to: Annotated[
        str, typer.Option("--to", metavar="PROTOCOL", help="What brokers are to speak: 3.9.")
    ],
    cluster: flags.Cluster = "blue",
    max_batch: flags.MaxBatch = None,
    whole_racks: flags.WholeRacks = False,
    canary: flags.Canary = True,
    soak: flags.Soak = 10.0,
    accept: flags.Accept = None,
    gate_looks: flags.GateLooks = 3,
    gate_timeout: flags.GateTimeout = 1800.0,
    return_timeout: flags.ReturnTimeout = 3600.0,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Save the plan, for `apply`.")
    ] = None,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Raise inter.broker.protocol.version of every broker by a roll. There is no way back.

    For a cluster in ZooKeeper mode, once every broker runs the new software. Each batch is stopped
    behind the gate, its server.properties rewritten, and started. The same command again goes on
    with one that did not end.

    \b
    Examples:
      kafkaops upgrade protocol --to 3.9 --plan
      kafkaops upgrade protocol --to 3.9 --confirm orders --reason CHG-1234
      kafkaops upgrade protocol --to 3.9 --plan --out plan.json
    """
    from kafkaops.cli import carry, rolls
    from kafkaops.upgrade.protocol.setting import Protocol
    from kafkaops.upgrade.rolling.choosing import Options

    options = Options(
        cluster=cluster,
        max_batch=rolls.checked(cluster, max_batch, whole_racks),
        whole_racks=whole_racks,
        soak=soak,
        accept=tuple(accept or ()),
        to=str(Protocol.wanted(to)),
        canary=canary,
        gate_looks=gate_looks,
        gate_timeout=gate_timeout,
        return_timeout=return_timeout,
    )
    asked = Asked(
        cluster,
        options.to_json(),
        lambda world, run: current().operations.plan_protocol(world, run, options),
        f"looking at {cluster} and its hosts",
    )
    orders = carry.Orders(False, confirm, None, reason)
    return carried_out(job(), asked, Wish(plan, out, detailed), orders)


def job() -> Job:
    """A raise of the protocol, as commands carry it out: always agreed to by name."""
    from kafkaops.cli.features import without_return

    return Job(
        "protocol",
        "raise of the protocol",
        "every broker speaks it",
        lines,
        _what,
        severe=lambda plan: True,
        severe_still=without_return,
    )


def _what(plan: Plan, cluster: str) -> str:
    from kafkaops.cli import rolls

    to = plan.snapshot["options"]["to"]
    return (
        f"This restarts {len(rolls.nodes(plan))} brokers of {cluster} with protocol {to}, and there"
        f" is no way back: {boundary(plan)}."
    )


def boundary(plan: Plan) -> str:
    """What cannot be taken back, in words; "" where nothing is left to do."""
    return next((spec.irreversible for spec in plan.specs if spec.irreversible), "")


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: the batches, once what is done to each, and the boundary."""
    from kafkaops.cli import rolls

    titles = current().operations.titles()
    to, nodes = plan.snapshot["options"]["to"], rolls.nodes(plan)
    yield f"plan {plan.id}: protocol of {plan.cluster} to {to}, {counted(len(nodes), 'node')}"
    for note in plan.notes:
        yield f"  {note}"
    if not plan.specs:
        yield "  nothing to do"
        return
    yield "  for each batch:"
    for phase in dict.fromkeys(spec.phase for spec in plan.specs):
        yield f"    {phase:<8} {titles.get(phase, phase)}"
    yield f"  IRREVERSIBLE from the start of {nodes[0]} on: {boundary(plan)}"
    yield "  until then kafkaops run rollback restores the file and starts what is down"


def summary(run: Run) -> list[str]:
    """Who speaks it and is back in sync; and who is not."""
    facts, plan = run.directory.facts(), run.last.plan
    from kafkaops.cli import rolls

    every, to = rolls.nodes(plan), plan.snapshot["options"]["to"]
    back = [name for name in every if facts.get(f"protocol.{name}.soaked") is not None]
    left = [name for name in every if name not in back]
    found = [f"protocol {to} and in sync: {', '.join(back) or 'nobody'}"]
    return found + ([f"not raised, or not watched to the end: {', '.join(left)}"] if left else [])
