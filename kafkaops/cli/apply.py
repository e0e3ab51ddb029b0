"""`kafkaops apply FILE`: run a saved plan, if nothing changed since it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Reason, Until, Yes
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan

app = make_app()

Begin = Callable[["Loaded", "Plan", "Orders"], int]


def move_begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    from kafkaops.cli import move

    return move.begin(loaded, plan, orders)


def roll_begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    from kafkaops.cli import job, rolls

    return job.begin(rolls.job(plan.operation), loaded, plan, orders)


def features_begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    from kafkaops.cli import features, job

    return job.begin(features.job(), loaded, plan, orders)


def protocol_begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    from kafkaops.cli import job, upgrade_protocol

    return job.begin(upgrade_protocol.job(), loaded, plan, orders)


def placement_begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    from kafkaops.cli import job, placement_apply

    return job.begin(placement_apply.job(), loaded, plan, orders)


def volumes_begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    from kafkaops.cli import job, volume_cluster
    from kafkaops.volumes.cluster.asking import Asked

    return job.begin(volume_cluster.job(Asked.of(plan.snapshot["options"])), loaded, plan, orders)


BEGIN: Mapping[str, Begin] = {
    "blue-green": move_begin,
    "restart": roll_begin,
    "rolling": roll_begin,
    "downtime": roll_begin,
    "features": features_begin,
    "protocol": protocol_begin,
    "placement": placement_begin,
    "renew": roll_begin,
    "volumes": volumes_begin,
}
"""Who shows a plan of this operation, asks and runs it."""


@app.command(cls=OpsCommand)
def apply(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A plan saved with --out.")],
    until: Until = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
) -> int:
    """Run a saved plan. Refused (exit 5) when the clusters, the names or the config changed.

    \b
    Examples:
      kafkaops apply plan.json
      kafkaops apply plan.json --yes --reason CHG-1234
    """
    from kafkaops.cli import carry, plans, runs
    from kafkaops.cli.ending import ended
    from kafkaops.cli.output import Text, emit, news
    from kafkaops.cli.run import agree_to_go_on
    from kafkaops.engine.errors import GuardRefused

    loaded = current().load()
    plan = plans.load(file)
    plans.refuse_other(plan, loaded.config, file)
    orders = carry.Orders(yes, confirm, until, reason)
    begun = runs.store(loaded).run(plan.id)
    if begun.journals():
        run = runs.find(loaded, plan.id)
        if run.status not in runs.UNFINISHED:
            emit(
                {"run": run.id, "outcome": "nothing-to-do", "status": run.status},
                Text(f"nothing to do: run {run.id} is {run.status.value}"),
            )
            return Exit.OK
        if run.status is runs.Status.RUNNING:
            raise carry.busy(run)
        if run.going_back:
            flag = carry.config_flag(loaded)
            raise GuardRefused(
                "KO-RUN-UNFINISHED",
                f"run {run.id} of this plan is on its way back",
                where=run.id,
                hint=f"kafkaops run rollback {run.id}{flag}; then plan again",
            )
        news(f"run {run.id} did not end ({run.status.value}): going on with it")
        agree_to_go_on(loaded, run, f"This goes on with run {run.id}.", orders)
        result = carry.carry(loaded, begun, orders, current().operations.resume)
        return ended(loaded, run.id, result.outcome)
    other = runs.latest(loaded)
    if other is not None and other.status is runs.Status.RUNNING:
        raise carry.busy(other)
    if plan.operation not in BEGIN:
        raise GuardRefused(
            "KO-PLAN-OPERATION",
            f"a plan of {plan.operation!r} is not applied from a file",
            where=file,
            hint="kafkaops --help names the command that makes and runs it",
        )
    return BEGIN[plan.operation](loaded, plan, orders)
