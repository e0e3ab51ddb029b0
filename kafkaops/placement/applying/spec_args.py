"""Moves as the arguments of a step: small, and the same after a JSON round trip. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kafkaops.model.partition import TopicPartition
from kafkaops.placement.moves import DirMove, Move


def of_moves(moves: Iterable[Move]) -> dict[str, list[Any]]:
    """By topic: `[partition, before, after, bytes]`."""
    found: dict[str, list[Any]] = {}
    for m in moves:
        row = [m.tp.partition, list(m.before), list(m.after), m.bytes]
        found.setdefault(m.tp.topic, []).append(row)
    return found


def moves_of(kept: Mapping[str, Any]) -> tuple[Move, ...]:
    return tuple(
        Move(TopicPartition(topic, int(p)), tuple(before), tuple(after), int(size))
        for topic, rows in kept.items()
        for p, before, after, size in rows
    )


def of_dirs(dirs: Iterable[DirMove]) -> list[list[Any]]:
    return [[d.tp.topic, d.tp.partition, d.broker, d.source, d.target, d.bytes] for d in dirs]


def dirs_of(kept: Iterable[Any]) -> tuple[DirMove, ...]:
    return tuple(
        DirMove(TopicPartition(topic, int(p)), int(broker), source, target, int(size))
        for topic, p, broker, source, target, size in kept
    )
