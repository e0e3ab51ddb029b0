"""Plans shown to people, saved, read back, and compared with what is true now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kafkaops.cli.files import read_json, write
from kafkaops.cli.output import Table
from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.plan_json import drift, from_json, to_json
from kafkaops.model.words import counted

if TYPE_CHECKING:
    from kafkaops.config.schema import Config
    from kafkaops.engine.step import Plan, Spec


def save(plan: Plan, file: str) -> None:
    write(file, json.dumps(to_json(plan), indent=2) + "\n")


def load(file: str) -> Plan:
    return from_json(read_json(file), where=file)


def table(plan: Plan) -> Table:
    """A line a step, for scripts."""
    rows = [(s.phase, s.id, s.title, ", ".join(_remarks(plan, s))) for s in plan.specs]
    return Table(("phase", "step", "what", "remarks"), rows, title=f"plan {plan.id}")


def lines(plan: Plan, titles: Mapping[str, str]) -> Iterable[str]:
    """The plan for people: phases in order, what asks, what cannot be taken back, notes."""
    yield f"plan {plan.id}: {plan.operation} of {plan.cluster}, {_steps(len(plan.specs))}"
    for phase, specs in groupby(plan.specs, key=lambda s: s.phase):
        yield f"  {titles.get(phase, phase)}"
        for spec in specs:
            remarks = _remarks(plan, spec)
            more = f"  ({'; '.join(remarks)})" if remarks else ""
            yield f"    {spec.id:<14} {spec.title}{more}"
    for critical in plan.criticals:
        yield (
            f"  {critical.name} has {critical.budget:g} s: past it, on any failure and on Ctrl-C"
            f" it goes back by itself, until `{critical.decided}` is done"
        )
    boundaries = [s for s in plan.specs if s.irreversible]
    if not boundaries:
        yield "  every step can be rolled back"
    for note in plan.notes:
        yield f"  note: {note}"


def _steps(count: int) -> str:
    return counted(count, "step")


def refuse_other(plan: Plan, config: Config, file: str) -> None:
    """GuardRefused when the plan is of another pair, or the config changed since."""
    from kafkaops.cli.operations import dumped

    if plan.cluster != config.name:
        raise GuardRefused(
            "KO-PLAN-OTHER-CLUSTER",
            f"the plan is of {plan.cluster}, the config of {config.name}",
            where=file,
            hint="name the config of that pair with -c FILE",
        )
    changes = drift(_comparable(plan.config), _comparable(dumped(config)))
    if changes:
        error = GuardRefused(
            "KO-PLAN-DRIFT",
            f"the config changed since the plan was made ({len(changes)} differences)",
            where=file,
            hint="plan again: kafkaops upgrade --strategy blue-green --plan --out FILE",
        )
        error.details = tuple(changes)  # type: ignore[attr-defined]
        raise error


def _comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as JSON gives it back, so that tuples and lists are the same."""
    return dict(json.loads(json.dumps(config)))


def _remarks(plan: Plan, spec: Spec) -> list[str]:
    remarks = []
    if spec.ask:
        remarks.append(f"asks: {spec.ask}")
    if spec.irreversible:
        remarks.append(f"cannot be taken back: {spec.irreversible}")
    if any(c.decided == spec.id for c in plan.criticals):
        remarks.append("decides: from here only forward")
    return remarks
