"""The plan that moves feature levels. Pure: config, levels and what was asked in, `Plan` out.

One step a feature: metadata.version first on the way up, last on the way down, for others may
depend on it. A step whose level cannot be lowered again says so (`irreversible`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kafkaops.config.schema import Config
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.features import ghosts, levels
from kafkaops.features.asking import FINALIZE, Asked, Change
from kafkaops.features.levels import ELR, KRAFT, METADATA
from kafkaops.features.phases import Phase
from kafkaops.model.features import Features

OPERATION = "features"
DEADLINE = 120.0
"""Seconds for every broker to show a level that the controller took."""


def plan(
    config: Config,
    features: Features,
    asked: Asked,
    moves: Sequence[Change],
    *,
    id: str,
    created: float,
) -> Plan:
    snapshot = snapshot_of(features, asked)
    return Plan(
        id=id,
        operation=OPERATION,
        cluster=config.name,
        created=created,
        specs=tuple(_spec(features, asked, change) for change in moves),
        fingerprint=fingerprint(snapshot),
        snapshot=snapshot,
        notes=tuple(_notes(features, asked, moves)),
        config=config.model_dump(mode="json"),
    )


def snapshot_of(features: Features, asked: Asked) -> dict[str, Any]:
    """What makes a saved plan worthless when it changes."""
    return {
        "cluster_id": features.cluster_id,
        "finalized": dict(features.finalized),
        "supports": {
            str(n.id): {name: [r.min, r.max] for name, r in n.supports.items()}
            for n in features.nodes
            if n.broker and n.supports is not None
        },
        "options": asked.to_json(),
    }


def effects(change: Change) -> tuple[str, ...]:
    """What each level on the way changes, one line a level."""
    low, high = sorted((change.old, change.new))
    found = levels.between(change.feature, low, high)
    ordered = found if change.raises else tuple(reversed(found))
    verb = "" if change.raises else "gives up: "
    return tuple(
        f"{level}: {verb}{level.what}" + (" [no way back]" if level.barrier else "")
        for level in ordered
    )


def _spec(features: Features, asked: Asked, change: Change) -> Spec:
    phase = Phase.RAISE if change.raises else Phase.LOWER
    old, new = (levels.words(change.feature, n) for n in (change.old, change.new))
    shut = change.shut
    return Spec(
        id=change.feature,
        kind="feature-moved",
        title=f"{phase.value} {change.feature} from {old} to {new}",
        phase=phase.value,
        args={
            "cluster": asked.cluster,
            "cluster_id": features.cluster_id,
            "feature": change.feature,
            "old": change.old,
            "new": change.new,
        },
        deadline=DEADLINE,
        irreversible=""
        if shut is None
        else f"{change.feature} cannot be lowered to {old} again"
        + (f", because of {shut}" if shut.name else ""),
    )


def _notes(features: Features, asked: Asked, moves: Sequence[Change]) -> Iterator[str]:
    for change in moves:
        yield from (f"{change.feature} {line}" for line in effects(change))
    moved = {change.feature: change for change in moves}
    if asked.verb == FINALIZE and features.level(KRAFT) == 0 and KRAFT not in moved:
        yield (
            f"{KRAFT} stays 0: it makes a static quorum dynamic, for good (KAFKA-18979,"
            f" KAFKA-21426); only --feature {KRAFT}=1 raises it"
        )
    if ELR in moved and moved[ELR].raises:
        differ = [
            f"broker {n} {v}" for n, v in features.min_isr_of.items() if v != features.min_isr
        ]
        yield (
            f"{ELR}: min.insync.replicas is {features.min_isr} for every broker from then on"
            + (f"; now {', '.join(differ[:5])}" if differ else "")
        )
    if METADATA in moved and not moved[METADATA].raises:
        yield (
            "lower the level before the software; a node that starts with older software must find"
            " a snapshot of the metadata that was taken since"
        )
    yield from map(ghosts.words, features.ghosts)
    for node in features.nodes:
        if node.member and node.supports is None:
            yield f"{node.name} could not be asked what it supports: {node.why}"
    if ghosts.unlisted(features):
        yield ghosts.unlisted(features)
