"""What a blue/green upgrade is planned from: both clusters read once, and every reason against it.

Invariant: nothing is changed here, and a plan exists only where nothing blocks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.world import World
from kafkaops.upgrade import parity, refusals
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.move import moved


@dataclass(frozen=True)
class Survey:
    """`findings` hold what blocks, what was accepted and notes; `diff` is what parity would do."""

    evidence: refusals.Evidence
    findings: tuple[refusals.Finding, ...]
    diff: parity.ParityDiff
    snapshot: dict[str, Any]


def look(world: World) -> Survey:
    """Read both clusters, the names, and judge."""
    seen = refusals.collect(
        world.clusters["blue"], world.clusters["green"], world.names, world.config
    )
    findings = refusals.find(seen, world.config)
    diff = parity.diff(seen.blue, seen.green, exclude=world.config.mirror.exclude)
    return Survey(seen, findings, diff, snapshot(seen))


def plan(world: World, survey: Survey, run_id: str) -> Plan:
    """The plan, or GuardRefused with every reason at once."""
    refusals.refuse(survey.findings)
    notes = [str(f) for f in survey.findings]
    notes += [f"parity: {line}" for line in survey.diff.lines()]
    return planner.forward(
        world.config,
        id=run_id,
        created=world.clock.wall(),
        fingerprint=fingerprint(survey.snapshot),
        snapshot=survey.snapshot,
        notes=tuple(notes),
    )


def snapshot(seen: refusals.Evidence) -> dict[str, Any]:
    """The values whose change makes a saved plan worthless: no offsets, nothing that moves by
    itself."""
    return {
        "blue": _cluster(seen.blue),
        "green": _cluster(seen.green),
        "records": {
            f"{r.name} {r.kind}": {"values": list(r.values), "routing": r.routing}
            for r in seen.records
        },
    }


def _cluster(state: ClusterState) -> dict[str, Any]:
    return {
        "cluster_id": state.cluster_id,
        "brokers": {str(b.id): {"rack": b.rack, "version": b.version} for b in state.brokers},
        "topics": {
            name: {"partitions": len(topic.partitions), "rf": topic.rf}
            for name, topic in moved(state.topics).items()
        },
    }
