"""The commands of `kafkaops volume` with --cluster: on every host of a cluster, as one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit
from kafkaops.model.words import counted

if TYPE_CHECKING:
    from kafkaops.cli.job import Job
    from kafkaops.engine.step import Plan
    from kafkaops.volumes.cluster.asking import Asked

Cluster = Annotated[
    str,
    typer.Option(
        "--cluster", metavar="blue|green", help="On the hosts of this cluster, one after another."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="HOST", help="With --cluster: only this host; repeatable."),
]
Planned = Annotated[
    bool, typer.Option("--plan", help="With --cluster: show the plan and change nothing.")
]
ForCluster = Annotated[bool, typer.Option("--yes", help="With --cluster: agree to it.")]
Agreed = Annotated[
    str | None,
    typer.Option("--confirm", metavar="NAME", help="With --cluster: agree, by the config's name."),
]
New = Annotated[
    bool,
    typer.Option("--new-cluster", help="With --cluster: it was never started; ask nothing of it."),
]
Out = Annotated[
    str | None, typer.Option("--out", metavar="FILE", help="With --cluster: save the plan.")
]


def alone(**flags: object) -> None:
    """UsageFault where a flag that is for a cluster was given without one: it would be passed
    over, and the command act."""
    from kafkaops.engine.errors import UsageFault

    for name, value in flags.items():
        if value:
            raise UsageFault(
                "KO-USAGE", f"--{name} is for --cluster", hint=f"--cluster blue --{name} ..."
            )


def work(
    verb: str,
    cluster: str,
    only: list[str] | None,
    names: list[str] | None,
    agreed: tuple[bool, str | None, str],
    *,
    key: str = "",
    plan: bool = False,
    out: str | None = None,
    detailed: bool = False,
    new: bool = False,
) -> int:
    """Plan it, show it, ask, and run it; or go on with one that did not end. `agreed` is --yes,
    --confirm and --reason."""
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.job import Asked as Wanted
    from kafkaops.cli.job import Wish, carried_out, colour_of
    from kafkaops.volumes.cluster.asking import Asked

    asked = Asked(verb, colour_of(cluster), tuple(only or ()), tuple(names or ()), key, new)
    wanted = Wanted(
        asked.cluster,
        asked.to_json(),
        lambda world, run: current().operations.plan_volumes(world, run, asked),
        f"looking at {asked.cluster}",
    )
    yes, confirm, reason = agreed
    orders = Orders(yes, confirm, None, reason)
    return carried_out(job(asked), wanted, Wish(plan, out, detailed), orders)


def job(asked: Asked) -> Job:
    from kafkaops.cli.job import Job
    from kafkaops.volumes.cluster.asking import ERASE, PREPARE

    return Job(
        "volumes",
        "work on volumes",
        "every volume is as asked",
        lines,
        lambda plan, name: f"This runs `volume {asked.verb}` on {_hosts(plan)} of {name}.",
        severe=lambda plan: asked.verb == ERASE or (asked.verb == PREPARE and _controllers(plan)),
    )


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people; a host's many files are one line."""
    from kafkaops.cli import plans

    yield from plans.lines(plan, current().operations.titles())


def shown(cluster: str, only: list[str] | None, names: list[str] | None, check: bool) -> int:
    """`volume status` of every host; a host that cannot be asked says why, and counts as bad."""
    from kafkaops.cli import units
    from kafkaops.cli.job import colour_of
    from kafkaops.cli.output import Table, Text, emit, news
    from kafkaops.volumes.cluster import looking

    loaded = current().load()
    world = current().operations.world(loaded.config, run_dir=None, say=news)
    found = looking.statuses(world, colour_of(cluster), tuple(only or ()), tuple(names or ()))
    columns = ("host", "volume", "state", "next step", "mode", "key age", "why")
    rows = [
        (
            r["host"],
            r["volume"],
            r["state"],
            r["next"],
            r["mode"],
            units.of_span(r["key_age"]),
            r["why"],
        )
        for r in found
    ]
    hints = [Text(f"{r['host']} {r['volume']}: next: {r['hint']}") for r in found if r["hint"]]
    emit({"volumes": found}, Table(columns, rows), *hints)
    return Exit.OK if all(r["good"] for r in found) or not check else Exit.GUARD


def _hosts(plan: Plan) -> str:
    names = {str(spec.args["host"]) for spec in plan.specs}
    return counted(len(names), "host")


def _controllers(plan: Plan) -> bool:
    return any(spec.args["voter"] for spec in plan.specs)
