"""`kafkaops volume bench --cluster`: the disks of a cluster's hosts, measured by their hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kafkaops.cli import consent, units
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit

if TYPE_CHECKING:
    from kafkaops.config.schema import HostSpec
    from kafkaops.volumes.bench.measuring import Order

COLUMNS = ("host", "volume", "load", "plain MB/s", "encrypted MB/s", "encryption takes")


def elsewhere(
    cluster: str,
    only: list[str] | None,
    names: list[str] | None,
    order: Order,
    flags: tuple[str, ...],
    *,
    yes: bool,
) -> int:
    """Ask, measure each disk in turn, and show what encryption takes and which flags to set."""
    from kafkaops.cli.job import colour_of
    from kafkaops.volumes.cluster import benching

    loaded = current().load()
    world = current().operations.world(loaded.config, run_dir=None, say=news)
    colour = colour_of(cluster)
    todo = benching.disks(world, colour, tuple(only or ()), tuple(names or ()))
    span = units.of_span(order.takes * len(todo))
    written = " A blank one is written." if order.writes else ""
    consent.require(
        consent.Tier.DISRUPTIVE,
        f"This reads {len(todo)} disks of {colour}, one after another, as fast as each can, for up"
        f" to {span} in all.{written}",
        name=loaded.config.name,
        yes=yes,
        confirm=None,
    )

    def say(number: int, host: HostSpec, volume: str) -> None:
        left = units.of_span(order.takes * (len(todo) - number + 1))
        news(f"{host.name} {volume}: {number} of {len(todo)} (up to {left} left)")

    found = list(benching.measured(world, todo, order, flags, say))
    rows = [row for row, _ in found]
    failed = [error for _, error in found if error is not None]
    lines = [line for row in rows for line in _lines(row)]
    emit(
        {"volumes": rows},
        Table(COLUMNS, lines),
        *(Text(word) for row in rows for word in _words(row)),
    )
    return int(failed[0].exit) if failed else int(Exit.OK)


def _lines(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A line a load: the plain disk against dm-crypt with its default."""
    from kafkaops.model.disk_speed import PLAIN, QUEUES

    rates = {(f["load"], f["way"]): f["bytes_per_second"] for f in row.get("figures", ())}
    return [
        (
            str(row["host"]),
            str(row["volume"]),
            load,
            *(f"{rates[load, way.name] / 1e6:,.0f}" for way in (PLAIN, QUEUES)),
            f"{max(0.0, share):.0%}",
        )
        for load, share in row.get("cost", {}).items()
    ]


def _words(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['host']} {row['volume']}"
    if "figures" not in row:
        said = [f"{name}: {row['code']}: {row['why']}"]
        return said + ([f"{name}: next: {row['hint']}"] if row["hint"] else [])
    said = [f"{name}: {row['why']}"]
    return said + ([f"{name}: next: perf: [{', '.join(row['perf'])}]"] if row["perf"] else [])
