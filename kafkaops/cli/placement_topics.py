"""`kafkaops placement topic create` and `partitions add`: even at once, proven afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli import placement_topics_table as shown
from kafkaops.cli.commands import OpsCommand, OpsGroup, common_params, make_app
from kafkaops.cli.consent_flags import Confirm, Reason, Yes
from kafkaops.cli.output import Text, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, StepFailed, UsageFault

if TYPE_CHECKING:
    from kafkaops.cli.targets import Target
    from kafkaops.placement.topics.planner import Allowed, TopicPlan
    from kafkaops.ports.cluster import Cluster


class Group(OpsGroup):
    """A group that takes the common flags itself."""

    def __init__(self, **attrs: Any) -> None:
        attrs["params"] = [*(attrs.get("params") or ()), *common_params()]
        super().__init__(**attrs)


TOPIC = """New topics, with racks and leaders even from the start.

\b
Examples:
  kafkaops placement topic create payments --partitions 12 --plan
"""
PARTITIONS = """More partitions for a topic, in the order that is there.

\b
Examples:
  kafkaops placement partitions add payments --to 24 --plan
"""

topic = make_app(TOPIC, cls=Group)
partitions = make_app(PARTITIONS, cls=Group)


@topic.callback()
def _topic() -> None: ...


@partitions.callback()
def _partitions() -> None: ...


Name = Annotated[str, typer.Argument(metavar="NAME", help="The topic.")]
Which = Annotated[
    str, typer.Option("--cluster", metavar="blue|green", help="A cluster of the config; HOST:PORT.")
]
NoRack = Annotated[
    bool,
    typer.Option("--allow-no-rack", help="Also brokers without a rack; they count as one rack."),
]
SharedRacks = Annotated[
    bool,
    typer.Option("--allow-shared-racks", help="RF above the racks: several replicas in a rack."),
]
Exclude = Annotated[
    list[int] | None,
    typer.Option("--exclude-broker", metavar="ID", help="It gets nothing; may be repeated."),
]
Only = Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")]


@topic.command(cls=OpsCommand)
def create(
    name: Name,
    number: Annotated[
        int, typer.Option("--partitions", metavar="N", min=1, help="How many partitions.")
    ],
    rf: Annotated[int, typer.Option("--rf", metavar="R", min=1, help="Replication factor.")] = 3,
    topic_config: Annotated[
        list[str] | None,
        typer.Option("--topic-config", metavar="KEY=VALUE", help="Of the topic; may be repeated."),
    ] = None,
    cluster: Which = "blue",
    allow_no_rack: NoRack = False,
    allow_shared_racks: SharedRacks = False,
    exclude_broker: Exclude = None,
    plan: Only = False,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
) -> int:
    """Create a topic: distinct racks, even on brokers and leaders, on the least loaded first.

    The plan is shown and asked for; afterwards the cluster is read again and compared with it.

    \b
    Examples:
      kafkaops placement topic create payments --partitions 12 --plan
      kafkaops placement topic create payments --partitions 12 --rf 3 \\
        --topic-config min.insync.replicas=2 --topic-config retention.ms=604800000 --yes
      kafkaops placement topic create scratch --partitions 3 --rf 1 --cluster 10.0.0.1:9094 --yes
    """
    from kafkaops.placement.topics.planner import creation

    allowed, configs = (
        _allowed(allow_no_rack, allow_shared_racks, exclude_broker),
        _pairs(topic_config),
    )

    def made(opened: Cluster) -> TopicPlan:
        state = opened.snapshot(full=False)
        return creation(state, name, number, rf, configs, allowed)

    return _carried_out(cluster, made, plan, yes, confirm, reason)


@partitions.command(cls=OpsCommand)
def add(
    name: Name,
    to: Annotated[
        int, typer.Option("--to", metavar="N", min=1, help="How many there are afterwards.")
    ],
    cluster: Which = "blue",
    allow_no_rack: NoRack = False,
    allow_shared_racks: SharedRacks = False,
    exclude_broker: Exclude = None,
    plan: Only = False,
    yes: Yes = False,
    confirm: Confirm = None,
    reason: Reason = "",
) -> int:
    """Add partitions to a topic, going on in its order; what is there is not touched.

    There is no way back, and keys go to other partitions from then on: a compacted topic, whose
    records have keys, is asked for by name.

    \b
    Examples:
      kafkaops placement partitions add payments --to 24 --plan
      kafkaops placement partitions add payments --to 24 --yes --reason CHG-1234
      kafkaops placement partitions add accounts --to 24 --confirm orders
    """
    from dataclasses import replace

    from kafkaops.placement.topics.planner import addition

    allowed = _allowed(allow_no_rack, allow_shared_racks, exclude_broker)

    def made(opened: Cluster) -> TopicPlan:
        state = opened.snapshot(full=False)
        state = replace(state, topics=opened.topics(configs=True))
        return addition(state, name, to, allowed)

    return _carried_out(cluster, made, plan, yes, confirm, reason)


def _allowed(no_rack: bool, shared_racks: bool, exclude: list[int] | None) -> Allowed:
    from kafkaops.placement.topics.planner import Allowed

    return Allowed(no_rack, shared_racks, frozenset(exclude or ()))


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name or name in pairs:
            what = "is there twice" if name in pairs else "is not KEY=VALUE"
            raise UsageFault(
                "KO-USAGE",
                f"--topic-config {text} {what}",
                where="--topic-config",
                hint="--topic-config retention.ms=604800000",
            )
        pairs[name] = value
    return pairs


def _carried_out(
    cluster: str,
    made: Callable[[Cluster], TopicPlan],
    only: bool,
    yes: bool,
    confirm: str | None,
    reason: str,
) -> int:
    """Plan, show, ask, do, and read it back."""
    from kafkaops.cli import consent, targets
    from kafkaops.engine.readonly import readonly
    from kafkaops.ports.cluster import Cluster as Port

    target = targets.one(cluster)
    with target.open() as opened:
        found = made(readonly(opened, Port))
        if only:
            emit(shown.document(found, "planned"), *shown.tables(found), *shown.warnings(found))
            return Exit.OK
        for line in shown.lines(found, target.name):
            news(line)
        owner = target.name if target.config is None else target.config.name
        consent.require(
            consent.tier_of(changes=True, severe=found.keyed, protected=target.of().protected),
            shown.question(found, target.name),
            name=owner,
            yes=yes,
            confirm=confirm,
        )
        with _held(target, found, reason):
            _act(opened, found)
        _prove(opened, found, target.name)
    outcome = "created" if found.verb == "create" else "added"
    emit(
        {**shown.document(found, outcome), "proven": True},
        *shown.tables(found),
        Text(shown.done(found)),
    )
    return Exit.OK


def _act(opened: Cluster, plan: TopicPlan) -> None:
    if plan.verb == "create":
        opened.create_topic(plan.topic, plan.assignment, plan.configs)
    else:
        opened.create_partitions(plan.topic, plan.assignment)


def _prove(opened: Cluster, plan: TopicPlan, where: str) -> None:
    """StepFailed (KO-TOPIC-DIFFERS) where the cluster shows something else than was planned."""
    from kafkaops.placement.topics.planner import differences

    wrong = differences(plan, opened.topics(configs=bool(plan.configs)).get(plan.topic))
    if wrong:
        error = StepFailed(
            "KO-TOPIC-DIFFERS",
            f"{plan.topic} is not as planned in {len(wrong)} places: {wrong[0]}",
            where=where,
            hint=f"kafkaops cluster show {where} --topics",
        )
        error.details = tuple(wrong)  # type: ignore[attr-defined]
        raise error


@contextmanager
def _held(target: Target, plan: TopicPlan, reason: str) -> Iterator[None]:
    """Hold the lease of the config's clusters and keep the audit; a cluster known by its address
    alone has neither."""
    if target.config is None:
        yield
        return
    from kafkaops.engine.audit import Audit
    from kafkaops.engine.errors import OpsError

    operations, config = current().operations, target.config
    run = f"{config.name}-{plan.verb}-{plan.topic}"
    lease = operations.lease(config, run)
    audit = Audit(Path(config.state.dir) / "audit.jsonl", operations.clock())
    try:
        audit.write(current().argv, run=run, cluster=config.name, reason=reason)
        lease.verify()
        try:
            yield
        except OpsError as error:
            audit.write(current().argv, run=run, cluster=config.name, reason=reason,
                        outcome=error.code, exit=int(error.exit))  # fmt: skip
            raise
        audit.write(current().argv, run=run, cluster=config.name, reason=reason,
                    outcome="done", exit=0)  # fmt: skip
    finally:
        lease.release()
