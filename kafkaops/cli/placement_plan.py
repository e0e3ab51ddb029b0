"""`kafkaops placement plan|show|leaders`: the fewest moves to a goal. Only reads."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Detailed
from kafkaops.cli.placement_goals import Exclude, NoRack, joined
from kafkaops.cli.placement_source import Assignment, Brokers, From, Source, Which
from kafkaops.engine.errors import Exit

if TYPE_CHECKING:
    from kafkaops.placement.planning.goals import Goals
    from kafkaops.placement.planning.plan import Placement

Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Save the moves: `placement apply FILE`."),
]
ROut = Annotated[
    str | None,
    typer.Option(
        "--reassignment-out", metavar="R.json", help="Save them as Kafka's own tool reads them."
    ),
]


def plan(
    asked: Goals,
    cluster: Which = None,
    source: From = None,
    assignment: Assignment = None,
    brokers: Brokers = None,
    out: Out = None,
    reassignment_out: ROut = None,
    detailed: Detailed = False,
) -> int:
    """The fewest moves that reach the goals, with the proof that fewer are impossible.

    Goals combine freely. Without any: rack violations are repaired, and replicas and leaders evened
    out. With --assignment, brokers that hold replicas and are not in B.json are emptied. Partitions
    that no goal touches keep their replicas and their order.

    \b
    Examples:
      kafkaops placement plan --add 7 --add 8 --out moves.json
      kafkaops placement plan --from blue.json --drain 3 --balance replicas,leaders
      kafkaops placement plan --rf 'orders*=3' --repair --exclude '__*'
      kafkaops placement plan --assignment A.json --brokers B.json --reassignment-out R.json
      kafkaops placement plan --replace 3=9 --objective bytes -o json
    """
    from kafkaops.cli import placement_table
    from kafkaops.cli.output import emit
    from kafkaops.placement.planning import plan_json, planner

    where = Source(cluster, source, assignment, brokers).checked()
    where.refuse_over({"--out": out, "--reassignment-out": reassignment_out})
    found = where.plan(planner.completed(asked))
    _save(found, out, reassignment_out)
    emit(
        {"kind": "placement", **plan_json.summary(found)},
        placement_table.brokers(found, after=True, narrow=sys.stdout.isatty()),
        *placement_table.words(found),
    )
    return Exit.CHANGES if detailed and not found.empty else Exit.OK


def show(
    asked: Goals,
    cluster: Which = None,
    source: From = None,
    assignment: Assignment = None,
    brokers: Brokers = None,
) -> int:
    """Brokers by rack: replicas, leaders and bytes, with rack violations; with goals also after.

    \b
    Examples:
      kafkaops placement show
      kafkaops placement show --from blue.json --drain 3
      kafkaops placement show --assignment A.json --brokers B.json -o json
    """
    from dataclasses import replace

    from kafkaops.cli import placement_table
    from kafkaops.cli.output import Text, emit
    from kafkaops.placement.planning import plan_json
    from kafkaops.placement.planning.goals import ALL

    where = Source(cluster, source, assignment, brokers).checked()
    look = asked.none and where.assignment is None
    found = where.plan(replace(asked, no_rack=(ALL,)) if look else asked)
    after = not asked.none
    texts = (
        placement_table.words(found) if after else iter([Text(placement_table.violations(found))])
    )
    emit(
        {"kind": "placement-brokers", **plan_json.summary(found, changes=False)},
        placement_table.brokers(found, after=after, narrow=sys.stdout.isatty()),
        *texts,
    )
    return Exit.OK


def leaders(
    cluster: Which = None,
    source: From = None,
    assignment: Assignment = None,
    brokers: Brokers = None,
    exclude: Exclude = None,
    allow_no_rack: NoRack = None,
    out: Out = None,
    reassignment_out: ROut = None,
    detailed: Detailed = False,
) -> int:
    """Even out preferred leaders, per broker and per topic, with the fewest changes and no bytes.

    \b
    Examples:
      kafkaops placement leaders
      kafkaops placement leaders --from blue.json --out leaders.json
      kafkaops placement leaders --assignment A.json --brokers B.json --reassignment-out R.json
    """
    from kafkaops.cli import placement_table
    from kafkaops.cli.output import emit
    from kafkaops.placement.planning import plan_json
    from kafkaops.placement.planning.goals import ALL, Balance, Goals

    where = Source(cluster, source, assignment, brokers).checked()
    racks = tuple(allow_no_rack or ()) or (ALL,)  # nothing moves, so racks do not matter
    asked = Goals(balance=(Balance.LEADERS,), exclude=tuple(exclude or ()), no_rack=racks)
    where.refuse_over({"--out": out, "--reassignment-out": reassignment_out})
    found = where.plan(asked)
    _save(found, out, reassignment_out)
    emit(
        {"kind": "placement", **plan_json.summary(found)},
        placement_table.brokers(found, after=True, narrow=sys.stdout.isatty()),
        *placement_table.words(found),
    )
    return Exit.CHANGES if detailed and not found.empty else Exit.OK


def _save(found: Placement, out: str | None, reassignment_out: str | None) -> None:
    from kafkaops.cli.files import write
    from kafkaops.placement.planning import kafka_json, plan_json

    documents: list[tuple[str | None, Any]] = [
        (out, lambda: plan_json.file_of(found)),
        (reassignment_out, lambda: kafka_json.reassignment(found.moves)),
    ]
    for file, make in documents:
        if file is not None:
            write(file, json.dumps(make()) + "\n")


plan_app = make_app()
plan_app.command("plan", cls=OpsCommand)(joined(plan))
show_app = make_app()
show_app.command("show", cls=OpsCommand)(joined(show))
leaders_app = make_app()
leaders_app.command("leaders", cls=OpsCommand)(leaders)
