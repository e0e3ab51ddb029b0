"""Green made equal to blue: read both, tell the difference, carry it out.

Invariant: `apply` only adds and sets on the target, never removes, and may be repeated; after
it `between` is empty unless the source changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kafkaops.config.schema import Config
from kafkaops.engine.errors import GuardRefused
from kafkaops.ports.cluster import Cluster
from kafkaops.upgrade import parity_configs
from kafkaops.upgrade.parity_configs import Deferred
from kafkaops.upgrade.parity_diff import NewTopic, ParityDiff, diff

__all__ = [
    "Deferred",
    "ParityDiff",
    "apply",
    "apply_deferred",
    "between",
    "diff",
    "open_timestamps",
    "reopen_deferred",
]


def between(source: Cluster, target: Cluster, config: Config) -> ParityDiff:
    """Read both clusters and compare. Topics that the mirror excludes are left out."""
    return diff(source.snapshot(), target.snapshot(), exclude=config.mirror.exclude)


def apply(found: ParityDiff, target: Cluster) -> None:
    """Carry out the difference on the target. Raises GuardRefused for what cannot be cured."""
    if found.impossible:
        raise GuardRefused(
            "KO-PARITY-IMPOSSIBLE",
            f"{target.name} cannot be made equal: {'; '.join(found.impossible)}",
            where=target.name,
        )
    if found.create:
        _create(found.create, target)
    if found.partitions:
        there = target.topics()
        for more in found.partitions:
            have = len(there[more.topic].partitions) if more.topic in there else 0
            left = {p: nodes for p, nodes in more.assignment.items() if p >= have}
            if left:
                target.create_partitions(more.topic, left)
    _set(((c.topic, c.name, c.value) for c in found.configs), target)
    if found.acls:
        target.create_acls(found.acls)
    if found.quotas:
        target.alter_quotas(found.quotas)


def _create(topics: Sequence[NewTopic], target: Cluster) -> None:
    """Create what is missing; then set what the target's own defaults make different."""
    there = target.topics()
    for topic in topics:
        if topic.name not in there:
            target.create_topic(topic.name, topic.assignment, topic.configs)
    fresh = target.topics(configs=True)
    have = {t.name: fresh[t.name].config.values for t in topics if t.name in fresh}
    differ = [
        (topic.name, name, value)
        for topic in topics
        for name, value in topic.wanted.items()
        if name in have.get(topic.name, {})
        and not parity_configs.same(name, value, have[topic.name][name])
    ]
    _set(differ, target)


def apply_deferred(deferred: Iterable[Sequence[str]], target: Cluster) -> None:
    """At the cut: set what had to differ until then. Rows are `Deferred`, or lists of the same
    four strings as a journal keeps them."""
    _set(((d.topic, d.name, d.at_cut) for d in (Deferred(*row) for row in deferred)), target)


def reopen_deferred(deferred: Iterable[Sequence[str]], target: Cluster) -> None:
    """Undo of `apply_deferred`: as it was before the cut."""
    _set(((d.topic, d.name, d.until) for d in (Deferred(*row) for row in deferred)), target)


def open_timestamps(target: Cluster) -> tuple[Deferred, ...]:
    """Make the target keep the timestamps of copied records (CreateTime, no bounds), before a
    mirror writes there: the way back needs it of blue, as blue's own LogAppendTime would rewrite
    every record. Returns what was changed, for `apply_deferred` to put back."""
    changed = parity_configs.closed(target.topics(configs=True).values())
    _set(((d.topic, d.name, d.until) for d in changed), target)
    return changed


def _set(rows: Iterable[tuple[str, str, str]], target: Cluster) -> None:
    found: dict[str, dict[str, str]] = {}
    for topic, name, value in rows:
        found.setdefault(topic, {})[name] = value
    if found:
        target.alter_topic_configs(found)
