"""What a blue/green upgrade is planned from: both clusters read once, and every reason against it.

Invariant: nothing is changed here, and a plan exists only where nothing blocks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from kafkaops.config.schema import HostSpec
from kafkaops.cutover import names
from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.engine.parallel import in_threads
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.world import World
from kafkaops.upgrade import parity, refusals, users
from kafkaops.upgrade.blue_green import planner, preparing
from kafkaops.upgrade.blue_green.move import moved


@dataclass(frozen=True)
class Survey:
    """`findings` hold what blocks, what was accepted and notes; `diff` is what parity would do."""

    evidence: refusals.Evidence
    findings: tuple[refusals.Finding, ...]
    diff: parity.ParityDiff
    snapshot: dict[str, Any]


def look(world: World) -> Survey:
    """Read both clusters, the names, and judge. GuardRefused where green is not whole."""
    if lacking := preparing.lacking(world):
        raise GuardRefused(lacking.code, lacking.reason, where="green", hint=lacking.hint)
    seen = refusals.collect(
        world.clusters["blue"], world.clusters["green"], world.names, world.config
    )
    findings = refusals.find(seen, world.config)
    diff = parity.diff(seen.blue, seen.green, exclude=world.config.mirror.exclude)
    return Survey(seen, findings, diff, snapshot(seen))


def plan(world: World, survey: Survey, run_id: str) -> Plan:
    """The plan, or GuardRefused with every reason at once."""
    refusals.refuse(survey.findings)
    _as_clients(world, survey.evidence)
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


def _as_clients(world: World, seen: refusals.Evidence) -> None:
    """What clients will meet, tried before anything is changed: passwords of their users, and each
    CLIENT port that answers. ConfigError for what they could not use."""
    config = world.config
    wanted = users.covered(seen.blue.scram_users, config.users)
    found = users.passwords(wanted, world.secrets, world.clusters["blue"], config.blue)
    there = set(wanted) - set(users.missing(wanted, seen.green.scram_users))
    refused = (
        users.refused({user: found[user] for user in there}, world.clusters["green"])
        if users.provable(config.green)
        else []
    )
    if refused:
        raise ConfigError(
            "KO-USER-LOGIN",
            f"green knows other passwords of {', '.join(refused)} than blue",
            where="users",
            hint="delete these users on green: they are made again with blue's passwords",
        )

    def look(port: int, host: HostSpec) -> None:
        asked = names.asked_of(host, config.cutover)
        world.probe.cluster_id(host.address, port, timeout=2.0, names=asked)

    every = [(c.client_port, h) for c in (config.blue, config.green) for h in c.hosts]
    for error in in_threads([[partial(look, port, host)] for port, host in every]):
        if error is not None:
            raise error


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
