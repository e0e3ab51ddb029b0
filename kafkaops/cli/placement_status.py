"""`kafkaops placement status`: what is on its way, which throttles are set, and whose they are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit

Which = Annotated[
    str, typer.Option("--cluster", metavar="blue|green|HOST:PORT", help="Which cluster.")
]
app = make_app()


@app.command("status", cls=OpsCommand)
def status(cluster: Which = "blue") -> int:
    """Partitions on their way and throttles that are set: whose they are.

    \b
    Examples:
      kafkaops placement status
      kafkaops placement status --cluster green -o json
    """
    from kafkaops.cli import targets
    from kafkaops.cli.output import Table, Text, emit
    from kafkaops.placement.applying import leftovers
    from kafkaops.placement.applying.throttle import LISTS, RATES, Throttles

    target = targets.one(cluster)
    mine = _claims(target.name)
    with target.open() as found:
        moving = found.reassignments()
        topics = found.topics()
        now = Throttles(
            found.own_broker_configs(found.brokers_up(), RATES),
            found.own_topic_configs(sorted(topics), LISTS),
        )
    held = leftovers.held(now, [claim for claim, _ in mine])
    owner = {(tp, after): claim.run for claim, moves in mine for tp, after in moves.items()}
    rows = [
        (
            str(tp),
            [b for b in m.replicas if b not in m.adding],
            list(m.target),
            owner.get((tp, m.target), "somebody else"),
        )
        for tp, m in sorted(moving.items())
    ]
    data = {
        "kind": "placement-status",
        "cluster": target.name,
        "moving": [
            dict(zip(("partition", "from", "to", "whose"), row, strict=True)) for row in rows
        ],
        "throttles": [vars(h) | {"run": h.run or None} for h in held],
    }
    names = [(h.where, h.name, h.value, h.run or "somebody else") for h in held]
    emit(
        data,
        Table(("partition", "from", "to", "whose"), rows, title="on their way"),
        Table(("where", "throttle", "value", "whose"), names, title="throttles that are set"),
        Text(f"{len(rows)} partitions on their way, {len(held)} throttles set"),
    )
    return Exit.OK


def _claims(colour: str) -> list[tuple[Any, dict[Any, tuple[int, ...]]]]:
    """What each placement of this cluster set, and where it sends what; the newest first."""
    from kafkaops.cli import runs
    from kafkaops.placement.applying import planner as applying
    from kafkaops.placement.applying.leftovers import Claim
    from kafkaops.placement.applying.throttle import Throttles

    if colour not in ("blue", "green"):
        return []  # known by address alone: there is no config, and so no runs
    loaded = current().load()
    kept = runs.store(loaded)
    found = []
    for one in sorted(kept.list(), key=lambda r: -r.created):
        if one.damage or one.cluster != loaded.config.name or not kept.run(one.id).journals():
            continue
        for plan in (journal.plan for journal in reversed(kept.run(one.id).looks())):
            if plan.operation not in (runs.PLACEMENT, runs.PLACEMENT_BACK):
                break
            if plan.snapshot["options"]["cluster"] != colour:
                break
            sets = applying.throttles_of(plan) or (Throttles(), Throttles())
            to = {m.tp: m.after for m in applying.moves_of(plan)}
            rates = kept.run(one.id).facts().get(applying.rates_fact(plan.operation)) or ()
            found.append((Claim(one.id, *sets, tuple(map(str, rates))), to))
    return found
