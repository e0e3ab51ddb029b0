"""`kafkaops lab load`: clients under load in the lab, their ledger, and its judgement."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.lab import Dir, lab_dir
from kafkaops.cli.output import Table, Text, emit, news

app = make_app("Producers and consumers that keep a ledger.")

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Clients, groups, or globs.")]


def _inside(given: Path | None) -> Path:
    """The lab's directory, once this process is in the lab's network."""
    from kafkaops.lab.enter import enter

    directory = lab_dir(given)
    enter(directory)
    return directory


@app.command(cls=OpsCommand)
def start(
    dir: Dir = None,
    mix: Annotated[
        str, typer.Option(help="default, rdkafka, java, python or rebootstrap.")
    ] = "default",
    producers: Annotated[
        str, typer.Option(metavar="NAME:KIND,...", help="Instead of the mix's producers.")
    ] = "",
    groups: Annotated[
        str, typer.Option(metavar="GROUP:KIND[:MEMBERS],...", help="Instead of the mix's groups.")
    ] = "",
    topics: Annotated[
        str, typer.Option(metavar="TOPIC:PARTITIONS,...", help="Created on blue if missing.")
    ] = "orders:6,payments:3",
    rate: Annotated[float, typer.Option(min=0.1, help="Records a second, each producer.")] = 200.0,
    size: Annotated[int, typer.Option(min=64, help="Bytes a record.")] = 200,
    commit_every: Annotated[
        float, typer.Option(min=0.05, help="Seconds between a consumer's commits.")
    ] = 0.5,
    auto_commit: Annotated[
        bool, typer.Option("--auto-commit", help="Consumers commit by themselves, every 5 s.")
    ] = False,
    dns_cache: Annotated[
        int | None,
        typer.Option(min=0, help="Seconds that a JVM caches names; default its own, 30."),
    ] = None,
    client_config: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A property for every client; may be repeated."),
    ] = None,
) -> None:
    """Start producers and consumer groups and wait until each acts. A stopped load goes on.

    \b
    Kinds: librdkafka, librdkafka-none, kafka-python, java-3.9.2, java-4.3.1.
    Examples:
      kafkaops lab load start
      kafkaops lab load start --mix java --rate 50 --topics orders:12
      kafkaops lab load start --producers p1:librdkafka --groups g1:java-4.3.1:2
    """
    from kafkaops.engine.errors import UsageFault
    from kafkaops.lab.load import fleet, spec

    chosen = spec.mix(mix)
    if producers or groups:
        chosen = spec.Mix(
            spec.producers(producers) if producers else chosen.producers,
            spec.groups(groups) if groups else chosen.groups,
        )
    config: dict[str, str] = {}
    for pair in client_config or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageFault("KO-USAGE", f"{pair!r} is not KEY=VALUE")
        config[key] = value
    wanted = spec.topics(topics)
    directory = _inside(dir)
    fleet.start(
        directory,
        chosen=chosen,
        topics=wanted,
        say=news,
        rate=rate,
        size=size,
        commit_every=commit_every,
        auto_commit=auto_commit,
        dns_cache=dns_cache,
        config=config,
    )
    _show(directory)


@app.command(cls=OpsCommand)
def stop(
    dir: Dir = None,
    drain: Annotated[
        bool, typer.Option("--drain/--no-drain", help="Let the groups read to the end first.")
    ] = True,
) -> None:
    """End producers, let the groups read to the end, end consumers. The ledger stays."""
    from kafkaops.lab.load import fleet

    complete = fleet.stop(lab_dir(dir), drain=drain, say=news)
    if drain:
        words = "all groups read to the end" if complete else "some groups did not read to the end"
    else:
        words = "the groups were not waited for"
    emit({"stopped": True, "drained": complete}, Text(f"the load is stopped; {words}"))


@app.command(cls=OpsCommand)
def status(dir: Dir = None) -> None:
    """The clients, and how much each has written down."""
    _show(lab_dir(dir))


@app.command(cls=OpsCommand)
def pause(names: Names, dir: Dir = None) -> None:
    """Stop clients as a stop hook would: flush, commit, exit.

    \b
    Examples:
      kafkaops lab load pause orders-python
      kafkaops lab load pause 'p-*'
    """
    from kafkaops.lab.load import fleet

    paused = fleet.pause(lab_dir(dir), names)
    emit({"paused": paused}, Text(f"stopped: {', '.join(paused)}"))


@app.command(cls=OpsCommand)
def resume(names: Names, dir: Dir = None) -> None:
    """Start clients again; producers go on with their sequence numbers."""
    from kafkaops.lab.load import fleet

    resumed = fleet.resume(lab_dir(dir), names)
    emit({"resumed": resumed}, Text(f"started: {', '.join(resumed)}"))


@app.command(cls=OpsCommand)
def report(
    dir: Dir = None,
    cluster: Annotated[
        str, typer.Option(metavar="blue|green", help="The cluster that serves now.")
    ] = "blue",
) -> None:
    """The ledger against a cluster's log: lost, duplicated, skipped, replayed, pauses.

    \b
    Examples:
      kafkaops lab load report
      kafkaops lab load report --cluster green -o json
    """
    from kafkaops.lab.load import fleet

    found = fleet.report(_inside(dir), cluster)
    data = {"cluster": cluster, **asdict(found)}
    emit(data, *_tables(data))


def _tables(data: dict[str, Any]) -> list[Table]:
    producers = ("acknowledged", "lost", "duplicated_in_log", "reordered", "errors")
    groups = ("received", "skipped", "behind", "replayed", "reordered", "commit_failures", "errors")
    return [
        Table(
            ("producer", "kind", *producers, "longest pause s", "at"),
            [
                (
                    n,
                    p["kind"],
                    *(p[k] for k in producers),
                    p["longest_pause_s"],
                    p["longest_pause_at"],
                )
                for n, p in data["producers"].items()
            ],
        ),
        Table(
            ("group", "kind", *groups, "longest gap s", "at"),
            [
                (n, g["kinds"], *(g[k] for k in groups), g["longest_gap_s"], g["longest_gap_at"])
                for n, g in data["groups"].items()
            ],
        ),
        Table(("total", "value"), list(data["total"].items())),
    ]


def _show(directory: Path) -> None:
    from kafkaops.lab.load import fleet

    rows = fleet.status(directory)
    columns = ("name", "kind", "state", "pid", "MiB", "records", "errors")
    emit(
        {"clients": rows},
        Table(
            columns,
            [
                (
                    r["name"],
                    r["kind"],
                    "running" if r["active"] else f"ended {r['exit_code']}",
                    r["pid"],
                    round(r["rss"] / 2**20),
                    r["records"],
                    r["errors"],
                )
                for r in rows
            ],
        ),
    )
