"""`kafkaops features`: the finalized feature levels of one cluster, shown, raised and lowered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason, Yes
from kafkaops.cli.job import Asked as Wanted
from kafkaops.cli.job import Job, Wish, carried_out, colour_of, shown
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.carry import Orders
    from kafkaops.cli.runs import Run
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

    return shown(job(), _wanted(_asked(FINALIZE, cluster, to, feature)), Wish(True, out, detailed))


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
    return _work(_asked(FINALIZE, cluster, to, feature), orders, Wish(plan, out, detailed))


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

    Refused at a level that cannot be lowered. The same command again goes on with a run that did
    not end.

    \b
    Examples:
      kafkaops features downgrade --to 4.1 --plan
      kafkaops features downgrade --feature share.version=0 --yes
    """
    from kafkaops.cli import carry
    from kafkaops.features.asking import DOWNGRADE

    orders = carry.Orders(yes, confirm, None, reason)
    return _work(_asked(DOWNGRADE, cluster, to, feature), orders, Wish(plan, out, detailed))


def _asked(verb: str, cluster: str, to: str | None, feature: list[str] | None) -> Asked:
    from kafkaops.features.asking import Asked, parse, release_of

    pairs = parse(feature or ())
    if to is not None:
        release_of(to)
    elif not pairs:
        raise UsageFault(
            "KO-USAGE", "neither a release nor a feature is given", hint="--to 4.3, or --feature"
        )
    return Asked(verb, colour_of(cluster), to, pairs)


def _work(asked: Asked, orders: Orders, wish: Wish) -> int:
    return carried_out(job(), _wanted(asked), wish, orders)


def _wanted(asked: Asked) -> Wanted:
    return Wanted(
        asked.cluster,
        asked.to_json(),
        lambda world, run: current().operations.plan_features(world, run, asked),
        f"looking at {asked.cluster} and asking its controller",
    )


def job() -> Job:
    """A change of feature levels, as commands carry it out."""
    return Job(
        "features",
        "change of features",
        "every level is there",
        lines,
        _what,
        severe=lambda plan: bool(_shut(plan)),
        severe_still=without_return,
    )


def _what(plan: Plan, cluster: str) -> str:
    words = f"This changes {len(plan.specs)} feature levels of {cluster}"
    shut = _shut(plan)
    return f"{words}, and there is no way back: {'; '.join(shut)}." if shut else f"{words}."


def _shut(plan: Plan) -> list[str]:
    return [spec.irreversible for spec in plan.specs if spec.irreversible]


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


def without_return(run: Run) -> bool:
    """Whether a step that is still to come cannot be taken back."""
    from kafkaops.engine.history import History

    done = History(run.last).done
    return any(s.irreversible and s.id not in done for s in run.last.plan.specs)
