"""`kafkaops offsets translate`: exact offsets of one cluster on the other."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.files import unreadable
from kafkaops.cli.output import Table, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import UsageFault
from kafkaops.model.partition import TopicPartition

if TYPE_CHECKING:
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.clock import Clock
    from kafkaops.ports.verification import Verification

app = make_app("Offsets of one cluster on the other, exactly.")

Row = tuple[str, TopicPartition, int]
"""Group ("" for offsets that come from a file), partition, source offset."""

STILL = 10.0
"""Seconds without a record compared after which no more is expected."""

COLUMNS = ("group", "topic", "partition", "source", "target")


@app.callback()
def offsets() -> None:
    """Offsets of one cluster on the other, exactly."""


@app.command(cls=OpsCommand)
def translate(
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Only this group; may be repeated.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Offsets kept outside Kafka: CSV with topic,partition,offset; `-` is stdin.",
        ),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="From green to blue.")] = False,
    csv_: Annotated[bool, typer.Option("--csv", help="CSV with a header, also at a terminal.")] = (
        False
    ),
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Whose comparison; default newest.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds, at the most.")] = 600.0,
) -> None:
    """Translate offsets by the map that a run's comparison made, record by record.

    The target offset is that of the first record at or after the source offset, so that nothing
    is skipped and nothing committed comes again. Nothing is committed anywhere.

    \b
    Examples:
      kafkaops offsets translate --group billing
      kafkaops offsets translate --file flink.csv --csv > green.csv
      kafkaops offsets translate --back --group billing -o json
    """
    from kafkaops.cli import runs

    loaded = current().load()
    found = runs.find(loaded, run)
    rows = list(_from_file(file)) if file is not None else _committed(loaded, group or (), back)
    targets = _translate(loaded, found, rows, back, timeout)
    lines = [
        (name, tp.topic, tp.partition, offset, target)
        for (name, tp, offset), target in zip(rows, targets, strict=True)
    ]
    if csv_:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
        print(out.getvalue(), end="")
        return
    data = [dict(zip(COLUMNS, line, strict=True)) for line in lines]
    way = {"source": "green", "target": "blue"} if back else {"source": "blue", "target": "green"}
    emit({"run": found.id, **way, "offsets": data}, Table(COLUMNS, lines))


def _from_file(name: str) -> Iterable[Row]:
    try:
        if name == "-":
            text = current().operations.terminal().piped()
        else:
            text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(name, error) from error
    reader = csv.DictReader(io.StringIO(text))
    missing = {"topic", "partition", "offset"} - set(reader.fieldnames or ())
    if missing:
        raise UsageFault(
            "KO-CSV",
            f"{name} has no column {', '.join(sorted(missing))}",
            where=name,
            hint="a first line topic,partition,offset (and group, if you like)",
        )
    for number, line in enumerate(reader, start=2):
        try:
            tp = TopicPartition(str(line["topic"]), int(line["partition"]))
            yield (line.get("group") or "", tp, int(line["offset"]))
        except (TypeError, ValueError) as error:
            raise UsageFault(
                "KO-CSV", f"partition and offset must be numbers: {error}", where=f"{name}:{number}"
            ) from error


def _committed(loaded: Loaded, wanted: Sequence[str], back: bool) -> list[Row]:
    """The committed offsets of groups, of topics that are carried."""
    cluster = current().operations.cluster(loaded.config, "green" if back else "blue")
    try:
        groups = {g.id: g for g in cluster.groups()}
    finally:
        cluster.close()
    unknown = sorted(set(wanted) - set(groups))
    if unknown:
        raise UsageFault(
            "KO-GROUP-UNKNOWN",
            f"there is no group {', '.join(unknown)}",
            where="green" if back else "blue",
            hint="kafkaops cluster show --groups",
        )
    return [
        (name, tp, offset)
        for name in sorted(wanted or groups)
        for tp, offset in sorted(groups[name].offsets.items())
        if offset >= 0 and not tp.topic.startswith("__")
    ]


def _translate(
    loaded: Loaded, run: Run, rows: Sequence[Row], back: bool, timeout: float
) -> list[int]:
    """Target of each row. What lies before the cut is on the map of the way there, what was
    written after it on that of the way back."""
    cut = _cut(run, "forward", back)
    ways = ["back" if tp in cut and offset > cut[tp] else "forward" for _, tp, offset in rows]
    found: dict[int, int] = {}
    for way in sorted(set(ways)):
        mine = [index for index, w in enumerate(ways) if w == way]
        # The map back leads from green to blue, so from blue to green it is read backwards.
        against = back if way == "forward" else not back
        sealed = _cut(run, way, against)
        chosen = [rows[index] for index in mine]
        known = all(tp in sealed and offset <= sealed[tp] for _, tp, offset in chosen)
        targets = _ask(loaded, run, way, chosen, against, 0.0 if known else timeout)
        found.update(zip(mine, targets, strict=True))
    return [found[index] for index in range(len(rows))]


def _cut(run: Run, way: str, against: bool) -> dict[TopicPartition, int]:
    """Where a sealed map ends, in offsets of the side that is asked with; empty if not sealed."""
    proof = run.directory.facts().get(f"{way}.proof") or {}
    ends: dict[TopicPartition, int] = {}
    for key, proven in proof.items():
        topic, _, partition = key.rpartition("/")
        end = proven["target_end" if against else "source_end"]
        ends[TopicPartition(topic, int(partition))] = int(end)
    return ends


def _ask(
    loaded: Loaded, run: Run, way: str, rows: Sequence[Row], against: bool, timeout: float
) -> list[int]:
    """Ask a copy of the run's comparison: the run itself may be at work on its own. Without a
    `timeout` what it has already compared is enough."""

    with tempfile.TemporaryDirectory(prefix="kafkaops-offsets-") as work:
        kept = run.directory.path / f"verify-{way}"
        if kept.is_dir():
            shutil.copytree(kept, Path(work) / kept.name)
        comparison = current().operations.verification(
            loaded.config, way, run.directory.facts(), Path(work)
        )
        ask = comparison.translate_back if against else comparison.translate
        if not timeout:
            return _in_rounds(ask, rows)
        comparison.start()
        try:
            comparison.pin(sorted({tp for _, tp, _ in rows}))
            _settle(comparison, current().operations.clock(), timeout)
            return _in_rounds(ask, rows)
        finally:
            comparison.stop()


def _settle(comparison: Verification, clock: Clock, timeout: float) -> None:
    """Wait until all that both sides hold is compared, which is when nothing more comes; where
    one side holds more than the other (its mirror is stopped), it is said."""
    from kafkaops.cli.verify import catch_up

    status = catch_up(comparison, clock, timeout, patience=STILL, at_differences=False)
    if status.behind or status.differences:
        news(
            f"warning: {status.behind:,} records of one cluster are not compared with the other;"
            " an offset beyond what is on both translates to the end"
        )


def _in_rounds(
    ask: Callable[[Mapping[TopicPartition, int]], Mapping[TopicPartition, int]],
    rows: Sequence[Row],
) -> list[int]:
    """Targets of the rows. A partition may be there at several offsets (one a group), and is
    asked for once a round."""
    found: dict[int, int] = {}
    left = list(enumerate(rows))
    while left:
        now: dict[TopicPartition, tuple[int, int]] = {}
        later = []
        for index, row in left:
            _, tp, offset = row
            if tp in now:
                later.append((index, row))
            else:
                now[tp] = (index, offset)
        got = ask({tp: offset for tp, (_, offset) in now.items()})
        found.update({index: got[tp] for tp, (index, _) in now.items()})
        left = later
    return [found[index] for index in range(len(rows))]
