"""A plan's shape: its steps in groups that run together, its critical sections, its phases.

Invariant: a plan with a fault in its shape is refused before anything begins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby

from kafkaops.engine.errors import ConfigError, UsageFault
from kafkaops.engine.step import Critical, Plan, Spec

Group = tuple[Spec, ...]


@dataclass(frozen=True)
class Unit:
    """Groups of steps, one after the other; the lanes of a group run at the same time. All of
    a critical section is one unit, outside of one each group is a unit of its own."""

    groups: tuple[Group, ...]
    section: Critical | None = None

    @property
    def specs(self) -> tuple[Spec, ...]:
        return tuple(s for group in self.groups for s in group)


def units(plan: Plan) -> tuple[Unit, ...]:
    sections = {c.name: c for c in plan.criticals}
    found: list[Unit] = []
    for name, run in groupby(plan.specs, key=lambda s: s.critical):
        groups = _groups(run)
        if name:
            found.append(Unit(groups, sections[name]))
        else:
            found += [Unit((group,)) for group in groups]
    return tuple(found)


def _groups(specs: Iterable[Spec]) -> tuple[Group, ...]:
    found: list[Group] = []
    for batch, run in groupby(specs, key=lambda s: s.batch):
        members = tuple(run)
        found += [members] if batch else [(s,) for s in members]
    return tuple(found)


def lanes(group: Group) -> tuple[Group, ...]:
    """What of a group runs side by side: steps that share a lane, else each by itself."""
    found: dict[str, list[Spec]] = {}
    for spec in group:
        found.setdefault(f"lane {spec.lane}" if spec.lane else f"step {spec.id}", []).append(spec)
    return tuple(tuple(lane) for lane in found.values())


def check(plan: Plan, kinds: Collection[str]) -> None:
    """ConfigError KO-PLAN-SHAPE with every fault of the plan, `kinds` being the known ones."""
    faults: list[str] = []
    ids = [s.id for s in plan.specs]
    faults += [f"step {i!r} is there twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    faults += [
        f"step {s.id!r} is of kind {s.kind!r}, which this kafkaops does not know"
        for s in plan.specs
        if s.kind not in kinds
    ]
    faults += [
        f"step {s.id!r} has a lane and no batch" for s in plan.specs if s.lane and not s.batch
    ]
    runs = [name for name, _ in groupby(plan.specs, key=lambda s: s.critical) if name]
    faults += [
        f"critical section {n!r} is in several pieces"
        for n in sorted({n for n in runs if runs.count(n) > 1})
    ]
    declared = {c.name: c for c in plan.criticals}
    faults += [f"critical section {n!r} has no budget" for n in set(runs) - set(declared)]
    for section in declared.values():
        inside = {s.id for s in plan.specs if s.critical == section.name}
        if section.decided not in inside:
            faults.append(f"{section.decided!r} does not lie in the section {section.name!r}")
    faults += [
        f"{group[0].id!r} and others run beside {unit.section.decided!r}, which decides"
        for unit in (units(plan) if not faults else ())
        if unit.section
        for group in unit.groups
        if len(group) > 1 and unit.section.decided in {s.id for s in group}
    ]
    faults += [
        f"step {s.id!r} asks or cannot be taken back inside a critical section"
        for s in plan.specs
        if s.critical and (s.ask or s.irreversible)
    ]
    if faults:
        raise ConfigError("KO-PLAN-SHAPE", "; ".join(faults), where=plan.id)


def check_until(plan: Plan, until: str | None) -> None:
    phases = list(dict.fromkeys(s.phase for s in plan.specs))
    if until is not None and until not in phases:
        raise UsageFault(
            "KO-PHASE-UNKNOWN",
            f"the plan has no phase {until!r}",
            hint=f"--until with one of: {', '.join(phases)}",
        )


def before_hold(plan: Plan, until: str | None) -> tuple[Unit, ...]:
    """The units up to the end of phase `until` (its last step; never a piece of a section, and of
    lanes what comes no later in any)."""
    found = units(plan)
    if until is None:
        return found
    last = max(i for i, u in enumerate(found) if any(s.phase == until for s in u.specs))
    unit = found[last]
    if unit.section is None:
        end = max(i for i, s in enumerate(unit.specs) if s.phase == until)
        unit = Unit((unit.specs[: end + 1],))
    return (*found[:last], unit)
