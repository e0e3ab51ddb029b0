"""`kafkaops run resume|rollback|finalize|serve`: carrying runs; run_looks.py looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand
from kafkaops.cli.consent_flags import Confirm, Reason, Until, Yes
from kafkaops.cli.output import Text, emit, news
from kafkaops.cli.roll_flags import Accept, Lost, Unclean, Without
from kafkaops.cli.run_looks import Id, app
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, GuardRefused

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.run import RunResult

WAYS = {
    "rolling": "rolls the nodes that it upgraded to what they ran before, batch by batch",
    "placement": "calls off what is on its way and moves back what was finished",
    "downtime": "takes what it stopped to what it ran before, in an outage",
}
"""What going back does, where that is not undoing."""


@app.command(cls=OpsCommand)
def resume(
    run: Id = None,
    until: Until = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    accept: Accept = None,
    without: Without = None,
    unclean: Unclean = None,
    lost: Lost = None,
) -> int:
    """Go on with a run that was stopped, failed, or whose process died.

    \b
    Examples:
      kafkaops run resume
      kafkaops run resume orders-20261124-101500 --yes
      kafkaops run resume --accept-unavailable scratch
      kafkaops run resume --without blue-3 --elect-unclean "orders*" --confirm orders
      kafkaops run resume --accept-lost orders-7 --confirm orders
    """
    from kafkaops.cli import carry, rolls
    from kafkaops.upgrade.rolling.phases import ACCEPTED, LOST, UNCLEAN, WITHOUT

    loaded = current().load()
    found = _idle(loaded, run)
    wishes = rolls.wishes(found, {ACCEPTED: accept, WITHOUT: without, UNCLEAN: unclean, LOST: lost})
    orders = carry.Orders(yes, confirm, until, reason, wishes)
    if not carry.can_go_on(found.directory):
        words = f"nothing to do: run {found.id} is {found.status.value}"
        return _given_back(loaded, found, orders, words)
    words = f"This goes on with run {found.id} ({found.operation})."
    if unclean:
        words += f" Unclean elections are allowed for {', '.join(unclean)}."
    if lost:
        words += f" Lost records of {', '.join(lost)} are given up."
    agree_to_go_on(loaded, found, words, orders, severe=bool(unclean or lost))
    return _do(loaded, found, orders, "resume")


@app.command(cls=OpsCommand)
def rollback(
    run: Id = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    accept: Accept = None,
    without: Without = None,
) -> int:
    """Go back: by undoing, by moving the clients back once green was opened, by a roll or an
    outage to the versions of before.

    \b
    Examples:
      kafkaops run rollback
      kafkaops run rollback orders-20261124-101500 --yes --reason "CHG-1234 failed"
      kafkaops run rollback --accept-unavailable scratch
      kafkaops run rollback --without blue-3
    """
    from kafkaops.cli import carry, rolls, runs
    from kafkaops.upgrade.rolling.phases import ACCEPTED, WITHOUT

    loaded = current().load()
    found = _idle(loaded, run)
    wishes = rolls.wishes(found, {ACCEPTED: accept, WITHOUT: without})
    orders = carry.Orders(yes, confirm, None, reason, wishes, anew=True)
    if found.status is runs.Status.ROLLED_BACK:
        words = f"nothing to do: run {found.id} was rolled back"
        return _given_back(loaded, found, orders, words)
    back = "moves the clients back, with a pause" if found.opened else "undoes what was begun"
    back = WAYS.get(found.operation, back)
    _agree(loaded, f"This rolls run {found.id} back: it {back}.", orders)
    return _do(loaded, found, orders, "rollback")


@app.command(cls=OpsCommand)
def finalize(run: Id = None, yes: Yes = False, confirm: Confirm = None, reason: Reason = "") -> int:
    """Give up the way back: retire the mirror, restore settings and TTL. Asks for the name.

    \b
    Examples:
      kafkaops run finalize
      kafkaops run finalize --confirm orders --reason CHG-1234
    """
    from kafkaops.cli import carry, runs

    loaded = current().load()
    found = _idle(loaded, run)
    if found.status is runs.Status.FINALIZED:
        emit(
            {"run": found.id, "outcome": "nothing-to-do", "status": found.status},
            Text(f"nothing to do: run {found.id} was finalized"),
        )
        return Exit.OK
    if found.status is runs.Status.ROLLED_BACK:
        raise GuardRefused(
            "KO-ROLLED-BACK", f"run {found.id} was rolled back: there is nothing to finalize"
        )
    if found.operation != runs.FINALIZE and found.status is not runs.Status.DONE:
        raise GuardRefused(
            "KO-NOT-DONE",
            f"run {found.id} is {found.status.value}; only a finished move can be finalized",
            hint=carry.resume_command(loaded, found.id),
        )
    orders = carry.Orders(yes, confirm, None, reason)
    what = f"This gives up the way back of run {found.id}: blue no longer follows green."
    _agree(loaded, what, orders, severe=True)
    return _do(loaded, found, orders, "finalize")


@app.command(cls=OpsCommand)
def serve(
    run: Id = None,
    yes: Yes = False,
    confirm: Confirm = None,
    unit: Annotated[
        bool, typer.Option("--unit", help="Print a systemd unit that does this, and leave.")
    ] = False,
) -> int:
    """Carry a run as a service, without a terminal; terminals watch it with `run watch`.

    The run was begun before (`upgrade ... --until ttl`): its plan was seen and agreed to.

    \b
    Examples:
      kafkaops run serve orders-20261124-101500 --yes
      kafkaops run serve --unit > /etc/systemd/system/kafkaops-run.service
    """
    from kafkaops.cli import carry, consent, serving

    loaded = current().load(enter_lab=not unit)
    found = _idle(loaded, run)
    if unit:
        agreed = f"--confirm {loaded.config.name}" if consent.protected(loaded) else "--yes"
        print(serving.unit_file(loaded, found.id, agreed), end="")
        for line in serving.told(f"kafkaops-{found.id}"):
            news(line)
        return Exit.OK
    if not carry.can_go_on(found.directory):
        news(f"run {found.id} is {found.status.value}: nothing to carry")
        return Exit.OK
    orders = carry.Orders(yes, confirm)
    agree_to_go_on(loaded, found, f"This carries run {found.id} to its end.", orders)
    return _do(loaded, found, orders, "resume")


def _idle(loaded: Loaded, run: str | None) -> Run:
    """The run, which no other process may be carrying (exit 6)."""
    from kafkaops.cli import carry, runs

    found = runs.find(loaded, run)
    if found.status is runs.Status.RUNNING:
        raise carry.busy(found)
    return found


def agree_to_go_on(
    loaded: Loaded, found: Run, what: str, orders: Orders, *, severe: bool = False
) -> None:
    """Ask for what going on with a run does: severe too where it takes a feature level, or a
    protocol, past its way back."""
    from kafkaops.cli import runs
    from kafkaops.cli.features import without_return

    for_good = found.operation in (runs.FEATURES, runs.PROTOCOL) and without_return(found)
    _agree(loaded, what, orders, severe=severe or for_good)


def _agree(loaded: Loaded, what: str, orders: Orders, *, severe: bool = False) -> None:
    from kafkaops.cli import consent

    consent.require(
        consent.tier_of(changes=True, severe=severe, protected=consent.protected(loaded)),
        what,
        name=loaded.config.name,
        yes=orders.yes,
        confirm=orders.confirm,
    )


def _do(loaded: Loaded, found: Run, orders: Orders, name: str) -> int:
    from kafkaops.cli import carry
    from kafkaops.cli.ending import ended

    result: RunResult = carry.carry(
        loaded, found.directory, orders, getattr(current().operations, name)
    )
    return ended(loaded, found.id, result.outcome)


def _given_back(loaded: Loaded, found: Run, orders: Orders, words: str) -> int:
    """A run that is over may still hold something, if its process died just then."""
    from kafkaops.cli import carry

    held = carry.give_back(loaded, found.directory, orders)
    outcome = "given-back" if held else "nothing-to-do"
    emit(
        {"run": found.id, "outcome": outcome, "status": found.status},
        *(Text(f"given back: {line}") for line in held),
        Text(words),
    )
    return Exit.OK
