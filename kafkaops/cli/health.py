"""`kafkaops health`: every cluster of the config, and every host of it, at one look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current

if TYPE_CHECKING:
    from kafkaops.model.health import Health
    from kafkaops.upgrade.rolling.roster import Entry

app = make_app()


@app.command(cls=OpsCommand)
def health() -> int:
    """Say whether all is well: clusters as `cluster health` does, what each host runs, and what a
    run of kafkaops still holds suspended.

    Exit 5 if a cluster is not well or does not answer, a host cannot be asked or runs nothing, or
    something is held by a run that nobody carries.

    \b
    Examples:
      kafkaops health
      kafkaops health -c orders.yaml -o json
    """
    from kafkaops.cli import runs
    from kafkaops.engine.errors import Exit
    from kafkaops.model.health import Level

    loaded = current().load()
    world = current().operations.world(loaded.config, run_dir=None, say=news)
    parts: list[Table | Text] = []
    data: list[Any] = []
    bad = False
    for colour, spec in loaded.config.clusters.items():
        judged = _judged(colour)
        hosts = current().operations.roster(world, spec)
        down = [h.host for h in hosts if h.trouble or not h.started]
        bad = bad or judged.verdict is Level.BAD or bool(down)
        data.append({"name": spec.name, "verdict": judged.verdict, **vars(judged), "hosts": hosts})
        parts.append(
            Table(("host", "node", "unit", "runs", "link", "since", "remark"), _rows(hosts))
        )
        worse = [c for c in judged.checks if c.level is not Level.OK]
        parts.extend(Text(f"{spec.name}: {c.level.value}: {c.text}") for c in worse)
        words = f"{spec.name}: {judged.verdict.value}"
        parts.append(Text(f"{words}; not up: {', '.join(down)}" if down else words))
    held = runs.holding(loaded)
    for run, working, lines in held:
        how = "at work" if working else f"nobody carries it; kafkaops run resume {run}"
        parts.extend(Text(f"{line}: run {run}, {how}") for line in lines)
        bad = bad or not working
    said = [{"run": run, "working": working, "held": lines} for run, working, lines in held]
    emit({"clusters": data, "held": said}, *parts)
    return Exit.GUARD if bad else Exit.OK


def _judged(colour: str) -> Health:
    """One that does not answer is bad, and the more there is to say of its hosts."""
    from kafkaops.cli import targets
    from kafkaops.engine.errors import Unreachable
    from kafkaops.model.health import Check, Health, Level

    try:
        return targets.one(colour).health(deep=False)
    except Unreachable as error:
        return Health("", (Check("cluster", Level.BAD, f"does not answer: {error.message}"),))


def _rows(hosts: list[Entry]) -> list[tuple[Any, ...]]:
    rows = []
    for h in hosts:
        since = f"{datetime.fromtimestamp(h.started, UTC):%Y-%m-%dT%H:%M:%SZ}" if h.started else ""
        remark = h.trouble or ("configuration changed since its start" if h.outdated else "")
        node = "" if h.node is None else h.node
        rows.append((h.host, node, h.unit, h.release, h.next, since, remark))
    return rows
