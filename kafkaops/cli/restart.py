"""`kafkaops restart`: the safe rolling restart of one cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from kafkaops.cli import roll_flags as flags
from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason, Yes
from kafkaops.engine.errors import UsageFault

app = make_app()


@app.command(cls=OpsCommand)
def restart(
    cluster: flags.Cluster = "blue",
    only: flags.Only = None,
    rack: Annotated[str | None, typer.Option("--rack", help="Only the brokers of a rack.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--not-restarted-since",
            metavar="TIME",
            help="Only who runs since before then: 2026-11-26T10:00Z.",
        ),
    ] = None,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed-config",
            help="Only where server.properties or the unit were changed since the start.",
        ),
    ] = False,
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
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Restart the nodes of one cluster, batch by batch, without losing a write.

    Before each stop fresh metadata says what it would do to every partition; a node counts as back
    when it is in the ISR of all that it had. The same command again goes on with a restart that
    did not end; `kafkaops run rollback` starts what is down and ends it.

    \b
    Examples:
      kafkaops restart --cluster blue --plan
      kafkaops restart --cluster blue --yes --reason CHG-1234
      kafkaops restart --only 3 --only blue-5 --soak 60
      kafkaops restart --not-restarted-since 2026-11-26T10:00Z --whole-racks --no-canary
      kafkaops restart --changed-config --plan
      kafkaops restart --rack eu-west-1a --plan --out plan.json
    """
    from kafkaops.cli import carry, rolls
    from kafkaops.cli.job import Wish
    from kafkaops.upgrade.rolling.choosing import Options

    options = Options(
        cluster,
        tuple(only or ()),
        rack,
        None if since is None else moment(since),
        changed,
        rolls.checked(cluster, max_batch, whole_racks),
        whole_racks,
        soak,
        tuple(accept or ()),
        canary=canary,
        gate_looks=gate_looks,
        gate_timeout=gate_timeout,
        return_timeout=return_timeout,
    )
    orders = carry.Orders(yes, confirm, None, reason)
    return rolls.rolled(rolls.RESTART, options, Wish(plan, out, detailed), orders)


def moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 time; UTC where it has no offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFault(
            "KO-TIME", f"{text!r} is no time", hint="--not-restarted-since 2026-11-26T10:00Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
