"""Feature levels as a table for people and as a document for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from kafkaops.cli.output import Table, Text
from kafkaops.features import levels
from kafkaops.features.asking import common_release, release_of
from kafkaops.features.levels import KRAFT
from kafkaops.model.features import FeatureNode, Features


def names(features: Features) -> list[str]:
    """Every feature that is known to us, finalized or supported somewhere."""
    told = {f for n in features.nodes for f in (n.supports or ())} | set(features.finalized)
    return [*levels.FEATURES, *sorted(told - set(levels.FEATURES))]


def table(features: Features) -> Table:
    """A line a feature; nodes that support the same share a column."""
    release = common_release(features)
    goals = {} if release is None else levels.sets(release_of(release))
    groups = _alike(features)
    columns = ["feature", "finalized", *(_named(group) for group in groups)]
    columns.append("no common release" if release is None else f"{release} sets")
    rows = []
    for name in names(features):
        spans = [_span(group[0], name) for group in groups]
        goal = levels.words(name, goals[name]) if name in goals else ""
        if name == KRAFT and goals.get(name, 0) > features.level(name):
            goal += " (only when asked)"
        rows.append((name, levels.words(name, features.level(name)), *spans, goal))
    return Table(columns, rows)


def remarks(features: Features) -> Iterator[Text]:
    for node in features.nodes:
        if not node.member:
            why = f": {node.why}" if node.why else ""
            yield Text(f"{node.name} is registered and takes no part in the cluster{why}")
        elif node.supports is None:
            yield Text(f"{node.name} could not be asked: {node.why}")
    if features.unseen:
        yield Text(f"registered controllers could not be listed: {features.unseen}")


def document(features: Features) -> dict[str, Any]:
    release = common_release(features)
    goals = {} if release is None else levels.sets(release_of(release))
    return {
        "cluster_id": features.cluster_id,
        "common_release": release,
        "features": [
            {
                "feature": name,
                "finalized": features.level(name),
                "name": levels.short(name, features.level(name)),
                "release_sets": goals.get(name),
                "lowest": levels.floor(name, features.level(name)),
                "supported": {
                    str(n.id): [found.min, found.max]
                    for n in features.nodes
                    if (found := n.range(name)) is not None
                },
            }
            for name in names(features)
        ],
        "nodes": [
            {
                "id": n.id,
                "broker": n.broker,
                "controller": n.controller,
                "member": n.member,
                "asked": n.supports is not None,
                "why": n.why,
            }
            for n in features.nodes
        ],
        "controllers_unseen": features.unseen,
    }


def _alike(features: Features) -> list[list[FeatureNode]]:
    """Asked nodes in groups of the same role and the same support."""

    def key(node: FeatureNode) -> tuple[Any, ...]:
        held = sorted((name, r.min, r.max) for name, r in (node.supports or {}).items())
        return (not node.broker, not node.controller, not node.member, held)

    asked = [n for n in features.nodes if n.supports is not None]
    return [list(group) for _, group in groupby(sorted(asked, key=key), key=key)]


def _named(group: list[FeatureNode]) -> str:
    kind = group[0].name.rpartition(" ")[0]
    return f"{kind} {','.join(str(n.id) for n in sorted(group, key=lambda n: n.id))}"


def _span(node: FeatureNode, feature: str) -> str:
    found = node.range(feature)
    if found is None or feature not in (node.supports or {}):
        return ""
    return f"{levels.short(feature, found.min)}..{levels.short(feature, found.max)}"
