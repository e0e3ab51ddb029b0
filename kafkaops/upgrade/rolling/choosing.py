"""Which nodes a restart is about: the config's hosts, set against the cluster's own nodes. Pure.

Invariant: every broker that is to be restarted has exactly one host, or nothing begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError, UsageFault
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.batches import MAX_BATCH

LOOKS = 3
SOAK = 10.0
"""Seconds that commands watch each batch for, unless they are told otherwise."""


@dataclass(frozen=True)
class Options:
    """What the operator asked for. `only` are host names or node ids, `since` is epoch seconds:
    a process that started later is left alone; `changed`: only where the broker's properties or its
    unit file were written after its process started; `canary`: one broker alone, before the others;
    `soak` is in seconds. `to` is the release that they are to run; None leaves it as it is. Past
    `outage` seconds the kernels let clients in again by themselves. `gate_looks` is how many looks
    in a row must find the gate open: a moment between two troubles is no peace. `gate_timeout` and
    `return_timeout` (seconds): how long a closed gate is waited for, and a node to come up, and
    again to be in sync; past it the run ends, resumable."""

    cluster: str = "blue"
    only: tuple[str, ...] = ()
    rack: str | None = None
    since: float | None = None
    changed: bool = False
    max_batch: int = MAX_BATCH
    whole_racks: bool = False
    soak: float = 0.0
    accept: tuple[str, ...] = ()
    to: str | None = None
    outage: float = 1800.0
    canary: bool = True
    gate_looks: int = LOOKS
    gate_timeout: float = 1800.0
    return_timeout: float = 3600.0

    def to_json(self) -> dict[str, Any]:
        """Without what came later where it is as ever: a plan of before is the same plan."""
        told = {**vars(self), "only": list(self.only), "accept": list(self.accept)}
        if self.gate_looks == LOOKS:
            del told["gate_looks"]
        return told

    @property
    def flag(self) -> str:
        """` --cluster COLOUR` where a command has to name it."""
        return "" if self.cluster == "blue" else f" --cluster {self.cluster}"

    @property
    def chosen(self) -> str:
        """` --only NODE` for each."""
        return "".join(f" --only {quote(name)}" for name in self.only)

    @property
    def narrowed(self) -> bool:
        """Whether only some of the cluster's nodes are meant."""
        return bool(self.only or self.rack or self.changed) or self.since is not None

    @property
    def sized(self) -> str:
        """What makes `upgrade batches` find the batches of the same cluster's whole roll."""
        size = f" --max-batch {self.max_batch}" if self.max_batch != MAX_BATCH else ""
        size = " --whole-racks" if self.whole_racks else size
        return f" --cluster {self.cluster}{size}{'' if self.canary else ' --no-canary'}"

    @property
    def flags(self) -> str:
        """What the command was given, but for `--to`: where it is not what a roll does anyway."""
        usual = Options(soak=SOAK)
        since = None if self.since is None else datetime.fromtimestamp(self.since, UTC).isoformat()
        given = (
            (self.rack is not None, f"--rack {quote(self.rack or '')}"),
            (since is not None, f"--not-restarted-since {since}"),
            (self.changed, "--changed-config"),
            (self.max_batch != usual.max_batch, f"--max-batch {self.max_batch}"),
            (self.whole_racks, "--whole-racks"),
            (not self.canary, "--no-canary"),
            (self.soak != usual.soak, f"--soak {self.soak:g}"),
            *((True, f"--accept-unavailable {quote(glob)}") for glob in self.accept),
            (self.gate_looks != usual.gate_looks, f"--gate-looks {self.gate_looks}"),
            (self.gate_timeout != usual.gate_timeout, f"--gate-timeout {self.gate_timeout:g}"),
            (
                self.return_timeout != usual.return_timeout,
                f"--return-timeout {self.return_timeout:g}",
            ),
            (self.outage != usual.outage, f"--outage {self.outage:g}"),
        )
        return self.flag + self.chosen + "".join(f" {words}" for was, words in given if was)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Options:
        return cls(**{**kept, "only": tuple(kept["only"]), "accept": tuple(kept["accept"])})


@dataclass(frozen=True)
class Chosen:
    """`hosts` by node id; `left` says in words who is not restarted, and why."""

    hosts: Mapping[int, HostSpec] = field(default_factory=dict)
    left: tuple[str, ...] = ()


def choose(spec: ClusterSpec, state: ClusterState, options: Options) -> Chosen:
    """The nodes to restart, before anybody asked when they started. UsageFault for a host or rack
    that is not there, ConfigError for brokers and hosts that do not match."""
    brokers = {b.id: b.rack for b in state.brokers}
    voters = set(state.quorum.voters) if state.quorum else set()
    hosts = _by_node(spec)
    wanted = {*brokers, *voters}
    if options.only:
        wanted = {_node(spec, name, wanted) for name in options.only}
    if options.rack is not None:
        racks = sorted({rack for rack in brokers.values() if rack is not None})
        if options.rack not in racks:
            raise UsageFault(
                "KO-RACK-UNKNOWN",
                f"no broker of {spec.name} is in rack {options.rack!r}",
                hint=f"--rack with one of: {', '.join(racks)}" if racks else "they have no racks",
            )
        wanted = {node for node in wanted if brokers.get(node) == options.rack}
    homeless = sorted(node for node in wanted if node in brokers and node not in hosts)
    if homeless:
        raise ConfigError(
            "KO-BROKER-NO-HOST",
            f"broker {', '.join(map(str, homeless))} of {spec.name} has no host in the config",
            where=spec.name,
            hint="add it to the cluster's `hosts`, with its node_id; or leave it out with --only",
        )
    apart = sorted(node for node in wanted if node not in hosts)
    left = [f"controller {node} is not restarted: it has no host in the config" for node in apart]
    return Chosen({n: hosts[n] for n in sorted(wanted) if n in hosts}, tuple(left))


def _by_node(spec: ClusterSpec) -> dict[int, HostSpec]:
    ids = Counter(h.node_id for h in spec.hosts if h.node_id is not None)
    for node, times in sorted(ids.items()):
        if times > 1:
            names = ", ".join(h.name for h in spec.hosts if h.node_id == node)
            raise ConfigError(
                "KO-NODE-TWICE",
                f"the hosts {names} have the same node_id {node}",
                where=spec.name,
                hint="give each host its own node_id",
            )
    return {h.node_id: h for h in spec.hosts if h.node_id is not None}


def _node(spec: ClusterSpec, name: str, nodes: set[int]) -> int:
    """The node that `--only NAME` means."""
    host = next((h for h in spec.hosts if h.name == name), None)
    known = ", ".join(f"{h.name} ({h.node_id})" for h in spec.hosts if h.node_id in nodes)
    if host is None and not name.isdecimal():
        raise UsageFault(
            "KO-HOST-UNKNOWN", f"{spec.name} has no host {name!r}", hint=f"--only with: {known}"
        )
    node = host.node_id if host is not None else int(name)
    if node is None or node not in nodes:
        what = f"the host {name}" if host is not None else f"node {name}"
        raise UsageFault(
            "KO-HOST-NO-BROKER",
            f"{what} is no node of {spec.name} that is up"
            + ("" if node is not None else ": it has no node_id in the config"),
            hint=f"--only with: {known}",
        )
    return node
