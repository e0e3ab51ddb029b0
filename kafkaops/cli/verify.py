"""`kafkaops verify SOURCE TARGET`: prove that two clusters hold the same records."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.session import current
from kafkaops.engine.errors import DataGap, Exit, Mismatch, StepFailed, TimedOut

if TYPE_CHECKING:
    from kafkaops.cli.targets import Target
    from kafkaops.engine.clock import Clock
    from kafkaops.ports.verification import Difference, PartitionProof, Verification, VerifyStatus

app = make_app()

EVERY = 0.2
"""Seconds between looks at the comparison."""


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
    from kafkaops.engine.clock import SystemClock
    from kafkaops.engine.facts import MemoryFacts

    first, second = targets.one(source), targets.one(target)
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="kafkaops-verify-") as work:
        comparison = current().operations.verification(
            pair(first.of(), second.of()), "forward", MemoryFacts(), Path(work)
        )
        begun = clock.monotonic()
        comparison.start()
        try:
            status = catch_up(comparison, clock, begun + timeout)
            proofs: Mapping[Any, PartitionProof] = status.proofs
            differences = status.differences
            if not differences and not live:
                left = max(1.0, begun + timeout - clock.monotonic())
                try:
                    proofs = comparison.seal(_ends(first, comparison), timeout=left)
                except (Mismatch, DataGap):
                    differences = comparison.status().differences
                    if not differences:
                        raise
            took = clock.monotonic() - begun
            return _tell(source, target, comparison.status(), proofs, differences, took)
        finally:
            comparison.stop()


def catch_up(comparison: Verification, clock: Clock, deadline: float) -> VerifyStatus:
    """Wait until nothing that is known is left to compare, showing how far it is. TimedOut;
    StepFailed when the comparison itself fails."""
    from kafkaops.cli.progress import Board
    from kafkaops.engine.events import Event, Kind
    from kafkaops.engine.step import Progress

    board = Board(1, clock=clock)
    begun, still = clock.monotonic(), 0
    with board.shown():
        while True:
            status = comparison.status()
            if status.error:
                raise StepFailed("KO-VERIFY-FAILED", status.error)
            # Twice in a row: the first look may come before the ends are known.
            still = still + 1 if status.partitions and status.behind == 0 else 0
            if status.differences or still >= 2:
                return status
            if clock.monotonic() >= deadline:
                raise TimedOut(
                    "KO-VERIFY-TIMEOUT",
                    f"{status.behind:,} records are not compared yet after"
                    f" {clock.monotonic() - begun:.0f} s",
                    hint="give it longer with --timeout SECONDS",
                )
            total = status.records + status.behind
            seen = Progress(status.records, total, "records", f"{status.partitions} partitions")
            board(
                Event(Kind.PROGRESS, "", clock.wall(), "verify", "compare", "verify", "", 0, seen)
            )
            clock.sleep(EVERY)


def _ends(target: Target, comparison: Verification) -> dict[Any, int]:
    """The last stable offset of every partition that is carried."""
    from kafkaops.model.partition import is_carried

    with target.open() as cluster:
        carried = [t for t in cluster.topics().values() if is_carried(t)]
        parts = [p.tp for topic in carried for p in topic.partitions]
        comparison.pin(parts)
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
