"""What speaks against moving by names: listeners, advertised names, DNS records. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from kafkaops.config.schema import ClusterSpec, Config
from kafkaops.model.cluster import Broker, ClusterState, Listener
from kafkaops.ports.names import Record
from kafkaops.upgrade.refusals_codes import Finding, finding

Mode = Literal["shared", "alias"]
_SILENT = frozenset({"TXT", "CAA", "SRV", "MX", "NS", "SOA"})  # no client connects by these


def move_mode(blue: ClusterState, green: ClusterState, config: Config) -> Mode:
    """`shared` where both clusters advertise the configured broker names for the same node ids,
    so that clients follow the names; else `alias`, where they must bootstrap anew."""
    names = config.cutover.broker_names
    wanted = {node: (name.lower(), config.blue.client_port) for node, name in names.items()}
    here = _advertised(blue, config.blue)
    return "shared" if wanted and here == wanted == _advertised(green, config.green) else "alias"


def _client(broker: Broker, spec: ClusterSpec) -> Listener | None:
    return next((li for li in broker.listeners if li.name == spec.client_listener), None)


def _advertised(state: ClusterState, spec: ClusterSpec) -> dict[int, tuple[str, int]]:
    found = {b.id: _client(b, spec) for b in state.brokers}
    return {node: (li.host.lower(), li.port) for node, li in found.items() if li is not None}


def listeners(state: ClusterState, spec: ClusterSpec) -> Iterator[Finding]:
    """CLIENT and REPL on every broker, and a configured host for each, or it stays unfenced."""
    hosts = {h.node_id for h in spec.hosts}
    for broker in state.brokers:
        who = f"{spec.name}-{broker.id}"
        client = _client(broker, spec)
        if client is None:
            has = ", ".join(li.name for li in broker.listeners) or "none that we may read"
            yield finding(
                "KO-LISTENER-CLIENT", who, f"it has no listener {spec.client_listener} ({has})"
            )
        elif client.port != spec.client_port:
            yield finding(
                "KO-LISTENER-CLIENT",
                who,
                f"{client.name} is on port {client.port}, client_port says {spec.client_port}",
            )
        if broker.port == spec.client_port or (client and client.port == broker.port):
            yield finding(
                "KO-LISTENER-REPL", who, f"bootstrap leads to the CLIENT port {broker.port}"
            )
        elif broker.port != spec.repl_port:
            yield finding(
                "KO-LISTENER-REPL",
                who,
                f"bootstrap leads to port {broker.port}, repl_port says {spec.repl_port}",
            )
        if broker.id not in hosts:
            yield finding("KO-HOST-MISSING", who, f"no host of {spec.name} has node_id {broker.id}")


def names(blue: ClusterState, green: ClusterState, config: Config) -> Iterator[Finding]:
    """Whether the move that the config describes is possible with what is advertised."""
    here, there = _advertised(blue, config.blue), _advertised(green, config.green)
    wanted = {n: name.lower() for n, name in config.cutover.broker_names.items()}
    forwards = config.cutover.forward == "forward" and config.cutover.fence == "firewall"
    missing = sorted({b.id for b in blue.brokers} - {b.id for b in green.brokers})
    if missing and (wanted or forwards):
        yield finding("KO-NODE-IDS", "green", f"green has no broker {', '.join(map(str, missing))}")
    more = sorted({b.id for b in green.brokers} - {b.id for b in blue.brokers})
    if more and forwards:
        yield finding("KO-NODE-IDS", "green", f"blue has no broker {', '.join(map(str, more))}")
    for node in sorted({*wanted, *here, *there} if wanted else ()):
        name = wanted.get(node)
        if name is None:
            who = f"{'blue' if node in here else 'green'}-{node}"
            yield finding("KO-NAMES-NOT-SHARED", who, "cutover.broker_names has no name for it")
            continue
        if node not in {b.id for b in blue.brokers}:
            yield finding(
                "KO-NAMES-NOT-SHARED", f"blue-{node}", f"{name} is for it and it is not there"
            )
        for colour, found in (("blue", here), ("green", there)):
            told = found.get(node)
            if told is not None and told != (name, config.blue.client_port):
                yield finding(
                    "KO-NAMES-NOT-SHARED",
                    f"{colour}-{node}",
                    f"it advertises {told[0]}:{told[1]}, not {name}:{config.blue.client_port}",
                )
    both = sorted({h for h, _ in here.values()} & {h for h, _ in there.values()})
    if both and not wanted:
        yield finding("KO-NAMES-NOT-LISTED", ", ".join(both), "both clusters advertise these names")
    for group in config.clients:
        if group.moves != "hooks" and config.cutover.fence == "clients":
            yield finding(
                "KO-FENCE-CLIENTS", group.name, f"moves: {group.moves}, and nothing would stop it"
            )
        if group.moves == "follows-names" and not wanted:
            yield finding(
                "KO-CLIENTS-CANNOT-FOLLOW", group.name, "only the alias moves, names stay blue's"
            )
        if group.moves == "hooks" and not (group.stop and group.start):
            yield finding("KO-CLIENTS-NO-HOOKS", group.name, "a command is missing")


def records(found: Sequence[Record], config: Config) -> Iterator[Finding]:
    """Every name that will move has one plain record that points to blue and soon expires. An
    alias that is a CNAME to a broker name follows it and needs no more."""
    addresses = {h.node_id: h.address for h in config.blue.hosts}
    green = {h.address for h in config.green.hosts}
    expected: dict[str, set[str]] = {config.cutover.alias.lower(): set(addresses.values())}
    for node, name in config.cutover.broker_names.items():
        expected[name.lower()] = {addresses[node]} if node in addresses else set()
    for name, values in expected.items():
        mine = [r for r in found if r.name.lower() == name and r.kind not in _SILENT]
        if not mine:
            yield finding("KO-NAME-MISSING", name, f"zone {config.cutover.hosted_zone} lacks it")
        for record in mine:
            yield from _record(record, name, values, green, config)


def _record(
    record: Record, name: str, blue: set[str], green: set[str], config: Config
) -> Iterator[Finding]:
    if record.routing:
        yield finding("KO-NAME-ROUTING", name, f"it is {record.routing}")
        return
    brokers = {n.lower().rstrip(".") for n in config.cutover.broker_names.values()}
    if record.kind == "CNAME" and {v.lower().rstrip(".") for v in record.values} <= brokers:
        return
    if record.kind != "A":
        yield finding("KO-NAME-TYPE", name, f"it has a record of type {record.kind}")
        return
    strange = sorted(set(record.values) - blue)
    if strange or not record.values:
        already = " (green's)" if strange and set(strange) <= green else ""
        yield finding("KO-NAME-NOT-BLUE", name, f"it points to {', '.join(strange)}{already}")
    if record.ttl > config.cutover.ttl:
        yield finding(
            "KO-NAME-TTL",
            name,
            f"its TTL is {record.ttl} s, above cutover.ttl {config.cutover.ttl}",
        )
