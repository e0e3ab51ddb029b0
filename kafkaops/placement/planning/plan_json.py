"""A placement as JSON: a summary with every change, and the file of moves that `apply` reads.

Invariant: `moves_of(file_of(p)) == (p.moves, p.dir_moves)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.model.partition import TopicPartition
from kafkaops.placement.moves import DirMove, Move
from kafkaops.placement.planning.plan import Placement

KIND = "placement-moves"


def summary(placement: Placement, *, changes: bool = True) -> dict[str, Any]:
    """Figures of a plan: `moves` are replicas copied, `partitions_changed` counts new orders too.
    `bound` and `gap` are in the unit of the objective."""
    found: dict[str, Any] = {
        "cluster_id": placement.cluster_id,
        "goals": placement.goals.to_json(),
        "objective": placement.objective.value,
        "moves": placement.replicas_moved,
        "bytes_moved": placement.bytes_moved,
        "leaders_changed": placement.leaders_changed,
        "partitions_changed": len(placement.moves),
        "cost": placement.cost,
        "bound": placement.bound,
        "gap": placement.gap,
        "proof": placement.proof,
        "closed_form": placement.closed_form,
        "violations": {"before": placement.before.count, "after": placement.after.count},
        "brokers": [
            {
                "id": b.id, "rack": b.rack, "live": b.live, "emptied": b.emptied,
                "now": vars(b.now), "after": vars(b.after),
            }
            for b in placement.brokers
        ],
        "notes": list(placement.notes),
    }  # fmt: skip
    if changes:
        found["changes"] = [_move(m) for m in placement.moves]
        found["dir_moves"] = [_dir(d) for d in placement.dir_moves]
    return found


def file_of(placement: Placement) -> dict[str, Any]:
    """What `placement plan --out` saves and `placement apply FILE` carries out: every move with the
    state before it."""
    return {
        "schema_version": 1,
        "kind": KIND,
        "cluster_id": placement.cluster_id,
        "goals": placement.goals.to_json(),
        "cost": placement.cost,
        "bound": placement.bound,
        "proof": placement.proof,
        "moves": [_move(m) for m in placement.moves],
        "dir_moves": [_dir(d) for d in placement.dir_moves],
    }


def moves_of(document: Any) -> tuple[tuple[Move, ...], tuple[DirMove, ...]]:
    """The moves of such a file. ValueError: it is none, or a row cannot be read, named."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise ValueError(f"not a file of moves (no kind: {KIND})")
    if document.get("schema_version") != 1:
        raise ValueError(f"schema_version is {document.get('schema_version')}, not 1")
    found: list[Any] = []
    for name, read in (("moves", _read_move), ("dir_moves", _read_dir)):
        rows = []
        for i, row in enumerate(document.get(name, ())):
            try:
                rows.append(read(row))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{name}[{i}] cannot be read: {error}") from None
        found.append(tuple(rows))
    return found[0], found[1]


def _move(move: Move) -> dict[str, Any]:
    return {
        "topic": move.tp.topic,
        "partition": move.tp.partition,
        "before": list(move.before),
        "after": list(move.after),
        "bytes": move.bytes,
    }


def _dir(move: DirMove) -> dict[str, Any]:
    return {
        "topic": move.tp.topic,
        "partition": move.tp.partition,
        "broker": move.broker,
        "source": move.source,
        "target": move.target,
        "bytes": move.bytes,
    }


def _read_move(row: Any) -> Move:
    tp = TopicPartition(str(row["topic"]), int(row["partition"]))
    before, after = (tuple(int(b) for b in row[k]) for k in ("before", "after"))
    return Move(tp, before, after, int(row["bytes"]))


def _read_dir(row: Any) -> DirMove:
    tp = TopicPartition(str(row["topic"]), int(row["partition"]))
    source, target = str(row["source"]), str(row["target"])
    return DirMove(tp, int(row["broker"]), source, target, int(row["bytes"]))
