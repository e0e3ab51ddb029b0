"""`kafkaops volume bench`: plain against encrypted, and which workqueue flags are worth setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli import consent, units
from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Yes
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current
from kafkaops.cli.volume_cluster import Cluster, Only, alone
from kafkaops.cli.volume_here import DEFAULT, HostFileAt, Names, here
from kafkaops.engine.errors import Exit, OpsError

if TYPE_CHECKING:
    from kafkaops.model.volume import DiskFacts, VolumeSpec
    from kafkaops.ports.speeds import Speeds
    from kafkaops.volumes.bench.advice import Advice, Figure
    from kafkaops.volumes.bench.measuring import Order
    from kafkaops.volumes.verdict import Verdict

app = make_app("How fast each disk is, plain and encrypted.")

TOOLS = ("auto", "fio", "loop")
MIB = 1024 * 1024


@app.command(cls=OpsCommand)
def bench(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", min=0.1, max=600, help="For each measurement."),
    ] = 3.0,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=99, help="Of all measurements.")
    ] = 3,
    size: Annotated[
        int,
        typer.Option(
            "--size", metavar="MIB", min=64, help="Of a blank disk, this much is written."
        ),
    ] = 1024,
    tool: Annotated[
        str,
        typer.Option("--tool", metavar="auto|fio|loop", help="fio, or requests of this process."),
    ] = "auto",
    reads_only: Annotated[
        bool, typer.Option("--reads-only", help="Write nothing, on a blank disk neither.")
    ] = False,
    yes: Yes = False,
    cluster: Cluster = "",
    only: Only = None,
) -> int:
    """How fast each disk is, plain and encrypted, with each setting of dm-crypt's workqueues.

    A blank disk that `prepare` would format is written and read, behind where a header would be,
    and zeroed there afterwards; any other is only read, beside whatever uses it. A broker that
    runs on it shares the disk with the measurement meanwhile.

    \b
    Examples:
      kafkaops volume bench data-1
      kafkaops volume bench --reads-only --seconds 10 --yes -o json
      kafkaops volume bench --cluster blue --only blue-3 --reads-only
    """
    from kafkaops.engine.errors import UsageFault

    if tool not in TOOLS:
        raise UsageFault("KO-USAGE", f"--tool {tool}: auto, fio or loop", hint="--tool auto")
    if cluster:
        from kafkaops.cli.volume_bench_cluster import elsewhere
        from kafkaops.volumes.bench.measuring import Order

        order = Order(seconds, rounds, not reads_only)
        flags = ["--seconds", f"{seconds:g}", "--rounds", str(rounds), "--size", str(size)]
        flags += ["--tool", tool, *(["--reads-only"] if reads_only else [])]
        return elsewhere(cluster, only, names, order, tuple(flags), yes=yes)
    alone(only=only)
    _, ground, specs = here(host_file, names)
    speeds = current().operations.speeds(tool)
    looked = [(spec, *ground.judged(spec)) for spec in specs]
    todo = [
        (spec, facts, _order(spec, facts, verdict, seconds, rounds, reads_only=reads_only))
        for spec, facts, verdict in looked
    ]
    for spec, _, order in todo:
        consent.require(
            consent.Tier.DISRUPTIVE,
            _what(spec, order, size),
            name=spec.label,
            yes=yes,
            confirm=None,
        )
    rows: list[dict[str, Any]] = []
    parts: list[Table | Text] = []
    failed: list[OpsError] = []
    for spec, facts, order in todo:
        try:
            row, told = _measured(speeds, spec, facts, order, size * MIB)
        except OpsError as error:  # what other disks took minutes to show is not lost with it
            if len(todo) == 1:
                raise
            failed.append(error)
            row, told = _failed(spec, error)
        rows.append(row)
        parts.extend(told)
    emit({"volumes": rows}, *parts)
    return int(failed[0].exit) if failed else int(Exit.OK)


def _failed(spec: VolumeSpec, error: OpsError) -> tuple[dict[str, Any], list[Table | Text]]:
    row = {"volume": spec.name, "code": error.code, "why": error.message, "hint": error.hint}
    return row, [Text(f"{spec.name}: {error.code}: {error.message}")]


def _order(
    spec: VolumeSpec,
    facts: DiskFacts,
    verdict: Verdict,
    seconds: float,
    rounds: int,
    *,
    reads_only: bool,
) -> Order:
    """Written is only what a format would overwrite without a word."""
    from kafkaops.engine.errors import GuardRefused
    from kafkaops.volumes.bench.measuring import Order
    from kafkaops.volumes.verdict import Step

    writes = verdict.step is Step.FORMAT and not reads_only
    if facts.kind not in ("block", "file") and not (writes and spec.size):
        raise GuardRefused(
            verdict.code or "KO-VOLUME-ABSENT",
            verdict.why or f"there is no device {facts.device} to read",
            where=spec.name,
            hint=verdict.hint or f"kafkaops volume status {spec.name}",
        )
    return Order(seconds, rounds, writes)


def _what(spec: VolumeSpec, order: Order, size: int) -> str:
    takes = units.of_span(order.takes)
    if order.writes:
        return f"This writes to up to {size} MiB of {spec.device}, which is blank, for {takes}."
    return f"This reads {spec.device} as fast as it can for {takes}."


def _measured(
    speeds: Speeds, spec: VolumeSpec, facts: DiskFacts, order: Order, size: int
) -> tuple[dict[str, Any], list[Table | Text]]:
    from kafkaops.volumes.bench import advice
    from kafkaops.volumes.bench.measuring import measure

    def say(number: int, every: int, what: str) -> None:
        left = units.of_span((every - number) * order.seconds)
        news(f"{spec.name}: {number} of {every}: {what} ({left} left)")

    with speeds.bench(spec, facts, writes=order.writes, size=size) as disk:
        news(f"{spec.name}: {disk.region.device}, by {disk.engine}")
        found = measure(disk, order, say)
        engine, region = disk.engine, disk.region
    figures = advice.figures(found.samples)
    advised = advice.advise(figures)
    row = {
        "volume": spec.name,
        "device": region.device,
        "engine": engine,
        "written": region.size if region.writes else 0,
        "figures": [_row(figure) for figure in figures],
        "refused": dict(found.refused),
        "cost": {load.name: share for load, share in advice.cost(figures)},
        "perf": list(advised.flags),
        "why": advised.why,
        "certain": advised.certain,
    }
    return row, [_table(figures), *_words(spec, figures, advised, found.refused, order)]


def _row(figure: Figure) -> dict[str, Any]:
    return {
        "load": figure.load.name,
        "way": figure.way.name,
        "perf": list(figure.way.flags),
        "bytes_per_second": figure.rate,
        "of_plain": figure.ratio,
        "spread": figure.spread,
        "p99_seconds": figure.p99,
        "cpu_seconds_per_gib": figure.cpu,
    }


def _table(figures: list[Figure]) -> Table:
    columns = ("load", "way", "MB/s", "of plain", "rounds differ", "p99 ms", "CPU s/GiB")
    return Table(
        columns,
        [
            (
                figure.load.name,
                figure.way.name,
                f"{figure.rate / 1e6:,.0f}",
                f"{figure.ratio:.0%}",
                f"{figure.spread:.0%}",
                f"{figure.p99 * 1000:.2f}",
                f"{figure.cpu:.2f}",
            )
            for figure in figures
        ],
    )


def _words(
    spec: VolumeSpec,
    figures: list[Figure],
    advised: Advice,
    refused: Any,
    order: Order,
) -> list[Text]:
    from kafkaops.volumes.bench import advice

    said = [
        Text(f"{spec.name}: {way} is not to be had here: {why}") for way, why in refused.items()
    ]
    for load, share in advice.cost(figures):
        said.append(Text(f"{spec.name}: encryption takes {max(0.0, share):.0%} of {load.name}"))
    if not order.writes:
        said.append(
            Text(f"{spec.name}: writes were not measured: a disk is written only when blank")
        )
    if advised.flags:
        said.append(Text(f"{spec.name}: next: perf: [{', '.join(advised.flags)}] in the config"))
    said.append(Text(f"{spec.name}: {advised.why}"))
    return said
