"""`kafkaops cutover show|flip|back`: the names that clients follow, and who answers there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Reason, Yes
from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, GuardRefused

if TYPE_CHECKING:
    from kafkaops.config.loader import Loaded
    from kafkaops.ports.world import World

app = make_app("The names that clients follow: where they point, who answers there.")

Force = Annotated[
    bool,
    typer.Option("--force", help="Also where the names would lead to another cluster (severe)."),
]


@app.command(cls=OpsCommand)
def show() -> None:
    """Show the records, what resolvers answer, and which cluster answers at each host.

    \b
    Examples:
      kafkaops cutover show
      kafkaops cutover show -o json
    """
    loaded = current().load()
    world = current().operations.world(loaded.config, run_dir=None, say=news)
    records = _records(world)
    hosts = _hosts(world)
    columns = ("name", "type", "ttl", "values", "points to", "answer")
    rows = [
        (r["name"], r["kind"], r["ttl"], r["values"], r["points_to"], r["answer"]) for r in records
    ]
    below = ("host", "cluster", "address", "fence", "forwards to", "answers as")
    lines = [
        (h["host"], h["colour"], h["address"], h["fence"], h["forward"], h["answers_as"])
        for h in hosts
    ]
    emit(
        {"records": records, "hosts": hosts},
        Table(columns, rows, title="names"),
        Table(below, lines, title="CLIENT ports"),
    )


@app.command(cls=OpsCommand)
def flip(
    yes: Yes = False, confirm: Confirm = None, reason: Reason = "", force: Force = False
) -> int:
    """Move the names to green, and nothing else. Refused where clients would find no one there.

    This is the piece of an upgrade that moves names; `upgrade` does it with the rest, in order.

    \b
    Examples:
      kafkaops cutover flip
      kafkaops cutover flip --yes --reason CHG-1234
    """
    return _move("blue", "green", yes=yes, confirm=confirm, reason=reason, force=force)


@app.command(cls=OpsCommand)
def back(
    yes: Yes = False, confirm: Confirm = None, reason: Reason = "", force: Force = False
) -> int:
    """Move the names back to blue, and nothing else. Once green was opened: `run rollback`.

    \b
    Examples:
      kafkaops cutover back
      kafkaops cutover back --yes
    """
    return _move("green", "blue", yes=yes, confirm=confirm, reason=reason, force=force)


def _move(
    source: str, target: str, *, yes: bool, confirm: str | None, reason: str, force: bool
) -> int:
    from kafkaops.cli import carry, consent, runs

    loaded = current().load()
    other = runs.latest(loaded)
    if other is not None and other.status is runs.Status.RUNNING:
        raise carry.busy(other)
    operations = current().operations
    world = operations.world(loaded.config, run_dir=None, say=news)
    if all(r["points_to"] == target for r in _records(world) if r["kind"] == "A"):
        emit({"outcome": "nothing-to-do"}, Text(f"nothing to do: the names point to {target}"))
        return Exit.OK
    why = refusal(_hosts(world), source, target)
    if why and not force:
        raise GuardRefused("KO-NAMES-NOBODY", why, where=target, hint=_way(loaded, target))
    orders = carry.Orders(yes, confirm, None, reason)
    consent.require(
        consent.tier_of(changes=True, severe=bool(why), protected=consent.protected(loaded)),
        f"This moves the names from {source} to {target}." + (f" {why}." if why else ""),
        name=loaded.config.name,
        yes=yes,
        confirm=confirm,
    )
    plan = _plan(loaded, world, source, target)
    directory = runs.store(loaded).run(plan.id)
    result = carry.carry(loaded, directory, orders, lambda c: operations.run_alone(c, plan))
    emit({"run": plan.id, "outcome": result.outcome}, Text(f"the names point to {target}"))
    return Exit.OK


def refusal(hosts: list[dict[str, Any]], source: str, target: str) -> str:
    """Why clients that follow the names to `target` would be lost or split; empty if not.

    Every host there must answer, all as one cluster, and as the one that serves now: where two
    clusters answer, moving names alone would split the clients without a proof.
    """
    there = {h["host"]: h["answers_as"] for h in hosts if h["colour"] == target}
    here = {h["answers_as"] for h in hosts if h["colour"] == source} - {None}
    silent = sorted(name for name, answer in there.items() if answer is None)
    if silent:
        return f"no one answers clients at {', '.join(silent)}"
    if len(set(there.values())) > 1:
        return f"the hosts of {target} answer as different clusters"
    if here and here != set(there.values()):
        return f"the hosts of {source} and of {target} answer as different clusters"
    return ""


def _way(loaded: Loaded, target: str) -> str:
    from kafkaops.cli.carry import config_flag

    flag = config_flag(loaded)
    if target == "green":
        return f"kafkaops upgrade --strategy blue-green --until names{flag}"
    return f"kafkaops run rollback{flag}"


def _plan(loaded: Loaded, world: World, source: str, target: str) -> Any:
    from datetime import UTC, datetime

    from kafkaops.cli.operations import dumped
    from kafkaops.engine.step import Plan, Spec

    now = world.clock.wall()
    spec = Spec(
        id="names",
        kind="names-moved",
        title=f"move the names to {target}",
        phase="names",
        args={"src": source, "dst": target},
        deadline=300.0,
    )
    plan = Plan(
        id=f"{loaded.config.name}-names-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}",
        operation=f"names-to-{target}",
        cluster=loaded.config.name,
        created=now,
        specs=(spec,),
    )
    return replace(plan, config=dumped(loaded.config))


def _records(world: World) -> list[dict[str, Any]]:
    from kafkaops.cutover import names

    config = world.config
    owner = {
        h.address: colour
        for colour, spec in (("blue", config.blue), ("green", config.green))
        for h in spec.hosts
    }
    wanted = names.wanted_names(config.cutover)
    found = []
    for record in world.names.records(wanted):
        colours = sorted({owner.get(value, "elsewhere") for value in record.values})
        found.append(
            {
                "name": record.name,
                "kind": record.kind,
                "ttl": record.ttl,
                "values": list(record.values),
                "routing": record.routing,
                "points_to": record.routing or "+".join(colours),
                "answer": list(world.names.answer(record.name)),
            }
        )
    missing = sorted(set(wanted) - {r["name"] for r in found})
    return found + [
        {
            "name": name,
            "kind": "missing",
            "ttl": None,
            "values": [],
            "routing": "",
            "points_to": "",
            "answer": list(world.names.answer(name)),
        }
        for name in missing
    ]


def _hosts(world: World) -> list[dict[str, Any]]:
    """Fence and answering cluster of each host; a host that cannot be reached says why."""
    from concurrent.futures import ThreadPoolExecutor

    from kafkaops.cutover import fence
    from kafkaops.engine.errors import OpsError

    config = world.config
    ids = {}
    for colour in ("blue", "green"):
        try:
            ids[world.clusters[colour].cluster_id()] = colour
        except OpsError as error:
            news(f"{colour}: {error.message}")

    def look(colour: str, spec: Any, port: int) -> dict[str, Any]:
        try:
            answer = world.probe.cluster_id(spec.address, port, timeout=2.0)
        except OpsError as error:
            news(f"{spec.name}: {error.message}")
            answer = None
        kind, forward = "clients", None  # no firewall is asked: it may not be there
        if config.cutover.fence == "firewall":
            try:
                state = fence.states([world.hosts[spec.name]])[spec.name]
                kind, forward = str(state.kind), state.forward
            except OpsError as error:
                kind = error.message
        return {
            "host": spec.name,
            "colour": colour,
            "address": spec.address,
            "fence": kind,
            "forward": forward,
            "answers_as": ids.get(answer, answer) if answer else None,
        }

    work = [
        (colour, spec, cluster.client_port)
        for colour, cluster in (("blue", config.blue), ("green", config.green))
        for spec in cluster.hosts
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(lambda item: look(*item), work))
