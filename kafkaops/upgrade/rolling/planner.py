"""The plan of a rolling restart. Pure: config, snapshot and choice in, `Plan` out.

Order: controllers one at a time and the active one last, combined nodes likewise, a canary, then
batches. The steps of a batch that are alike run side by side; each batch ends before the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kafkaops.config.schema import Config, HostSpec
from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade import batches
from kafkaops.upgrade.batches import Batch, Batches, Limits, Never, Role
from kafkaops.upgrade.gate_quorum import quorum
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.node import named
from kafkaops.upgrade.rolling.phases import Phase

OPERATION = "restart"
GUARDS = 3
"""Looks in a row that must all pass the gate."""
POLL = 2.0
"""Seconds between two looks at a cluster that is asked for more than an instant."""
GATE_TIMEOUT = 1800.0
STOP_TIMEOUT = 900.0
RETURN_TIMEOUT = 3600.0
"""Seconds for a node to come up, and again to be in sync. Past it the run stops and can be resumed;
the node goes on."""
LEADERS_TIMEOUT = 300.0


def restart(
    config: Config,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    options: Options,
    *,
    id: str,
    created: float,
    left: Collection[str] = (),
) -> Plan:
    """Restart the nodes of `hosts`. GuardRefused where partitions of theirs cannot be kept
    writable and are not accepted by name; UsageFault for limits that make no sense."""
    limits = Limits(
        options.max_batch,
        options.whole_racks,
        canary=len(hosts) > 1,
        accept=options.accept,
        among=frozenset(hosts),
    )
    found = batches.plan(state, limits)
    _refuse(found, state, hosts)
    specs = [
        spec
        for number, batch in enumerate(found.batches, 1)
        for spec in _batch(number, len(found.batches), batch, state, hosts, options)
    ]
    snapshot = snapshot_of(state, options)
    return Plan(
        id=id,
        operation=OPERATION,
        cluster=config.name,
        created=created,
        specs=tuple(specs),
        fingerprint=fingerprint(snapshot),
        snapshot=snapshot,
        notes=tuple(_notes(found, state, hosts, left)),
        config=config.model_dump(mode="json"),
    )


def snapshot_of(state: ClusterState, options: Options) -> dict[str, Any]:
    """What makes a saved plan worthless when it changes. Placement is not among it: the gate asks
    for it before each stop."""
    return {
        "cluster_id": state.cluster_id,
        "brokers": {str(b.id): b.rack for b in state.brokers},
        "voters": sorted(state.quorum.voters) if state.quorum else [],
        "options": options.to_json(),
    }


def _batch(
    number: int,
    count: int,
    batch: Batch,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    options: Options,
) -> Iterator[Spec]:
    mates = {hosts[node].name: node for node in batch.nodes}
    brokers = {b.id for b in state.brokers}
    voters = set(state.quorum.voters) if state.quorum else set()
    common: dict[str, Any] = {
        "cluster": options.cluster,
        "cluster_id": state.cluster_id,
        "batch": number,
        "mates": mates,
        "accept": list(options.accept),
        "soak": options.soak,
    }
    lead = f"batch {number}/{count}"

    def each(kind: str, words: str, phase: Phase, **more: Any) -> Iterator[Spec]:
        for name, node in mates.items():
            own = {"host": name, "node": node, "broker": node in brokers, "voter": node in voters}
            yield Spec(
                id=f"{phase.value}-{name}",
                kind=kind,
                title=f"{lead}: {words.format(name)}",
                phase=phase.value,
                args=common | own,
                batch="" if len(mates) == 1 or phase is Phase.REST else f"{number}-{phase.value}",
                **({"poll": POLL} | more),
            )

    yield Spec(
        id=f"gate-{number}",
        kind="gate-open",
        title=f"{lead}: {', '.join(mates)} may go",
        phase=Phase.GATE.value,
        args=common,
        deadline=GATE_TIMEOUT,
        poll=POLL,
        guards=GUARDS,
    )
    yield from each("node-stopped", "stop {}", Phase.STOP, deadline=STOP_TIMEOUT)
    yield from each("node-started", "start {}", Phase.START)
    yield from each("node-up", "{} is up", Phase.UP, deadline=RETURN_TIMEOUT)
    if batch.role is not Role.CONTROLLER:
        yield from each("node-in-sync", "{} is in sync", Phase.SYNC, deadline=RETURN_TIMEOUT)
        yield from each("leaders-back", "{} leads again", Phase.LEADERS, deadline=LEADERS_TIMEOUT)
    soak = f"watch {{}} for {options.soak:g} s"
    yield from each("node-soaked", soak, Phase.SOAK, deadline=options.soak + LEADERS_TIMEOUT)
    if len(mates) > 1:
        words = "{} alone, if it was held back"
        yield from each(
            "node-rested", words, Phase.REST, deadline=2 * RETURN_TIMEOUT, guards=GUARDS
        )


def _refuse(found: Batches, state: ClusterState, hosts: Collection[int]) -> None:
    refused = [n for n in found.unaccepted if not _elsewhere(n, state, hosts)]
    if refused:
        raise GuardRefused(
            "KO-RF-ONE" if refused[0].rf == 1 else "KO-ISR-BELOW-MIN",
            f"{len(refused)} partitions cannot be written while a broker of theirs is down, in"
            f" any order: {named([n.tp for n in refused])}",
            hint=f"--accept-unavailable {refused[0].tp.topic}, or raise its replication factor",
        )


def _elsewhere(never: Never, state: ClusterState, hosts: Collection[int]) -> bool:
    parts = state.topics[never.tp.topic].partitions
    replicas = next(p.replicas for p in parts if p.tp == never.tp)
    return not set(replicas) & set(hosts)


def _notes(
    found: Batches,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    left: Collection[str],
) -> Iterator[str]:
    for number, batch in enumerate(found.batches, 1):
        names = ", ".join(f"{hosts[n].name} (node {n})" for n in batch.nodes)
        yield (
            f"batch {number}, {batch.role.value}: {names}; leads {batch.leaders}, leaves"
            f" {batch.at_minimum} partitions at their min ISR"
        )
    count = len(found.batches)
    if count:
        few = "fewer are impossible" if found.proven else f"at least {found.bound} are needed"
        yield f"{count} batches; {few}"
    yield from left
    accepted = [n for n in found.never if n.accepted and not _elsewhere(n, state, hosts)]
    if accepted:
        yield f"accepted, not always writable: {named([n.tp for n in accepted])}"
    if found.short:
        yield f"not enough replicas in sync now, so the gate waits: {named(found.short)}"
    if found.absent:
        yield f"hold replicas and are not up: broker {named(found.absent)}"
    yield from dict.fromkeys(w for b in found.batches for w in quorum(state, b.nodes)[1])
