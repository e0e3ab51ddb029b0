"""`kafkaops verify SOURCE TARGET`: prove that two clusters hold the same records."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.session import current
from kafkaops.engine.errors import DataGap, Exit, Mismatch, OpsError, TimedOut

if TYPE_CHECKING:
    from kafkaops.cli.targets import Target
    from kafkaops.engine.clock import Clock
    from kafkaops.ports.verification import Difference, PartitionProof, Verification, VerifyStatus

app = make_app()

EVERY = 0.2
"""Seconds between looks at the comparison."""

QUIET = 2.0
"""Seconds for which nothing may be left to compare: the first looks come before it is known
where the logs end."""

PATIENCE = 10.0
"""Seconds without a record compared after which no more is expected."""


@app.command(cls=OpsCommand)
def verify(
    source: Annotated[str, typer.Argument(help="blue, green, a name in the config, HOST:PORT.")],
    target: Annotated[str, typer.Argument(help="The same.")],
    live: Annotated[
        bool, typer.Option("--live", help="The source is being written: compare what is there.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds, at the most.")] = 3600.0,
) -> int:
    """Compare every record of SOURCE with TARGET: timestamp, key, value, headers, in order.

    Exit 20 with topic, partition and exact offsets of each difference; 21 where the source lost
    records before they were compared. Compacted topics: the latest record of each key.

    \b
    Examples:
      kafkaops verify blue green
      kafkaops verify blue green --live
      kafkaops verify 10.0.0.1:9094 10.0.1.1:9094 -o json
    """
    from kafkaops.cli import targets
    from kafkaops.cli.operations import pair
    from kafkaops.engine.facts import MemoryFacts
    from kafkaops.ports.verification import Difference, VerifyStatus

    first, second = targets.one(source), targets.one(target)
    clock = current().operations.clock()
    ends, there = _ends(first), _ends(second)
    missing = tuple(
        Difference(tp, "missing", 0, -1, f"the partition is not on {target}")
        for tp in sorted(set(ends) - set(there))
    )
    if missing or not ends:
        return _tell(source, target, VerifyStatus(0, 0, 0, 0.0), {}, missing, 0.0)
    with tempfile.TemporaryDirectory(prefix="kafkaops-verify-") as work:
        comparison = current().operations.verification(
            pair(first.of(), second.of(), targets.excluded()), "forward", MemoryFacts(), Path(work)
        )
        begun = clock.monotonic()
        comparison.start()
        proofs: Mapping[Any, PartitionProof] = {}
        try:
            if live:
                differences = catch_up(comparison, clock, timeout).differences
            else:
                status = catch_up(comparison, clock, timeout, patience=PATIENCE)
                if status.behind and not status.differences:
                    raise _short(comparison, ends, source, target)
                left = max(2.0, begun + timeout - clock.monotonic())
                proofs, differences = _seal(comparison, ends, left)
            took = clock.monotonic() - begun
            return _tell(source, target, comparison.status(), proofs, differences, took)
        finally:
            comparison.stop()


def _seal(
    comparison: Verification, ends: Mapping[Any, int], timeout: float
) -> tuple[Mapping[Any, PartitionProof], tuple[Difference, ...]]:
    """Compare up to exactly these ends, and nothing beyond: proofs, or differences."""
    try:
        return comparison.seal(ends, timeout=timeout), ()
    except (Mismatch, DataGap):
        found = comparison.status().differences
        if not found:
            raise
        return {}, found


def _short(comparison: Verification, ends: Mapping[Any, int], source: str, target: str) -> OpsError:
    """The error for a target that ends too early, with what the comparison says of where."""
    behind = comparison.status().behind
    try:
        comparison.seal(ends, timeout=1.0)
    except TimedOut as error:
        where = error.message
    except OpsError as error:
        return error
    else:
        where = "they have just arrived: verify again"
    return Mismatch(
        "KO-VERIFY-SHORT",
        f"{behind:,} records of {source} are not on {target}, and none came for"
        f" {PATIENCE:.0f} s: {where}",
        hint="with --live where a mirror is still at work",
    )


def catch_up(
    comparison: Verification,
    clock: Clock,
    timeout: float,
    *,
    patience: float | None = None,
    at_differences: bool = True,
) -> VerifyStatus:
    """Wait until nothing that is known is left to compare, something differs (unless told not
    to stop `at_differences`), or nothing more was compared for `patience` seconds, showing how
    far it is. TimedOut says what was in the way."""
    meter = Meter(clock)
    deadline = clock.monotonic() + timeout
    even: float | None = None  # since when nothing is left
    records, since = 0, clock.monotonic()
    with meter.board.shown():
        while True:
            status, now = comparison.status(), clock.monotonic()
            done = status.partitions and not status.behind and not status.error
            even = (even or now) if done else None
            differ = status.differences and at_differences
            if differ or (even is not None and now - even >= QUIET):
                return status
            if status.records != records:
                records, since = status.records, now
            # Nothing at all yet is a start that takes long, not an end.
            if patience and records and not status.error and now - since >= patience:
                return status
            if now >= deadline:
                why = f": {status.error}" if status.error else ""
                raise TimedOut(
                    "KO-VERIFY-TIMEOUT",
                    f"{status.behind:,} records are not compared yet after {timeout:.0f} s{why}",
                    hint="give it longer with --timeout SECONDS",
                )
            meter.show(status)
            clock.sleep(EVERY)


class Meter:
    """Shows how far a comparison is."""

    def __init__(self, clock: Clock) -> None:
        from kafkaops.cli.progress import Board

        self.clock = clock
        self.board = Board(1, clock=clock)

    def show(self, status: VerifyStatus) -> None:
        from kafkaops.engine.events import Event, Kind
        from kafkaops.engine.step import Progress

        total = status.records + status.behind
        detail = status.error or f"{status.partitions} partitions"
        seen = Progress(status.records, total, "records", detail)
        now = self.clock.wall()
        self.board(Event(Kind.PROGRESS, "", now, "verify", "compare", "verify", "", 0, seen))


def _ends(target: Target) -> dict[Any, int]:
    """The last stable offset of every partition that is carried."""
    from kafkaops.model.partition import is_carried

    with target.open() as cluster:
        carried = [t for t in cluster.topics().values() if is_carried(t)]
        parts = [p.tp for topic in carried for p in topic.partitions]
        return {tp: ends.stable for tp, ends in cluster.ends(parts).items()}


def _tell(
    source: str,
    target: str,
    status: VerifyStatus,
    proofs: Mapping[Any, PartitionProof],
    differences: tuple[Difference, ...],
    took: float,
) -> int:
    from kafkaops.cli.output import Table, Text, emit

    records = sum(p.records for p in proofs.values()) or status.records
    data = {
        "source": source,
        "target": target,
        "equal": not differences,
        "records": records,
        "seconds": round(took, 3),
        "records_per_second": round(records / took) if took > 0 else None,
        "partitions": [proofs[tp] for tp in sorted(proofs)],
        "differences": differences,
    }
    if differences:
        rows = [
            (d.tp.topic, d.tp.partition, d.kind, d.source_offset, d.target_offset, d.detail)
            for d in differences
        ]
        columns = ("topic", "partition", "difference", "source offset", "target offset", "detail")
        words = f"{source} and {target} differ in {len(differences)} places"
        emit({**data, "exit": int(_code(differences))}, Table(columns, rows), Text(words))
        return _code(differences)
    lines = [
        (p.tp.topic, p.tp.partition, p.records, p.source_end, p.target_end, p.digest)
        for _, p in sorted(proofs.items())
    ]
    columns = ("topic", "partition", "records", "source end", "target end", "digest")
    words = (
        f"{source} and {target} are equal: {records:,} records of {status.partitions} partitions"
        f" in {took:.1f} s"
    )
    emit(data, Table(columns, lines), Text(words))
    return Exit.OK


def _code(differences: tuple[Difference, ...]) -> Exit:
    """21 only where nothing but a gap was found: a mismatch outranks it."""
    return Exit.DATA_GAP if all(d.kind == "gap" for d in differences) else Exit.MISMATCH
