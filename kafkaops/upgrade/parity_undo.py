"""What parity changed on the target besides creating topics, noted so that it can be taken back.

Invariant: only what still is as parity set it is changed back; what somebody has set otherwise
since is left alone. Added partitions stay, for Kafka cannot remove any.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import astuple
from typing import Any

from kafkaops.model.cluster import Acl, ClusterState, Quota
from kafkaops.ports.cluster import Cluster
from kafkaops.upgrade.parity_configs import same
from kafkaops.upgrade.parity_diff import ParityDiff


def noted(
    diff: ParityDiff,
    target: ClusterState,
    created: Collection[str],
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """As JSON, what this difference will add to `target` and replace there: rows of
    (topic, name, ours, before), ACLs, and rows of (entity, key, ours, before). `before` is None
    where the topic or the entity had no value of its own. What is `known` from an earlier part of
    the same work stays: it knew the cluster as it was."""
    known = known or {}
    configs = {(row[0], row[1]): list(row) for row in known.get("configs", ())}
    for change in diff.configs:
        if change.topic in created:
            continue  # goes with its topic
        have = target.topics[change.topic].config
        own = have.sources.get(change.name) == "topic"
        before = have.values.get(change.name) if own else None
        row = configs.setdefault(
            (change.topic, change.name), [change.topic, change.name, change.value, before]
        )
        row[2] = change.value
    quotas = {(str(row[0]), row[1]): list(row) for row in known.get("quotas", ())}
    there = {q.entity: dict(q.values) for q in target.quotas}
    for quota in diff.quotas:
        entity = [list(part) for part in quota.entity]
        for key, value in quota.values:
            before_ = there.get(quota.entity, {}).get(key)
            row = quotas.setdefault((str(entity), key), [entity, key, value, before_])
            row[2] = value
    acls = {tuple(row) for row in known.get("acls", ())} | {astuple(acl) for acl in diff.acls}
    return {
        "configs": [configs[key] for key in sorted(configs)],
        "quotas": [quotas[key] for key in sorted(quotas)],
        "acls": [list(row) for row in sorted(acls)],
    }


def take_back(changed: Mapping[str, Any], target: Cluster) -> None:
    """Put back what `noted` tells of. May be repeated. ACLs last: they may be what lets us in."""
    if not any(changed.get(kind) for kind in ("configs", "quotas", "acls")):
        return
    now = target.snapshot()
    _configs(changed.get("configs", ()), now, target)
    _quotas(changed.get("quotas", ()), now, target)
    acls = [acl for row in changed.get("acls", ()) if (acl := Acl(*row)) in now.acls]
    if acls:
        target.delete_acls(acls)


def _configs(rows: Collection[list[Any]], now: ClusterState, target: Cluster) -> None:
    back: dict[str, dict[str, str | None]] = {}
    for topic, name, ours, before in rows:
        there = now.topics.get(topic)
        if there is not None and same(name, ours, there.config.values.get(name)):
            back.setdefault(topic, {})[name] = before
    for topic, values in sorted(back.items()):
        target.alter_topic_config(
            topic,
            {name: before for name, before in values.items() if before is not None},
            [name for name, before in values.items() if before is None],
        )


def _quotas(rows: Collection[list[Any]], now: ClusterState, target: Cluster) -> None:
    there = {q.entity: dict(q.values) for q in now.quotas}
    put: list[Quota] = []
    gone: list[Quota] = []
    for parts, key, ours, before in rows:
        entity = tuple((str(kind), name) for kind, name in parts)
        if there.get(entity, {}).get(key) != ours:
            continue
        if before is None:
            gone.append(Quota(entity, ((key, ours),)))
        else:
            put.append(Quota(entity, ((key, before),)))
    if put or gone:
        target.alter_quotas(put, gone)
