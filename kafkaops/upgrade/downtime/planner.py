"""The plan of an upgrade with a short outage, and of its way back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kafkaops.config.schema import ClusterSpec, Config, HostSpec
from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.downtime.phases import Phase
from kafkaops.upgrade.downtime.stages import last, stages
from kafkaops.upgrade.fleet.planning import woven
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.node import named
from kafkaops.upgrade.rolling.planner import (
    BRING_TIMEOUT,
    LEADERS_TIMEOUT,
    POLL,
    SIDE_BY_SIDE,
    STOP_TIMEOUT,
    Change,
    snapshot_of,
)

OPERATION, BACK = "downtime", "downtime-back"
LED_TIMEOUT = 120.0
"""Seconds in which partitions are led again once their brokers are up."""
STAGE, INSTALL, START, SYNC = 10.0, 2.0, 30.0, 15.0
"""Seconds that each part of an outage takes where logs are small and shut down in order; what a log
recovery takes nobody knows before."""


def downtime(
    config: Config,
    spec: ClusterSpec,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    every: Mapping[int, HostSpec],
    changes: Mapping[int, Change],
    options: Options,
    *,
    id: str,
    created: float,
    notes: Collection[str] = (),
) -> Plan:
    """All nodes of `hosts`, each with its change. Clients are shut out of `every` broker, those too
    that stay up because they run the version already: else ends would not stand still.
    GuardRefused where the kernels would let clients in while nodes are down."""
    order = stages(state, hosts)
    if options.outage < expected(order):
        raise GuardRefused(
            "KO-OUTAGE-SHORT",
            f"--outage {options.outage:g} is over before the outage can be: it is expected to take"
            f" about {expected(order):.0f} s, and clients would be let in with nodes down",
            hint=f"--outage {max(600, 3 * expected(order)):.0f}",
        )
    brokers = {b.id for b in state.brokers}
    voters = set(state.quorum.voters) if state.quorum else set()
    common: dict[str, Any] = {
        "cluster": options.cluster,
        "cluster_id": state.cluster_id,
        "accept": list(options.accept),
        "soak": 0.0,
        "notes": OPERATION,
        "proof": OPERATION,
        "brokers": [every[n].name for n in sorted(every) if n in brokers],
        "nodes": sorted(n for n in every if n in brokers),
        "port": spec.client_port,
        "outage": options.outage,
        "mates": {},
    }

    def one(kind: str, phase: Phase, title: str, **more: Any) -> Spec:
        args = common | {"host": "", "node": -1, "broker": False, "voter": False}
        return Spec(f"{phase.value}", kind, title, phase.value, args, **({"poll": POLL} | more))

    def each(
        kind: str, phase: Phase, words: str, nodes: Collection[int], batch: str = "", **more: Any
    ) -> Iterator[Spec]:
        for number, node in enumerate(nodes):
            host = hosts[node]
            own = {"host": host.name, "node": node, "mates": {host.name: node}}
            own |= {"broker": node in brokers, "voter": node in voters, **vars(changes[node])}
            group = batch or f"{phase.value}-{number // SIDE_BY_SIDE}"
            yield Spec(
                f"{phase.value}-{host.name}",
                kind,
                words.format(host.name, changes[node].version),
                phase.value,
                common | own,
                batch=group,
                **({"poll": POLL} | more),
            )

    nodes = sorted(hosts)
    alone = [n for n in nodes if n in voters and n not in brokers]
    serving = [n for n in nodes if n in brokers]
    p, back = Phase, options.return_timeout
    specs = [
        *each("version-ready", p.BRING, "bring {1} to {0}", nodes, deadline=BRING_TIMEOUT),
        *each("version-tried", p.TRY, "try {1} on {0}", nodes, deadline=BRING_TIMEOUT),
        one(
            "clients-stopped",
            p.CLIENTS,
            "stop the clients that have hooks",
            ask=f"Begin the outage of {spec.name} (about {expected(order):.0f} s)?",
        ),
        one("outage-closed", p.OUTAGE, "close the CLIENT listener on every broker"),
        one("outage-still", p.STILL, "every end offset stands still"),
    ]
    for number, stage in enumerate(order, 1):
        words = f"stage {number}/{len(order)}: stop {{}}"
        specs += each("outage-down", p.DOWN, words, stage, f"down-{number}", deadline=STOP_TIMEOUT)
    specs += each("node-switched", p.INSTALL, "give {} its version", nodes, "install")
    specs += each("node-started", p.AGAIN, "start {}", alone, "again-controllers")
    specs += [
        replace(s, id=f"runs-{s.args['host']}")
        for s in each("outage-runs", p.UP, "{} runs {}", alone, "runs", deadline=back)
    ]
    specs += each("node-started", p.AGAIN, "start {}", serving, "again-brokers")
    specs += each("node-up", p.UP, "{} is up", [*serving, *alone], "up", deadline=back)
    specs += [one("outage-led", p.LED, "every partition is led", deadline=LED_TIMEOUT)]
    specs += each("node-in-sync", p.SYNC, "{} is in sync", serving, "sync", deadline=back)
    specs += each(
        "leaders-back", p.LEADERS, "{} leads again", serving, "leaders", deadline=LEADERS_TIMEOUT
    )
    specs += [
        one("outage-opened", p.OPEN, "open the CLIENT listener on every broker", deadline=900.0),
        one("clients-started", p.RETURN, "start the clients that have hooks"),
    ]
    specs = woven(specs, spec, hosts)
    snapshot = snapshot_of(state, options)
    return Plan(
        id=id,
        operation=OPERATION,
        cluster=config.name,
        created=created,
        specs=tuple(specs),
        fingerprint=fingerprint(snapshot),
        snapshot=snapshot,
        notes=(*_notes(state, order, hosts), *notes),
        config=config.model_dump(mode="json"),
    )


def expected(order: Collection[Collection[int]]) -> float:
    """Seconds from the closed listener to the open one, if all goes as it should."""
    return len(order) * STAGE + INSTALL + 2 * START + SYNC


def way_back(
    there: Plan,
    version: Callable[[str], tuple[str, str]],
    touched: Collection[str],
    created: float,
    *,
    over: bool,
) -> Plan:
    """The same outage to what each node ran before. `version` gives a host's release and link of
    before; `touched` are the hosts that were told to stop: the others run as they did. Unless the
    outage was `over`, it goes on: what was proven when it began still holds, and a cluster that is
    down cannot be asked again."""
    left_out = {"version-ready", "version-tried"}
    left_out |= set() if over else {"clients-stopped", "outage-still"}
    specs: list[Spec] = []
    for spec in there.specs:
        host = str(spec.args.get("host", ""))
        if spec.kind in left_out or (host and host not in touched):
            continue
        args = {**spec.args, "notes": BACK, "proof": BACK if over else OPERATION}
        if spec.kind == "scaling-held":  # not for the others: what is given back covers them too
            for name in ("until", "mates", "instances"):
                args[name] = {h: value for h, value in args[name].items() if h in touched}
        if host:
            release, link = version(host)
            args |= {"version": release, "link": link, "before": spec.args["version"]}
        specs.append(replace(spec, args=args, ask=""))
    return replace(there, operation=BACK, created=created, specs=tuple(specs), notes=())


def _notes(
    state: ClusterState, order: tuple[tuple[int, ...], ...], hosts: Mapping[int, HostSpec]
) -> Iterator[str]:
    for number, nodes in enumerate(order, 1):
        yield f"stage {number}: {', '.join(f'{hosts[n].name} (node {n})' for n in nodes)}"
    waits = last(state, order)
    final = sorted({node for nodes in waits.values() for node in nodes})
    if waits:
        yield (
            f"{len(waits)} partitions wait at the start for their last replica: one of broker"
            f" {named(final, 12)}"
        )
    yield f"expected outage: about {expected(order):.0f} s, more where logs have to be recovered"
