"""Ghosts: nodes that are registered and take no part in the cluster any more. Pure.

The controller asks every registered node before it raises a level, also one that is gone for good:
such a one blocks with what its old software supported. Source: strimzi#11039, KAFKA-20295; KIP-1312
for how a controller is unregistered, and from when on.
"""

from __future__ import annotations

from collections.abc import Collection

from kafkaops.features.asking import Change
from kafkaops.model.features import FeatureNode, Features

UNREGISTERED_FROM = "4.4"
"""The release from which on a controller can be unregistered (KIP-1312)."""


def words(ghost: FeatureNode) -> str:
    why = f": {ghost.why}" if ghost.why else ""
    return f"{ghost.name} is registered and takes no part in the cluster any more{why}"


def cure(ghost: FeatureNode) -> str:
    """How it stops to block."""
    if ghost.controller:
        return (
            "start it once more with the new software; before"
            f" {UNREGISTERED_FROM} a controller cannot be unregistered (KAFKA-20295, KIP-1312)"
        )
    return f"start it with the new software, or: kafka-cluster.sh unregister --id {ghost.id}"


def blocks(ghost: FeatureNode, moves: Collection[Change]) -> bool:
    """Whether it stands in the way of these levels. One that could not be asked may: it registered
    with the software of its time."""
    ranges = ((ghost.range(move.feature), move) for move in moves if move.raises)
    return any(held is None or move.new not in held for held, move in ranges)


def unlisted(features: Features) -> str:
    """Why nobody can tell of ghost controllers; "" where they were listed."""
    if not features.unseen:
        return ""
    return f"registered controllers could not be listed: {features.unseen}"
