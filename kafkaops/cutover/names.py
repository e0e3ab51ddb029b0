"""Which records clients resolve, where they point, and the batches that move them. Pure.

Only simple records are changed: `A` for the alias (every broker's address) and for each broker
name. An alias that is a CNAME to one of the broker names follows them and is left alone.
Invariant: a batch deletes exactly the values that were read, so a change by someone else in
between is refused by Route 53, never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kafkaops.config.schema import ClusterSpec, Config, Cutover, HostSpec
from kafkaops.engine.errors import ConfigError
from kafkaops.ports.names import Record


@dataclass(frozen=True)
class Batch:
    """One atomic change: exact records to delete, records to create."""

    delete: tuple[Record, ...] = ()
    create: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Goal:
    """Names pointing to one cluster. `records` are what must be there, `found` what is, `batch`
    the difference."""

    records: tuple[Record, ...]
    found: tuple[Record, ...]
    batch: Batch

    @property
    def reached(self) -> bool:
        return not self.batch.create


def wanted_names(cutover: Cutover) -> list[str]:
    """The alias and every broker name, without trailing dots, each once."""
    names = [cutover.alias, *(cutover.broker_names[n] for n in sorted(cutover.broker_names))]
    return list(dict.fromkeys(_plain(name) for name in names))


def asked_of(host: HostSpec, cutover: Cutover) -> list[str]:
    """The names by which clients ask for this host's broker, first its own: a certificate there
    must hold them all."""
    own = [] if host.node_id is None else [cutover.broker_names.get(host.node_id, "")]
    return [_plain(name) for name in (*own, cutover.alias) if name]


def to_addresses(found: Sequence[Record], cutover: Cutover, cluster: ClusterSpec) -> Goal:
    """What moves the names to this cluster's hosts, keeping each record's TTL.

    ConfigError when a record is missing, is not simple, or a broker name has no host.
    """
    wanted = _values(cutover, cluster)
    faults = _shape_faults(found, cutover)
    if faults:
        raise ConfigError(
            "KO-NAMES", "; ".join(faults), where=f"cutover.alias {cutover.alias}", hint=HINT
        )
    records = tuple(
        replace(record, values=wanted[record.name])
        for record in sorted(found)
        if record.kind == "A" and record.name in wanted
    )
    before = {record.name: record for record in found if record.kind == "A"}
    moving = [r for r in records if before[r.name].values != r.values]
    batch = Batch(tuple(before[r.name] for r in moving), tuple(moving))
    return Goal(records, tuple(sorted(found)), batch)


def with_ttl(found: Sequence[Record], ttl: Mapping[str, int]) -> Batch:
    """The batch that gives the named records these TTLs and keeps their values."""
    changing = [r for r in sorted(found) if not r.routing and ttl.get(r.name, r.ttl) != r.ttl]
    return Batch(tuple(changing), tuple(replace(r, ttl=ttl[r.name]) for r in changing))


def faults(found: Sequence[Record], config: Config) -> list[str]:
    """Every reason why these records cannot be moved away from blue, as sentences."""
    cutover = config.cutover
    words = _shape_faults(found, cutover)
    blue = {host.address for host in config.blue.hosts}
    for record in sorted(found):
        if record.kind == "A" and not record.routing:
            elsewhere = sorted(set(record.values) - blue)
            if elsewhere:
                words.append(f"{record.name} does not point to blue: {', '.join(elsewhere)}")
    one = _values(cutover, config.blue)
    for name in sorted(set(cutover.broker_names.values())):
        own = one[_plain(name)]
        for record in found:
            mine = record.name == _plain(name) and record.kind == "A"
            if mine and set(record.values) <= blue and record.values != own:
                words.append(
                    f"{record.name} points to {', '.join(record.values)}, "
                    f"not to its own broker at {', '.join(own)}"
                )
    return words


def planned(found: Sequence[Record]) -> list[dict[str, Any]]:
    """The records as JSON, to keep beside a plan for `drift`."""
    return [vars(record) | {"values": list(record.values)} for record in sorted(found)]


def drift(found: Sequence[Record], planned: Sequence[Mapping[str, Any]]) -> list[str]:
    """What somebody changed since planning, as sentences. TTLs are not compared: we lower them
    ourselves."""
    now = {(r.name, r.kind): (tuple(r.values), r.routing) for r in found}
    then = {
        (str(p["name"]), str(p["kind"])): (tuple(p["values"]), str(p.get("routing", "")))
        for p in planned
    }
    words = []
    for key in sorted(now.keys() | then.keys()):
        if now.get(key) != then.get(key):
            name, kind = key
            words.append(f"{name} {kind} was {_shown(then.get(key))}, is {_shown(now.get(key))}")
    return words


def strangers(
    found: Sequence[Record], config: Config, planned: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Records that somebody else changed, as sentences: missing, of a kind that we never make, or
    `A` records that point neither to one of both clusters nor to where they did when the move was
    planned; then what each says and what it was expected to. Empty when all are known."""
    known: dict[str, list[tuple[str, ...]]] = {}
    for values in (_values(config.cutover, c) for c in (config.blue, config.green)):
        for name, addresses in values.items():
            known.setdefault(name, []).append(addresses)
    for then in planned:
        if then["kind"] == "A":
            known.setdefault(then["name"], []).append(tuple(then["values"]))
    words = _shape_faults(found, config.cutover)
    for record in sorted(r for r in found if r.kind == "A" and not r.routing):
        expected = list(dict.fromkeys(known.get(record.name, ())))
        if record.name in known and not any(set(record.values) <= set(e) for e in expected):
            wanted = " or ".join(", ".join(addresses) for addresses in expected)
            words.append(f"{record.name} is {', '.join(record.values)}, expected {wanted}")
    return words


HINT = (
    "the records must be simple A records of the zone (the alias may be a CNAME to a broker name)"
)


def _values(cutover: Cutover, cluster: ClusterSpec) -> dict[str, tuple[str, ...]]:
    """Name to addresses in this cluster."""
    brokers = [host for host in cluster.hosts if host.node_id is not None]
    values = {_plain(cutover.alias): tuple(sorted(h.address for h in brokers or cluster.hosts))}
    address = {host.node_id: host.address for host in brokers}
    for node, name in cutover.broker_names.items():
        if node not in address:
            raise ConfigError(
                "KO-NAMES-NODE",
                f"cutover.broker_names has node {node}, but no host of {cluster.name} has it",
                where="cutover.broker_names",
                hint="give every host its node_id",
            )
        values[_plain(name)] = (address[node],)
    return values


def _shape_faults(found: Sequence[Record], cutover: Cutover) -> list[str]:
    """Records that are missing or of a kind we do not change."""
    brokers = {_plain(name) for name in cutover.broker_names.values()}
    words = []
    for name in wanted_names(cutover):
        mine = [r for r in found if r.name == name and r.kind in {"A", "AAAA", "CNAME"}]
        if not mine:
            words.append(f"{name} has no A record")
        for record in mine:
            if record.routing:
                words.append(f"{name} is a record of routing {record.routing}, not a simple one")
            elif record.kind == "AAAA":
                words.append(f"{name} also has an AAAA record, which would stay behind")
            elif record.kind == "CNAME" and (
                name in brokers or not {_plain(v) for v in record.values} <= brokers
            ):
                words.append(f"{name} is a CNAME to {', '.join(record.values)}")
    return words


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _shown(value: tuple[tuple[str, ...], str] | None) -> str:
    if value is None:
        return "absent"
    return ", ".join(value[0]) + (f" ({value[1]})" if value[1] else "")
