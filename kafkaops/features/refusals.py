"""What speaks against a change of levels, before and after the controller was asked. Pure.

Invariant: what is refused here is refused before anything changed, by name: the level, the node,
and where one exists the way out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from kafkaops.config.accepting import GHOST
from kafkaops.engine.errors import GuardRefused
from kafkaops.features import asking, ghosts, levels
from kafkaops.features.asking import Change
from kafkaops.features.levels import ELR, GROUP, KRAFT, METADATA, SHARE, STREAMS
from kafkaops.model.cluster import Group
from kafkaops.model.features import FeatureNode, Features

REGISTERED_FROM = 15
"""3.7-IV0: from this metadata.version on the controller itself asks every registered one."""
GROUPS = {GROUP: "consumer", SHARE: "share", STREAMS: "streams"}
"""A feature to the kind of group that is served only while it is on."""
_NAMED = re.compile(r"\b(controller|broker)\s*(\d+)\b", re.IGNORECASE)


def refuse(features: Features, moves: Sequence[Change], groups: Collection[Group] = ()) -> None:
    """GuardRefused with the first reason that the cluster's own figures give."""
    for why in _reasons(features, moves, groups):
        raise why


def _reasons(
    features: Features, moves: Sequence[Change], groups: Collection[Group]
) -> Iterator[GuardRefused]:
    yield from _unsupported(features, moves)
    for change in moves:
        if change.raises:
            yield from _upward(features, change)
        else:
            yield from _downward(features, change, groups)


def _unsupported(features: Features, moves: Sequence[Change]) -> Iterator[GuardRefused]:
    found = list(asking.too_much(features, moves))
    if not found:
        return
    change, node = found[0]
    names = ", ".join(n.name for c, n in found if c == change)
    held = node.range(change.feature)
    assert held is not None
    newest = asking.common_release(features)
    above = change.new > held.max
    bound = levels.words(change.feature, held.max if above else held.min)
    yield GuardRefused(
        "KO-FEATURE-UNSUPPORTED",
        f"{names} cannot run {change.feature} {levels.words(change.feature, change.new)}: its"
        f" software supports {'at most' if above else 'at least'} {bound}",
        where=node.name,
        hint="change its software first"
        + (f"; all nodes could run --to {newest} now" if newest and above else ""),
    )


def _upward(features: Features, change: Change) -> Iterator[GuardRefused]:
    if change.feature == ELR and features.min_isr is None:
        values = sorted(set(features.min_isr_of.values()))
        yield GuardRefused(
            "KO-FEATURE-ELR-MIN-ISR",
            f"{ELR} deletes min.insync.replicas of single brokers, and it is not set for the whole"
            f" cluster; the brokers now apply {', '.join(values) or 'what nobody could read'}",
            hint="set it first: kafka-configs.sh --alter --entity-type brokers --entity-default"
            f" --add-config min.insync.replicas={values[0] if len(values) == 1 else 'N'};"
            f" or leave it out: --feature {ELR}=0",
        )
    unseen = [n for n in features.nodes if n.controller and n.supports is None and n.member]
    if change.feature == METADATA and change.old < REGISTERED_FROM and unseen:
        yield GuardRefused(
            "KO-FEATURE-UNSEEN",
            f"{unseen[0].name} could not be asked what it supports ({unseen[0].why}), and below"
            f" {levels.words(METADATA, REGISTERED_FROM)} Kafka does not ask it either: a"
            " controller of older software would die of the new level",
            where=unseen[0].name,
            hint="let this machine reach the controllers' listener",
        )


def _downward(
    features: Features, change: Change, groups: Collection[Group]
) -> Iterator[GuardRefused]:
    shut = levels.barrier(change.feature, change.old, change.new)
    if shut is not None:
        lowest = levels.floor(change.feature, change.old)
        why = (
            "which changed what the metadata log holds"
            if change.feature == METADATA
            else "for Kafka has no way back from it"
        )
        yield GuardRefused(
            "KO-FEATURE-NO-WAY-BACK",
            f"{change.feature} cannot be lowered from {levels.words(change.feature, change.old)} to"
            f" {levels.words(change.feature, change.new)}: that became impossible with"
            f" {shut} of release {shut.release}, {why}",
            hint="Kafka itself refuses it, unsafe or not"
            + (
                f"; the lowest that is left is {levels.words(change.feature, lowest)}"
                if lowest < change.old
                else ""
            ),
        )
    kraft = levels.known(KRAFT, features.level(KRAFT))
    if change.feature == METADATA and kraft is not None and change.new < kraft.since:
        yield GuardRefused(
            "KO-FEATURE-NO-WAY-BACK",
            f"{KRAFT} is {kraft.level} and cannot be lowered; software of before"
            f" {kraft.release} does not know it",
            hint=f"--to {kraft.release} or later",
        )
    kind = GROUPS.get(change.feature)
    living = sorted(g.id for g in groups if g.kind == kind and g.members)
    if kind is not None and change.new == 0 and living:
        more = f" and {len(living) - 5} more" if len(living) > 5 else ""
        yield GuardRefused(
            "KO-FEATURE-IN-USE",
            f"{change.feature} serves {len(living)} groups with members:"
            f" {', '.join(living[:5])}{more}",
            hint=f"stop the members of these {kind} groups, or move them to the classic protocol",
        )


def judged(features: Features, said: str) -> GuardRefused:
    """The controller's refusal of a trial, with the node that it names looked at: one that is
    registered and takes no part (a ghost) is the reason that nobody finds."""
    named = _NAMED.search(said)
    ghost = _ghost(features, named[1].lower(), int(named[2])) if named else None
    if ghost is None:
        return GuardRefused(
            "KO-FEATURE-REFUSED",
            f"the controller would refuse it: {said}",
            hint="kafkaops features show",
        )
    return GuardRefused(
        GHOST,
        f"{ghost.name} is registered and takes no part in the cluster, and blocks it: {said}",
        where=ghost.name,
        hint=ghosts.cure(ghost),
    )


def _ghost(features: Features, kind: str, node: int) -> FeatureNode | None:
    """The named node, if it takes no part; a controller that nobody shows is one too."""
    same = [
        n for n in features.nodes if n.id == node and (n.controller if kind[0] == "c" else n.broker)
    ]
    if same:
        return next((n for n in same if not n.member), None)
    return FeatureNode(node, broker=kind[0] == "b", controller=kind[0] == "c", member=False)
