"""`kafkaops run list|show|watch|report`: looking at runs, which changes nothing.

The other commands of the group, in run.py, join `app`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit

app = make_app("Runs: what was begun, where it stands, going on and going back.")

Id = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The run; default the newest of the pair.")
]


@app.command("list", cls=OpsCommand)
def list_() -> None:
    """List the runs of the state directory, newest first.

    \b
    Examples:
      kafkaops run list
      kafkaops run list -o json
    """
    from kafkaops.cli import runs

    found = runs.store(current().load(enter_lab=False)).list()
    rows = [
        (
            r.id,
            r.operation,
            r.cluster,
            r.status.value,
            f"{r.done}/{r.total}",
            _when(r.created),
            r.damage,
        )
        for r in found
    ]
    columns = ("run", "operation", "cluster", "status", "steps", "created", "damage")
    emit({"runs": found}, Table(columns, rows))


@app.command(cls=OpsCommand)
def show(run: Id = None) -> None:
    """Show the steps of a run, with their states and times.

    \b
    Examples:
      kafkaops run show
      kafkaops run show orders-20261124-101500 -o json
    """
    from kafkaops.cli import carry, runs
    from kafkaops.upgrade.fleet.leaving import left

    loaded = current().load(enter_lab=False)
    found = runs.find(loaded, run)
    steps = runs.timings(found.journals, found.directory.events())
    held = left(found.directory.facts())
    rows = [
        (s.phase, s.id, s.state, _when(s.started), _took(s.started, s.ended), s.title)
        for s in steps
    ]
    last = found.last.records[-1]
    data = {
        "run": found.id,
        "operation": found.operation,
        "status": found.status,
        "holder": found.holder(),
        "steps": steps,
        "last": {"kind": last.kind, "at": last.at, "data": last.data},
        "held": held,
        "clients_stopped": found.clients_stopped,
    }
    columns = ("phase", "step", "state", "begun", "seconds", "what")
    why = last.data.get("why")
    words = f"run {found.id}: {found.operation}, {found.status.value}{f': {why}' if why else ''}"
    emit(data, Table(columns, rows), Text(words), *map(Text, held))
    for line in carry.clients_words(loaded, found):  # also where only the table is wanted
        news(line)


@app.command(cls=OpsCommand)
def watch(
    run: Id = None,
    once: Annotated[bool, typer.Option("--once", help="Show what there is and leave.")] = False,
) -> int:
    """Watch a run that another process carries, until it ends.

    \b
    Examples:
      kafkaops run watch
      kafkaops run watch orders-20261124-101500 --once
    """
    from kafkaops.cli import carry, runs
    from kafkaops.cli.watching import follow

    loaded = current().load(enter_lab=False)
    found = runs.find(loaded, run)
    follow(found, once=once, titles=current().operations.titles())
    found = runs.find(loaded, found.id)
    data = {"run": found.id, "status": found.status, "clients_stopped": found.clients_stopped}
    emit(data, Text(f"run {found.id}: {found.status.value}"))
    for line in carry.clients_words(loaded, found):
        news(line)
    failed = found.status in (runs.Status.FAILED, runs.Status.RETURNED)
    return Exit.STEP_FAILED if failed and not once else Exit.OK


@app.command(cls=OpsCommand)
def report(
    run: Id = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write the page (HTML) there.")
    ] = None,
) -> None:
    """The proof of a run: a readable page with --out, JSON with -o json, else a summary.

    \b
    Examples:
      kafkaops run report --out report.html
      kafkaops run report orders-20261124-101500 -o json
    """
    from kafkaops.cli import runs
    from kafkaops.cli.files import write
    from kafkaops.upgrade import proof_groups
    from kafkaops.upgrade.proof import ELECTED
    from kafkaops.upgrade.proof_page import report_html

    found = runs.find(current().load(enter_lab=False), run)
    proof = runs.bundle(found, current().operations.titles())
    words = []
    if out is not None:
        write(out, report_html(proof))
        words.append(Text(f"written to {out}"))
    rows: list[tuple[Any, ...]] = [("outcome", proof.outcome), ("operation", proof.operation)]
    for move in proof.moves:
        way = f"{move.source} to {move.target}"
        if move.pause is not None:
            rows.append((f"{move.pause.kind}, {way}", f"{move.pause.total:.3f} s"))
            rows.extend((f"  {p.name}", f"{p.seconds:.3f} s") for p in move.pause.parts)
            if move.pause.client_return is not None:
                rows.append(("  client return", f"{move.pause.client_return:.3f} s"))
        rows.append((f"records proven equal, {way}", move.records))
        rows.append((f"partitions, {way}", len(move.partitions)))
        rows.append((f"skipped by groups, {way}", move.skipped))
        rows.append((f"replayed by groups at the most, {way}", move.replayed))
        if left := proof_groups.unknown(move.positions):
            named = f"{', '.join(left[:10])}: {proof_groups.UNKNOWN}"
            rows.append((f"not among it, {way}", named))
        if move.elected:
            rows.append((f"look here, {way}", f"{', '.join(move.elected[:10])}: {ELECTED}"))
    emit(proof.to_json(), Table(("what", "value"), rows), *words)


def _when(epoch: float | None) -> str:
    from datetime import UTC, datetime

    return "" if not epoch else f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _took(started: float | None, ended: float | None) -> float | None:
    return None if started is None or ended is None else round(ended - started, 3)
