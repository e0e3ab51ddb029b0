"""`kafkaops features`: the finalized feature levels of one cluster, shown, raised and lowered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.session import current
from kafkaops.cli.upgrade import Confirm, Detailed, Reason, Yes
from kafkaops.engine.errors import Exit, GuardRefused, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.engine.step import Plan
    from kafkaops.features.asking import Asked

HELP = """Feature levels of a cluster: what is finalized, what its nodes could run.

New software keeps to the finalized levels until somebody raises them. A level that changes what is
stored cannot be lowered again, and then older software cannot come back.
"""

app = make_app(HELP)

Which = Annotated[str, typer.Option("--cluster", metavar="blue|green", help="Which cluster.")]
To = Annotated[
    str | None, typer.Option("--to", metavar="RELEASE", help="The release whose levels: 4.3.")
]
One = Annotated[
    list[str] | None,
    typer.Option(
        "--feature",
        metavar="NAME=LEVEL",
        help="This level of one feature, over that of the release; may be repeated.",
    ),
]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Save the plan: `apply`.")]
Only = Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")]


@app.command(cls=OpsCommand)
def show(cluster: Which = "blue") -> int:
    """What is finalized, what each node supports, and what the newest common release would set.

    \b
    Examples:
      kafkaops features show
      kafkaops features show --cluster green -o json
    """
    from kafkaops.cli import features_table, targets
    from kafkaops.cli.output import emit
    from kafkaops.features.asking import refuse_without_features

    target = targets.one(cluster)
    with target.open() as found:
        features = found.features()
    refuse_without_features(features, target.of().name)
    data = {"cluster": target.name, **features_table.document(features)}
    emit(data, features_table.table(features), *features_table.remarks(features))
    return Exit.OK


@app.command(cls=OpsCommand)
def plan(
    cluster: Which = "blue",
    to: To = None,
    feature: One = None,
    out: Out = None,
    detailed: Detailed = False,
) -> int:
    """What `finalize` would do, level by level, tried by the controller; changes nothing.

    \b
    Examples:
      kafkaops features plan --to 4.3
      kafkaops features plan --to 4.3 --feature eligible.leader.replicas.version=0
      kafkaops features plan --to 4.3 --out plan.json
    """
    from kafkaops.features.asking import FINALIZE

    loaded = current().load()
    made = new_plan(loaded, _asked(FINALIZE, cluster, to, feature))
    return _show(made, out, detailed=detailed)


@app.command(cls=OpsCommand)
def finalize(
    cluster: Which = "blue",
    to: To = None,
    feature: One = None,
    plan: Only = False,
    out: Out = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Raise the levels to those of a release. Asks for the name where there is no way back.

    kraft.version is raised only when it is named. The same command again goes on with a run that
    did not end.

    \b
    Examples:
      kafkaops features finalize --to 4.3 --confirm orders --reason CHG-1234
      kafkaops features finalize --to 4.3 --feature eligible.leader.replicas.version=0
      kafkaops features finalize --feature kraft.version=1 --cluster green
    """
    from kafkaops.cli import carry
    from kafkaops.features.asking import FINALIZE

    orders = carry.Orders(yes, confirm, None, reason)
    return _work(_asked(FINALIZE, cluster, to, feature), orders, plan, out, detailed)


@app.command(cls=OpsCommand)
def downgrade(
    cluster: Which = "blue",
    to: To = None,
    feature: One = None,
    plan: Only = False,
    out: Out = None,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Lower levels, where nothing is lost by it; before the software, never after it.

    \b
    Examples:
      kafkaops features downgrade --to 4.1 --plan
      kafkaops features downgrade --feature share.version=0 --yes
    """
    from kafkaops.cli import carry
    from kafkaops.features.asking import DOWNGRADE

    orders = carry.Orders(yes, confirm, None, reason)
    return _work(_asked(DOWNGRADE, cluster, to, feature), orders, plan, out, detailed)


def _asked(verb: str, cluster: str, to: str | None, feature: list[str] | None) -> Asked:
    from kafkaops.features.asking import Asked, parse, release_of

    if cluster not in ("blue", "green"):
        raise UsageFault(
            "KO-CLUSTER-UNKNOWN", f"there is no cluster {cluster!r}", hint="--cluster blue|green"
        )
    pairs = parse(feature or ())
    if to is not None:
        release_of(to)
    elif not pairs:
        raise UsageFault(
            "KO-USAGE", "neither a release nor a feature is given", hint="--to 4.3, or --feature"
        )
    return Asked(verb, cluster, to, pairs)


def _work(asked: Asked, orders: Orders, plan: bool, out: str | None, detailed: bool) -> int:
    from kafkaops.cli import carry, runs
    from kafkaops.cli.output import Text, emit, news
    from kafkaops.cli.upgrade import ended

    loaded = current().load()
    before = runs.latest(loaded, runs.FEATURES)
    if before is not None and before.status in runs.UNFINISHED and not plan and out is None:
        _same(before, asked, loaded)
        news(f"run {before.id} did not end ({before.status.value}): going on with it")
        words = f"This goes on with run {before.id}."
        _agree(loaded, asked.cluster, words, orders, severe=without_return(before))
        result = carry.carry(loaded, before.directory, orders, current().operations.resume)
        return ended(loaded, before.id, result.outcome)
    made = new_plan(loaded, asked)
    if plan or out is not None:
        return _show(made, out, detailed=detailed)
    if not made.specs:
        emit(
            {"outcome": "nothing-to-do", "notes": list(made.notes)},
            Text("nothing to do: every level is there"),
            *(Text(f"note: {note}") for note in made.notes),
        )
        return Exit.OK
    return begin(loaded, made, orders)


def new_plan(loaded: Loaded, asked: Asked) -> Plan:
    from kafkaops.cli import runs
    from kafkaops.cli.output import news

    operations = current().operations
    world = operations.world(loaded.config, run_dir=None, say=news)
    at = datetime.fromtimestamp(world.clock.wall(), UTC)
    name = f"{loaded.config.name}-features-{at:%Y%m%d-%H%M%S}"
    taken = {summary.id for summary in runs.store(loaded).list()}
    run = next(i for i in (name, *(f"{name}-{n}" for n in range(2, 1000))) if i not in taken)
    news(f"looking at {asked.cluster} and asking its controller")
    return operations.plan_features(world, run, asked)


def begin(loaded: Loaded, plan: Plan, orders: Orders) -> int:
    """Show the plan on stderr, ask, run it, and say how it ended."""
    from kafkaops.cli import carry, runs
    from kafkaops.cli.output import news
    from kafkaops.cli.upgrade import ended

    for line in lines(plan):
        news(line)
    name = getattr(loaded.config, str(plan.snapshot["options"]["cluster"])).name
    shut = [spec.irreversible for spec in plan.specs if spec.irreversible]
    what = f"This changes {len(plan.specs)} feature levels of {name}"
    what += f", and there is no way back: {'; '.join(shut)}." if shut else "."
    _agree(loaded, str(plan.snapshot["options"]["cluster"]), what, orders, severe=bool(shut))
    directory = runs.store(loaded).run(plan.id)
    operations = current().operations
    result = carry.carry(loaded, directory, orders, lambda c: operations.begin(c, plan))
    return ended(loaded, plan.id, result.outcome)


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: each step, what cannot be taken back, and each level on the way."""
    from kafkaops.cli import plans

    yield from plans.lines(plan, current().operations.titles())
    yield "  the controller tried all of it and would do it" if plan.specs else "  nothing to do"


def summary(run: Run) -> list[str]:
    """Which levels were reached, and which were not."""
    from kafkaops.engine.history import History

    past = History(run.last)
    if past.rolled_back:
        return ["every level is back where it was"]
    specs = run.last.plan.specs
    done = [f"{s.id} {s.args['new']}" for s in specs if s.id in past.done]
    left = [s.id for s in specs if s.id not in past.done]
    found = [f"reached: {', '.join(done) or 'nothing'}"]
    return found + ([f"not reached: {', '.join(left)}"] if left else [])


def _same(run: Run, asked: Asked, loaded: Loaded) -> None:
    """A run that did not end is gone on with only by who asks for the same."""
    from kafkaops.cli.carry import busy, config_flag
    from kafkaops.cli.runs import Status
    from kafkaops.engine.plan_json import drift

    if run.status is Status.RUNNING:
        raise busy(run)
    differs = drift(run.last.plan.snapshot["options"], asked.to_json())
    if differs or run.going_back:
        flag = config_flag(loaded)
        way = "is on its way back" if run.going_back else f"did not end ({run.status.value})"
        raise GuardRefused(
            "KO-RUN-UNFINISHED",
            f"the change of features {run.id} {way}"
            + (f", and was asked for otherwise: {differs[0]}" if differs else ""),
            where=run.id,
            hint=f"kafkaops run resume {run.id}{flag}, or end it: run rollback {run.id}{flag}",
        )


def without_return(run: Run) -> bool:
    """Whether a step that is still to come cannot be taken back."""
    from kafkaops.engine.history import History

    done = History(run.last).done
    return any(s.irreversible and s.id not in done for s in run.last.plan.specs)


def _agree(loaded: Loaded, colour: str, what: str, orders: Orders, *, severe: bool) -> None:
    from kafkaops.cli import consent

    consent.require(
        consent.tier_of(
            changes=True, severe=severe, protected=getattr(loaded.config, colour).protected
        ),
        what,
        name=loaded.config.name,
        yes=orders.yes,
        confirm=orders.confirm,
    )


def _show(plan: Plan, out: str | None, *, detailed: bool) -> int:
    """The plan on stdout, and saved where it is to be."""
    import sys

    from kafkaops.cli import plans
    from kafkaops.cli.output import Text, emit
    from kafkaops.engine.plan_json import to_json

    if out is not None:
        plans.save(plan, out)
    flag = f" -c {current().config}" if current().config is not None else ""
    saved = [] if out is None else [f"saved to {out}; run it with: kafkaops apply {out}{flag}"]
    if sys.stdout.isatty():
        emit({"plan": to_json(plan)}, *(Text(x) for x in (*lines(plan), *saved)))
    else:
        words = [*(f"note: {note}" for note in plan.notes), *saved]
        emit({"plan": to_json(plan)}, plans.table(plan), *(Text(x) for x in words))
    return Exit.CHANGES if detailed and plan.specs else Exit.OK
