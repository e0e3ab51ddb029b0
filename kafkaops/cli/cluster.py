"""`kafkaops cluster show|health|diff|snapshot|clear`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Reason
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current

if TYPE_CHECKING:
    from kafkaops.model.cluster import ClusterState

app = make_app("One cluster: what it is, whether it is well, how it differs from another.")

Which = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CLUSTER]...",
        help="blue, green, a name in the config, or HOST:PORT; default both of the config.",
    ),
]


@app.command(cls=OpsCommand)
def show(
    cluster: Which = None,
    topics: Annotated[bool, typer.Option("--topics", help="A line a topic.")] = False,
    groups: Annotated[bool, typer.Option("--groups", help="A line a consumer group.")] = False,
) -> None:
    """Show brokers, topics and groups of a cluster.

    \b
    Examples:
      kafkaops cluster show blue
      kafkaops cluster show green --topics --groups
      kafkaops cluster show 10.0.0.1:9094 -o json
    """
    from kafkaops.cli import targets
    from kafkaops.model.cluster_json import to_json

    parts: list[Table | Text] = []
    data: list[Any] = []
    for target in targets.clusters(cluster):
        with target.open() as opened:
            state = opened.snapshot()
        data.append({"name": target.name, **to_json(state)})
        parts.append(_brokers(target.name, state))
        if topics:
            parts.append(_topics(target.name, state))
        if groups:
            parts.append(_groups(target.name, state))
        parts.append(Text(_summary(target.name, state)))
    emit({"clusters": data}, *parts)


@app.command(cls=OpsCommand)
def health(
    cluster: Which = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Read topic configs too: unclean elections, min ISR."),
    ] = False,
) -> int:
    """Say whether a cluster is well: brokers, controller, quorum, partitions. Exit 5 if not.

    \b
    Examples:
      kafkaops cluster health
      kafkaops cluster health blue --deep
      kafkaops cluster health 10.0.0.1:9094 -o json
    """
    from kafkaops.cli import targets
    from kafkaops.engine.errors import Exit
    from kafkaops.model.health import Level

    rows: list[tuple[str, str, str, str]] = []
    data: list[Any] = []
    found = [(target.name, target.health(deep=deep)) for target in targets.clusters(cluster)]
    full = not current().json
    for name, judged in found:
        data.append({"name": name, "verdict": judged.verdict, **vars(judged)})
        rows.extend((name, c.name, c.level.value, c.text) for c in judged.checks if full)
    words = [Text(f"{name}: {judged.verdict.value}") for name, judged in found]
    emit({"clusters": data}, Table(("cluster", "check", "level", "found"), rows), *words)
    return Exit.GUARD if any(j.verdict is Level.BAD for _, j in found) else Exit.OK


@app.command(cls=OpsCommand)
def diff(
    source: Annotated[
        str, typer.Argument(help="blue, green, a name, HOST:PORT or a snapshot file.")
    ] = "blue",
    target: Annotated[str, typer.Argument(help="The same.")] = "green",
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 10 where they differ.")
    ] = False,
) -> int:
    """What TARGET lacks of SOURCE: topics, partitions, effective configs, ACLs, quotas.

    \b
    Examples:
      kafkaops cluster diff
      kafkaops cluster diff green blue
      kafkaops cluster diff blue.json green --detailed-exitcode
    """
    from kafkaops.cli import targets
    from kafkaops.engine.errors import Exit
    from kafkaops.upgrade.parity_diff import diff as compare

    states = [targets.state(name) for name in (source, target)]
    found = compare(*states, exclude=targets.excluded())
    lines = found.lines()
    words = f"{target} has all of {source}" if found.empty else f"{target} differs from {source}"
    emit(
        {"source": source, "target": target, "equal": found.empty, "difference": found},
        Table(("difference",), [(line,) for line in lines]),
        Text(words),
    )
    return Exit.CHANGES if detailed and not found.empty else Exit.OK


@app.command(cls=OpsCommand)
def snapshot(
    cluster: Annotated[str, typer.Argument(help="blue, green, a name, or HOST:PORT.")],
    out: Annotated[str, typer.Option("--out", help="The file; `-` is stdout.")] = "-",
) -> None:
    """Save the whole state of a cluster as JSON, for planning without it.

    \b
    Examples:
      kafkaops cluster snapshot blue --out blue.json
      kafkaops cluster snapshot 10.0.0.1:9094 > cluster.json
    """
    import json

    from kafkaops.cli import targets
    from kafkaops.cli.files import write
    from kafkaops.model.cluster_json import to_json

    document = to_json(targets.state(cluster))
    if out == "-":
        print(json.dumps(document, indent=2))
        return
    write(out, json.dumps(document, indent=2) + "\n")
    emit({"file": out, "cluster_id": document["state"]["cluster_id"]}, Text(f"written to {out}"))


@app.command(cls=OpsCommand)
def clear(
    cluster: Annotated[str, typer.Argument(help="green: the cluster that a move fills.")],
    confirm: Confirm = None,
    reason: Reason = "",
) -> int:
    """Delete every topic that a move carries from a cluster that serves nobody.

    After a rollback green still holds what was mirrored and written there; a new attempt begins
    with an empty one. Refused where clients could reach it, names point to it, a group has
    members there or a mirror runs. Severe: asks for the config's name.

    \b
    Examples:
      kafkaops cluster clear green
      kafkaops cluster clear green --confirm orders --reason CHG-1234
    """
    from datetime import UTC, datetime

    from kafkaops.cli import carry, consent, runs
    from kafkaops.engine.errors import Exit, UsageFault

    loaded = current().load()
    if cluster not in ("green", loaded.config.green.name):
        raise UsageFault(
            "KO-CLEAR-WHICH",
            f"only green can be emptied, not {cluster!r}",
            hint="kafkaops cluster clear green",
        )
    other = runs.latest(loaded)
    if other is not None and other.status is runs.Status.RUNNING:
        raise carry.busy(other)
    operations = current().operations
    world = operations.world(loaded.config, run_dir=None, say=news)
    topics = operations.carried(world, "green")
    if not topics:
        emit({"outcome": "nothing-to-do", "topics": []}, Text("nothing to do: green is empty"))
        return Exit.OK
    rows = Table(("topic", "partitions"), list(topics.items()), title="deleted on green")
    news(f"{len(topics)} topics of green would be deleted: {', '.join(list(topics)[:10])}")
    name = loaded.config.name
    what = f"This deletes {len(topics)} topics and all their records on green of {name}."
    consent.require(consent.Tier.SEVERE, what, name=name, yes=False, confirm=confirm)
    stamp = datetime.fromtimestamp(world.clock.wall(), UTC)
    plan = operations.plan_clear(world, f"{name}-clear-{stamp:%Y%m%d-%H%M%S}")
    orders = carry.Orders(False, confirm or name, None, reason)
    directory = runs.store(loaded).run(plan.id)
    result = carry.carry(loaded, directory, orders, lambda c: operations.run_alone(c, plan))
    emit(
        {"run": plan.id, "outcome": result.outcome, "topics": list(topics)},
        rows,
        Text("green is empty; a new attempt: kafkaops upgrade --strategy blue-green"),
    )
    return Exit.OK


def _brokers(name: str, state: ClusterState) -> Table:
    leaders: dict[int, int] = {}
    replicas: dict[int, int] = {}
    for topic in state.topics.values():
        for part in topic.partitions:
            leaders[part.leader] = leaders.get(part.leader, 0) + 1
            for node in part.replicas:
                replicas[node] = replicas.get(node, 0) + 1
    rows = [
        (
            name,
            b.id,
            b.host,
            b.port,
            b.rack,
            b.version,
            leaders.get(b.id, 0),
            replicas.get(b.id, 0),
            state.log_dir_bytes.get(b.id),
            state.log_dir_free.get(b.id),
        )
        for b in state.brokers
    ]
    columns = (
        "cluster", "id", "host", "port", "rack", "version", "leaders", "replicas", "bytes", "free",
    )  # fmt: skip
    return Table(columns, rows, title=f"brokers of {name}")


def _topics(name: str, state: ClusterState) -> Table:
    rows = [
        (name, t.name, len(t.partitions), t.rf, t.config.values.get("cleanup.policy"), t.internal)
        for t in sorted(state.topics.values(), key=lambda t: t.name)
    ]
    columns = ("cluster", "topic", "partitions", "rf", "cleanup", "internal")
    return Table(columns, rows, title=f"topics of {name}")


def _groups(name: str, state: ClusterState) -> Table:
    rows = [
        (name, g.id, g.kind, g.state, len(g.members), len(g.offsets))
        for g in sorted(state.groups, key=lambda g: g.id)
    ]
    columns = ("cluster", "group", "kind", "state", "members", "offsets")
    return Table(columns, rows, title=f"groups of {name}")


def _summary(name: str, state: ClusterState) -> str:
    parts = sum(len(t.partitions) for t in state.topics.values())
    level = state.features.get("metadata.version")
    feature = f", metadata.version {level}" if level is not None else ""
    return (
        f"{name}: cluster id {state.cluster_id}, controller {state.controller},"
        f" {len(state.brokers)} brokers, {len(state.topics)} topics, {parts} partitions,"
        f" {len(state.groups)} groups, {len(state.acls)} ACLs{feature}"
    )
