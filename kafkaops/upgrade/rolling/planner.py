"""The plan of a rolling restart or upgrade. Pure: config, snapshot and choice in, `Plan` out.

Order: controllers one at a time and the active one last, combined nodes likewise, a canary, then
batches; to an older version the brokers go before the controllers, which must never be older than
they are (KAFKA-16094, KAFKA-17492). The steps of a batch that are alike run side by side; each
batch ends before the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kafkaops.config.schema import Config, HostSpec
from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.model.cluster import ClusterState
from kafkaops.model.words import counted
from kafkaops.upgrade import batches
from kafkaops.upgrade.batches import Batch, Batches, Limits, Never, Role
from kafkaops.upgrade.fleet.planning import woven
from kafkaops.upgrade.gate_quorum import quorum
from kafkaops.upgrade.rolling import advising
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.node import named
from kafkaops.upgrade.rolling.phases import Phase

OPERATION = "restart"
POLL = 2.0
"""Seconds between two looks at a cluster that is asked for more than an instant."""
DOWN = frozenset((Phase.STOP, Phase.INSTALL, Phase.RENEW, Phase.START))
"""Phases of which the first takes a node away and the last brings it back."""
STOP_TIMEOUT = 900.0
LEADERS_TIMEOUT = 300.0
BRING_TIMEOUT = 1800.0
SIDE_BY_SIDE = 8
"""Hosts that are brought a version at the same time: more would only share the network."""


@dataclass(frozen=True)
class Change:
    """What one node is to run, the link that leads to it, and what it ran before."""

    version: str
    link: str
    before: str = ""


@dataclass(frozen=True)
class Way:
    """A roll with another version, or none: `changes` by node id. `notes` is how the names of its
    facts begin. `bring`: the version is brought to every host and tried there first. `down` are
    nodes that do not run, and go first: they have nothing to lose. `stuck` run and are not up, and
    go next, each alone: others may wait for them. `renews`: each node's encrypted volumes are made
    anew while it is down. `back`: what no order keeps writable does not refuse the plan, for nobody
    may be kept from going back; the gate refuses it batch by batch. `there` is how the names of the
    facts of the way there begin."""

    operation: str = OPERATION
    notes: str = OPERATION
    changes: Mapping[int, Change] = field(default_factory=dict)
    bring: bool = False
    brokers_first: bool = False
    down: tuple[int, ...] = ()
    stuck: tuple[int, ...] = ()
    renews: bool = False
    back: bool = False
    there: str = ""


RESTART = Way()


def roll(
    config: Config,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    options: Options,
    way: Way = RESTART,
    *,
    id: str,
    created: float,
    left: Collection[str] = (),
) -> Plan:
    """Restart the nodes of `hosts`, each with its change if it has one. GuardRefused where
    partitions of theirs cannot be kept writable and are not accepted by name, unless it is a way
    back; UsageFault for limits that make no sense."""
    limits = Limits(
        options.max_batch,
        options.whole_racks,
        canary=options.canary and len(hosts) > 1,
        accept=options.accept,
        among=frozenset(hosts),
    )
    found = batches.plan(state, limits)
    if not way.back:
        _refuse(found, state, hosts)
    order = _order(found, hosts, way)
    specs = [*_before(state, hosts, options, way)] if way.bring else []
    specs += [
        spec
        for number, batch in enumerate(order, 1)
        for spec in _batch(number, len(order), batch, state, hosts, options, way)
    ]
    specs = woven(specs, config.clusters[options.cluster], hosts)
    snapshot = snapshot_of(state, options)
    # who goes back has no time to move replicas
    advice = () if way.back else advising.moves(found, state, options)
    return Plan(
        id=id,
        operation=way.operation,
        cluster=config.name,
        created=created,
        specs=tuple(specs),
        fingerprint=fingerprint(snapshot),
        snapshot=snapshot,
        notes=tuple(_notes(found, order, state, hosts, (*advice, *left))),
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
        **({"features": dict(state.features)} if options.to else {}),
    }


def _order(found: Batches, hosts: Collection[int], way: Way) -> tuple[Batch, ...]:
    """Nodes that run and are in no metadata yet go alone: the gate waits until they are up."""
    early = [Batch(way.down, Role.BROKERS)] if way.down else []
    early += [Batch((node,), Role.BROKERS) for node in way.stuck]
    first = {*way.down, *way.stuck}
    # metadata lists one that has just ended for a while
    left = [replace(b, nodes=tuple(n for n in b.nodes if n not in first)) for b in found.batches]
    planned = [batch for batch in left if batch.nodes]
    seen = {node for batch in planned for node in batch.nodes} | first
    planned += [Batch((node,), Role.BROKERS) for node in sorted(set(hosts) - seen)]
    if way.brokers_first:
        planned.sort(key=lambda batch: batch.role is Role.CONTROLLER)
    return (*early, *planned)


def _before(
    state: ClusterState, hosts: Mapping[int, HostSpec], options: Options, way: Way
) -> Iterator[Spec]:
    """What happens to every host before the first stop."""
    for kind, phase, words in (
        ("version-ready", Phase.BRING, "bring {} to {}"),
        ("version-tried", Phase.TRY, "try {} on {}"),
    ):
        for number, (node, host) in enumerate(sorted(hosts.items())):
            change = way.changes[node]
            yield Spec(
                id=f"{phase.value}-{host.name}",
                kind=kind,
                title=words.format(change.version, host.name),
                phase=phase.value,
                args=_common(state, options, way)
                | {"mates": {host.name: node}, "host": host.name, "node": node}
                | vars(change),
                batch=f"{phase.value}-{number // SIDE_BY_SIDE}",
                deadline=BRING_TIMEOUT,
            )


def _common(state: ClusterState, options: Options, way: Way) -> dict[str, Any]:
    return {
        "cluster": options.cluster,
        "cluster_id": state.cluster_id,
        "accept": list(options.accept),
        "soak": options.soak,
        "notes": way.notes,
    }


def _batch(
    number: int,
    count: int,
    batch: Batch,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    options: Options,
    way: Way,
) -> Iterator[Spec]:
    mates = {hosts[node].name: node for node in batch.nodes}
    back = options.return_timeout
    brokers = {b.id for b in state.brokers}
    voters = set(state.quorum.voters) if state.quorum else set()
    common = _common(state, options, way) | {"batch": number, "mates": mates}
    # one whose unit starts it over and over has a process at one moment and none at the next
    if set(batch.nodes) <= {*way.down, *way.stuck}:
        common |= {"stuck": True, "there": way.there}
    lead = f"batch {number}/{count}"

    def bonds(name: str, phase: Phase) -> dict[str, str]:
        """Each node goes its own way: one that stopped is not left down for those that still do,
        nor for a stop request."""
        found = {"unbroken": f"{number}-{name}"} if phase in DOWN else {}
        if len(mates) > 1 and phase is not Phase.REST:
            found |= {"batch": f"batch-{number}", "lane": name}
        return found

    def each(kind: str, words: str, phase: Phase, **more: Any) -> Iterator[Spec]:
        for name, node in mates.items():
            # one that is down is in no metadata
            broker = node in brokers or node not in voters or _holds(state, node)
            own = {"host": name, "node": node, "broker": broker, "voter": node in voters}
            own |= vars(way.changes[node]) if node in way.changes else {}
            yield Spec(
                id=f"{phase.value}-{name}",
                kind=kind,
                title=f"{lead}: {words.format(name)}",
                phase=phase.value,
                args=common | own,
                **({"poll": POLL} | bonds(name, phase) | more),
            )

    yield Spec(
        id=f"gate-{number}",
        kind="gate-open",
        title=f"{lead}: {', '.join(mates)} may go",
        phase=Phase.GATE.value,
        args=common,
        deadline=options.gate_timeout,
        poll=POLL,
        guards=options.gate_looks,
    )
    # its last look is at the same gate; a mate that takes its time to stop may close it
    wait = max(options.gate_timeout, STOP_TIMEOUT)
    yield from each("node-stopped", "stop {}", Phase.STOP, deadline=STOP_TIMEOUT, patience=wait)
    if way.changes:
        yield from each("node-switched", "give {} its version", Phase.INSTALL)
    if way.renews:
        gone = "everything on {}'s volumes".format
        words = "make {}'s volumes anew"
        for spec in each("volume-renewed", words, Phase.RENEW, deadline=back):
            yield replace(spec, irreversible=gone(spec.args["host"]))
    yield from each("node-started", "start {}", Phase.START)
    yield from each("node-up", "{} is up", Phase.UP, deadline=back)
    if batch.role is not Role.CONTROLLER:
        most = back if len(mates) == 1 else 2 * back  # a mate may be what it waits for
        yield from each("node-in-sync", "{} is in sync", Phase.SYNC, deadline=most)
        yield from each("leaders-back", "{} leads again", Phase.LEADERS, deadline=LEADERS_TIMEOUT)
    soak = f"watch {{}} for {options.soak:g} s"
    yield from each("node-soaked", soak, Phase.SOAK, deadline=options.soak + LEADERS_TIMEOUT)
    if len(mates) > 1:
        words = "{} alone, if it was held back"
        gate = {"guards": options.gate_looks, "patience": options.gate_timeout}
        yield from each("node-rested", words, Phase.REST, deadline=2 * back, **gate)


def _refuse(found: Batches, state: ClusterState, hosts: Collection[int]) -> None:
    refused = [n for n in found.unaccepted if not _elsewhere(n, state, hosts)]
    if refused:
        raise GuardRefused(
            "KO-RF-ONE" if refused[0].rf == 1 else "KO-ISR-BELOW-MIN",
            f"{len(refused)} partitions cannot be written while a broker of theirs is down, in"
            f" any order: {named([n.tp for n in refused])}",
            hint=f"--accept-unavailable {refused[0].tp.topic}, or raise its replication factor",
        )


def _holds(state: ClusterState, node: int) -> bool:
    """Whether it holds replicas: a combined node, if it votes too."""
    return any(node in p.replicas for t in state.topics.values() for p in t.partitions)


def _elsewhere(never: Never, state: ClusterState, hosts: Collection[int]) -> bool:
    parts = state.topics[never.tp.topic].partitions
    replicas = next(p.replicas for p in parts if p.tp == never.tp)
    return not set(replicas) & set(hosts)


def _notes(
    found: Batches,
    order: tuple[Batch, ...],
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    left: Collection[str],
) -> Iterator[str]:
    for number, batch in enumerate(order, 1):
        names = ", ".join(f"{hosts[n].name} (node {n})" for n in batch.nodes)
        yield (
            f"batch {number}, {batch.role.value}: {names}; leads {batch.leaders}, leaves"
            f" {counted(batch.at_minimum, 'partition')} at their min ISR"
        )
    count = len(order)
    if count:
        few = "fewer are impossible" if found.proven else f"at least {found.bound} are needed"
        yield f"{counted(count, 'batch', 'batches')}; {few}"
    yield from left
    accepted = [n for n in found.never if n.accepted and not _elsewhere(n, state, hosts)]
    if accepted:
        yield f"accepted, not always writable: {named([n.tp for n in accepted])}"
    if found.short:
        yield f"not enough replicas in sync now, so the gate waits: {named(found.short)}"
    if found.absent:
        yield f"hold replicas and are not up: broker {named(found.absent)}"
    yield from dict.fromkeys(w for b in order for w in quorum(state, b.nodes)[1])
