"""Every reason against raising the protocol on these hosts, all at once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kafkaops.config.accepting import MESSAGE_FORMAT
from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.errors import GuardRefused
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.host_units import Unit
from kafkaops.upgrade.install.release import FORM, Release
from kafkaops.upgrade.protocol.setting import FORMAT, NAME, ONE_FORMAT, Protocol
from kafkaops.upgrade.refusals_codes import Finding


@dataclass(frozen=True)
class Look:
    """What one host says. `values` are those of the setting in its server.properties, which was
    last `written` then (epoch seconds by its clock); `spoken` is what its broker says that it
    speaks, `format` an old log.message.format.version that the file still has."""

    host: str
    node: int
    unit: Unit
    release: Release | None
    values: tuple[str, ...] = ()
    written: float | None = None
    spoken: Protocol | None = None
    format: Protocol | None = None

    @property
    def set(self) -> Protocol | None:
        return Protocol.of(self.values[-1]) if self.values else None

    @property
    def fresh(self) -> bool:
        """Whether its process started after the file was written."""
        return self.unit.running and self.written is not None and self.unit.started > self.written

    def speaks(self, to: Protocol) -> bool:
        """Whether nothing is left to do here: the file says it, or nothing, and the process does
        what the file says."""
        if not self.values:
            return self.spoken == to
        return self.set == to and (self.fresh if self.spoken is None else self.spoken == to)


def refuse_kraft(state: ClusterState, name: str, colour: str, to: Protocol) -> None:
    """GuardRefused for a cluster that has no such setting."""
    if state.quorum is not None:
        raise GuardRefused(
            "KO-PROTOCOL-KRAFT",
            f"{name} runs with KRaft, where the level is the feature metadata.version",
            where=name,
            hint=f"kafkaops features finalize --to {to} --cluster {colour}",
        )


def find(
    state: ClusterState,
    spec: ClusterSpec,
    looks: Sequence[Look],
    to: Protocol,
    releases: Collection[str],
    flag: str = "",
) -> Iterator[Finding]:
    """`releases` are those that the config has a tarball of; `flag` is what names the cluster in
    commands."""
    yield from _away(state, spec)
    for one in looks:
        yield from _software(one, to, releases, flag)
        yield from _file(one, spec)
        yield from _lower(one, to)
        yield from _format(one, to, flag)


def _away(state: ClusterState, spec: ClusterSpec) -> Iterator[Finding]:
    """One that is down now may come back with older software, and understand nobody."""
    up = {b.id for b in state.brokers}
    held = {r for t in state.topics.values() for p in t.partitions for r in p.replicas}
    named = {h.node_id: h.name for h in spec.hosts if h.node_id is not None}
    for node in sorted((held | set(named)) - up):
        yield Finding(
            "KO-PROTOCOL-BROKER-AWAY",
            named.get(node, str(node)),
            f"broker {node} is not up: nobody knows what it would come back with",
            "start it; or move its replicas away, and take it out of the config's `hosts`",
        )


def _software(one: Look, to: Protocol, releases: Collection[str], flag: str) -> Iterator[Finding]:
    if one.release is None:
        yield Finding(
            "KO-RUNNING-UNKNOWN",
            one.host,
            f"the unit {one.unit.name} (process {one.unit.pid}) holds no Kafka server jar open",
            "is `service` of the config the broker's own unit?",
        )
    elif Protocol(one.release.major, one.release.minor) < to:
        there = [Release.of(r) for r in releases if FORM.fullmatch(r) and Protocol.of(r) == to]
        yield Finding(
            "KO-PROTOCOL-SOFTWARE",
            one.host,
            f"it runs {one.release}, which does not know protocol {to}",
            f"kafkaops upgrade --strategy rolling --to {max(there, default=f'{to}.N')}{flag}",
        )


def _file(one: Look, spec: ClusterSpec) -> Iterator[Finding]:
    if len(one.values) > 1 or (one.values and one.set is None):
        yield Finding(
            "KO-PROTOCOL-UNCLEAR",
            one.host,
            f"{spec.properties} sets {NAME} to {', '.join(one.values)}",
            "let it be set once, to a protocol such as 3.8",
        )
    elif one.set is not None and one.fresh and one.spoken not in (None, one.set):
        yield Finding(
            "KO-PROTOCOL-NOT-APPLIED",
            one.host,
            f"{spec.properties} says {one.set} since before its process started, and the broker"
            f" says that it speaks {one.spoken}",
            "is `properties` of the config the file that its unit starts it with?",
        )


def _lower(one: Look, to: Protocol) -> Iterator[Finding]:
    now = max((p for p in (one.set, one.spoken) if p is not None), default=to)
    if now > to:
        yield Finding(
            "KO-PROTOCOL-LOWER",
            one.host,
            f"its protocol is {now}, and what was written with that {to} may not read",
            f"there is no way back from it: --to {now} brings the others there",
        )


def _format(one: Look, to: Protocol, flag: str) -> Iterator[Finding]:
    """An old format of records: in force below protocol 3.0, and without effect from there on."""
    if one.format is None or one.format >= to:
        return
    now = one.set or one.spoken
    if now is not None and now < ONE_FORMAT <= to:
        yield Finding(
            MESSAGE_FORMAT,
            one.host,
            f"{FORMAT} is {one.format}: it ends with this roll, for from protocol {ONE_FORMAT} on"
            " records are written in the newest format, which clients before 0.11 do not read",
            f"bring it to {now} by a roll of its own first: write it, kafkaops restart"
            f"{flag} --changed-config; or accept: [{MESSAGE_FORMAT}]",
            acceptable=True,
        )
    else:
        yield Finding(
            MESSAGE_FORMAT,
            one.host,
            f"{FORMAT}={one.format} is left in its file and has no effect since protocol"
            f" {ONE_FORMAT}; take it out, and a third roll makes that so: kafkaops restart"
            f"{flag} --changed-config",
            note=True,
        )
