"""`kafkaops placement apply|cancel`: moves carried out, and called off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason, Yes
from kafkaops.cli.job import Asked as Wanted
from kafkaops.cli.job import Job, Wish, carried_out, colour_of
from kafkaops.cli.placement_goals import joined
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, GuardRefused, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.runs import Run
    from kafkaops.engine.step import Plan
    from kafkaops.placement.planning.goals import Goals

File = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="Moves as `placement plan` or kafka-reassign-partitions write them, for goals.",
    ),
]
Which = Annotated[str, typer.Option("--cluster", metavar="blue|green", help="Which cluster.")]
Throttle = Annotated[
    str | None,
    typer.Option(
        "--throttle",
        metavar="RATE|auto",
        help="For each broker and direction: 80MiB/s; auto: what --link has left. Default none.",
    ),
]
Link = Annotated[
    str | None,
    typer.Option("--link", metavar="RATE", help="A broker's network, for --throttle auto."),
]
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency", metavar="N", min=1, help="Replicas that a broker gets or sends at once."
    ),
]
WaveSize = Annotated[
    int,
    typer.Option("--wave", metavar="N", min=1, max=10_000, help="Partitions in a wave, at most."),
]
Reserve = Annotated[
    str, typer.Option("--reserve", metavar="SIZE", help="What stays free on each receiving broker.")
]
Only = Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Save the plan: `apply`.")]
RunId = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="The run; default the newest placement.")
]
apply_app = make_app()
cancel_app = make_app()
SHOWN = 12
"""Waves that the plan shows to people one by one."""


def apply(
    asked: Goals,
    file: File = None,
    cluster: Which = "blue",
    throttle: Throttle = None,
    link: Link = None,
    concurrency: Concurrency = 10,
    wave: WaveSize = 1_000,
    reserve: Reserve = "1GiB",
    plan: Only = False,
    out: Out = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Move replicas to where the goals, or a file of moves, want them: wave by wave.

    Without goals and file, rack violations are repaired, and replicas and leaders evened out.
    Each wave waits until the cluster is sound and the receiving disks have room. Ctrl-C calls off
    what is on its way, to the exact order of before; the same command again goes on.

    \b
    Examples:
      kafkaops placement apply --add 7 --add 8 --throttle 80MiB/s --plan
      kafkaops placement apply --drain 3 --throttle 80MiB/s --yes --reason CHG-1234
      kafkaops placement apply --add 7 --throttle auto --link 600MiB/s --yes
      kafkaops placement apply moves.json --concurrency 4 --reserve 50GiB
      kafkaops placement apply --rf 'orders*=3' --plan --out plan.json; kafkaops apply plan.json
    """
    from kafkaops.cli import carry
    from kafkaops.placement.applying import rates
    from kafkaops.placement.applying.planner import Options
    from kafkaops.placement.planning import planner

    document: Any = None
    if file is not None:
        if not asked.none:
            raise UsageFault(
                "KO-USAGE",
                "goals and a file of moves do not go together",
                where=file,
                hint="leave one of them out",
            )
        document, wanted = _read(file)
    else:
        wanted = planner.completed(asked).to_json()
    options = Options(
        cluster=colour_of(cluster),
        throttle=None if throttle in (None, "auto") else rates.rate(throttle or ""),
        link=_link(throttle, link),
        concurrency=concurrency,
        partitions=wave,
        reserve=rates.size(reserve),
        goals=wanted,
    )
    operations = current().operations
    work = Wanted(
        options.cluster,
        options.to_json(),
        lambda world, run: operations.plan_placement(world, run, options, document),
        f"looking at {options.cluster}"
        + (", and for some seconds at what clients write" if throttle else ""),
    )
    orders = carry.Orders(yes, confirm, None, reason)
    return carried_out(job(), work, Wish(plan, out, detailed), orders)


apply_app.command("apply", cls=OpsCommand)(joined(apply))


@cancel_app.command("cancel", cls=OpsCommand)
def cancel(
    run: RunId = None, yes: Yes = False, confirm: Confirm = None, reason: Reason = ""
) -> int:
    """Call off what is on its way: the brokers, the order and the throttles of before.

    What is finished stays where it is; `run rollback` takes it back too, `run resume` goes on. Of a
    run that is over it clears throttles that are left, as on a broker that was down in the end.

    \b
    Examples:
      kafkaops placement cancel
      kafkaops placement cancel orders-placement-20261124-101500 --yes
    """
    from kafkaops.cli import carry, consent, runs
    from kafkaops.cli.ending import ended

    loaded = current().load()
    found = _placement(run)
    if found.status is runs.Status.RUNNING:
        who = found.holder()
        raise GuardRefused(
            "KO-RUN-BUSY",
            f"run {found.id} is carried by process {who.get('pid')} on {who.get('host')}",
            where=found.id,
            hint=f"Ctrl-C there calls it off, or on {who.get('host')}: kill -INT {who.get('pid')}",
            exit=Exit.LOCKED,
        )
    orders = carry.Orders(yes, confirm, None, reason)
    colour = str(found.journals[0].plan.snapshot["options"]["cluster"])
    consent.require(
        consent.tier_of(
            changes=True, severe=False, protected=getattr(loaded.config, colour).protected
        ),
        f"This calls off what is on its way of run {found.id}, and clears its throttles.",
        name=loaded.config.name,
        yes=yes,
        confirm=confirm,
    )
    result = carry.carry(loaded, found.directory, orders, current().operations.cancel_placement)
    return ended(loaded, found.id, result.outcome)


def job() -> Job:
    """A placement, as commands carry it out."""
    nothing, leave = "everything is where it is to be", "kafkaops placement cancel"
    return Job("placement", "placement", nothing, lines, _what, leave=leave)


def _what(plan: Plan, cluster: str) -> str:
    from kafkaops.placement.applying import planner as applying
    from kafkaops.placement.applying import rates

    moves, dirs = applying.moves_of(plan), applying.dirs_of(plan)
    copied = sum(m.copied for m in moves) + sum(d.bytes for d in dirs)
    count = sum(len(m.adding) for m in moves) + len(dirs)
    return (
        f"This moves {count} replicas of {cluster}, {rates.words(copied)}, and changes"
        f" {len(moves)} partitions."
    )


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: what comes before and after, and the waves."""
    yield f"plan {plan.id}: placement of {plan.cluster}, {len(plan.specs)} steps"
    waves = [s for s in plan.specs if s.phase == "waves"]
    for spec in plan.specs:
        if spec not in waves[SHOWN:]:
            yield f"  {spec.phase:<10} {spec.title}"
        elif spec is waves[SHOWN]:
            yield f"  {spec.phase:<10} and {len(waves) - SHOWN} waves more"
    for note in plan.notes:
        yield f"  note: {note}"
    yield "  Ctrl-C calls off what is on its way; run rollback takes back what is finished"


def summary(run: Run) -> list[str]:
    """How many partitions are where they are to be."""
    from kafkaops.engine.history import History
    from kafkaops.placement.applying import spec_args

    past = History(run.last)
    waves = [s for s in run.last.plan.specs if s.phase == "waves"]

    def count(specs: list[Any]) -> int:
        rows = [s.args for s in specs]
        return sum(
            len(spec_args.moves_of(a["moves"])) if "moves" in a else len(a["dirs"]) for a in rows
        )

    done = [s for s in waves if s.id in past.done]
    said = [f"{count(done)} of {count(waves)} partitions moved, {len(done)} of {len(waves)} waves"]
    if len(done) < len(waves) and not past.rolling_back:
        said.append(f"take it back: kafkaops run rollback {run.id}")
    return said


def _placement(run: str | None) -> Run:
    from kafkaops.cli import runs

    loaded = current().load()
    if run is not None:
        found: Run | None = runs.find(loaded, run)
    else:
        found = runs.latest(loaded, runs.PLACEMENT)
    if found is None or found.journals[0].plan.operation != runs.PLACEMENT:
        raise UsageFault(
            "KO-RUN-NONE",
            f"run {run} is no placement" if run else f"{loaded.config.name} has no placement yet",
            hint="kafkaops run list",
        )
    return found


def _link(throttle: str | None, link: str | None) -> int | None:
    from kafkaops.placement.applying import rates

    if (throttle == "auto") is not (link is not None):
        raise UsageFault(
            "KO-USAGE",
            "--throttle auto and --link belong together",
            hint="--throttle auto --link 600MiB/s, what a broker's network carries; or a rate",
        )
    return None if link is None else rates.rate(link)


def _read(file: str) -> tuple[Any, dict[str, Any]]:
    """The document, and what stands for its goals: a digest of it."""
    from kafkaops.cli.files import read_json
    from kafkaops.engine.plan_json import fingerprint

    document = read_json(file)
    return document, {"moves": fingerprint({"document": document})}
