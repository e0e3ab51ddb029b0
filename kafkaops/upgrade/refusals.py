"""Every reason against a blue/green upgrade, all at once, before anything is changed.

Invariant: `find` is pure; a reason is either cured, or accepted by its name in the config, and
then it stays in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kafkaops.config.schema import Config
from kafkaops.engine.errors import ConfigError, Exit, GuardRefused, OpsError
from kafkaops.model.cluster import ClusterState, ProducerState
from kafkaops.model.partition import Ends, TopicPartition, is_carried
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.names import Names, Record
from kafkaops.upgrade import (
    parity_diff,
    refusals_access,
    refusals_clients,
    refusals_clusters,
    refusals_names,
)
from kafkaops.upgrade.refusals_codes import CODES, Finding, accept
from kafkaops.upgrade.refusals_early import before
from kafkaops.upgrade.refusals_names import Mode, move_mode

__all__ = ["CODES", "Evidence", "Finding", "Mode", "collect", "find", "move_mode", "refuse"]


@dataclass(frozen=True)
class Evidence:
    """What the reasons are read from. `green_ends` and the producers are of topics to carry."""

    blue: ClusterState
    green: ClusterState
    records: tuple[Record, ...]
    green_ends: Mapping[TopicPartition, Ends]
    blue_producers: tuple[ProducerState, ...]
    green_producers: tuple[ProducerState, ...]


def collect(blue: Cluster, green: Cluster, names: Names, config: Config) -> Evidence:
    """Read everything. Partitions without a leader cannot be asked and are left out.

    ConfigError (KO-CLUSTER-RIGHTS) with every right that this tool lacks on either cluster.
    """
    _permitted(blue, green)
    here, there = blue.snapshot(), green.snapshot()
    ours, theirs = _led(here), [tp for tp in _led(there) if tp.topic in here.topics]
    cutover = config.cutover
    return Evidence(
        here,
        there,
        names.records([cutover.alias, *cutover.broker_names.values()]),
        green.ends(theirs) if theirs else {},
        blue.producers(ours) if ours else (),
        green.producers(theirs) if theirs else (),
    )


def _permitted(*clusters: Cluster) -> None:
    """First of all: without the right to see a topic, a cluster looks as if it had none."""
    lacking = {cluster.name: cluster.missing_rights() for cluster in clusters}
    told = [f"{name}: {', '.join(rights)}" for name, rights in lacking.items() if rights]
    if told:
        raise ConfigError(
            "KO-CLUSTER-RIGHTS",
            f"the principal of this tool lacks rights on {'; on '.join(told)}",
            where="security",
            hint="grant them by ACL, or make it a super user; docs/security.md says what for",
        )


def _led(state: ClusterState) -> list[TopicPartition]:
    return sorted(
        p.tp for t in state.topics.values() if is_carried(t) for p in t.partitions if p.leader >= 0
    )


def find(seen: Evidence, config: Config) -> tuple[Finding, ...]:
    """Every finding, what blocks first, then what was accepted, then notes; duplicates once."""
    blue, green = seen.blue, seen.green
    diff = parity_diff.diff(blue, green, exclude=config.mirror.exclude)
    found = [
        *refusals_clusters.versions(blue, green),
        *refusals_names.listeners(blue, config.blue),
        *refusals_names.listeners(green, config.green),
        *refusals_names.names(blue, green, config),
        *refusals_names.records(seen.records, config),
        *refusals_clusters.green_topics(blue, green, seen.green_ends, seen.green_producers),
        *refusals_clusters.parity(diff, blue, green),
        *refusals_access.access(blue, green, config),
        *refusals_clusters.unmirrored(blue, config),
        *refusals_clusters.replication(blue),
        *refusals_clusters.health(blue, green),
        *refusals_clusters.disk(blue, green),
        *refusals_clients.transactions(blue, seen.blue_producers),
        *refusals_clients.groups(blue, config),
        *refusals_clients.acks(blue, seen.blue_producers),
    ]
    marked = accept(dict.fromkeys(found), config.accept)
    return tuple(sorted(marked, key=lambda f: (f.note, f.accepted)))


def refuse(findings: Iterable[Finding], faults: Sequence[OpsError] = ()) -> None:
    """Raise GuardRefused with every finding that blocks, and with what went wrong while they were
    looked for; nothing when there is none. ConfigError where that is all of the config's kind. An
    error that is alone is raised as it is, but for an exit code that promises a run."""
    blocking = [f for f in findings if f.blocks]
    errors = [before(error) for error in faults]
    if len(errors) == 1 and not blocking:
        raise errors[0]
    if not blocking and not errors:
        return
    rows = [*(Finding(e.code, e.where, e.message, e.hint) for e in errors), *blocking]
    told = "\n".join(f"  {row}" + (f"\n    {row.hint}" if row.hint else "") for row in rows)
    names = [f"{f.code}:{f.subject}" for f in blocking if f.acceptable]
    config = not blocking and all(e.exit is Exit.CONFIG for e in errors)
    raise (ConfigError if config else GuardRefused)(
        rows[0].code if len(rows) == 1 else "KO-REFUSED",
        f"{len(rows)} reasons against it; nothing was changed:\n{told}",
        hint=f"what you can accept, under `accept` in the config: {', '.join(names)}"
        if names
        else "",
    )
