"""A blue/green upgrade as the command carries it out: begun, gone on with, or found done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafkaops.cli.ending import ended
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan


def wanted(
    to: str | None, out: str | None, orders: Orders, *, show_only: bool, detailed: bool
) -> int:
    """The newest run of this pair decides: one under way is left to its process, one that did not
    end is gone on with, after one that did there is nothing to do; else a new plan."""
    from kafkaops.cli import carry, runs

    loaded = current().load()
    before = runs.latest(loaded)
    if before is not None and before.status is runs.Status.RUNNING and not show_only:
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
            return _go_on(before, loaded, orders, show_only=show_only, detailed=detailed)
    made = new_plan(loaded, to)
    if out is not None:
        from kafkaops.cli import plans

        plans.save(made, out)
    if show_only or out is not None:
        return _show(made, out, detailed=detailed)
    return begin(loaded, made, orders)


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
    tier = consent.tier_of(changes=True, protected=consent.protected(loaded))
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
        consent.tier_of(changes=True, protected=consent.protected(loaded)),
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
