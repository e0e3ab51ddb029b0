"""Moves out of a file: Kafka's own reassignment JSON, or what a plan of ours gives as JSON. Pure.

Invariant: what the file says of the state before is kept, so that drift shows; Kafka's format says
nothing of it, and then it is what the cluster shows now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kafkaops.engine.errors import UsageFault
from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying.standing import partitions
from kafkaops.placement.moves import DirMove, Move

Moves = tuple[tuple[Move, ...], tuple[DirMove, ...]]


def read(document: Any, state: ClusterState) -> Moves:
    """UsageFault KO-PLACEMENT-FILE: neither format, a partition twice, a broker twice in one, or
    one that the cluster does not have; or moves of another cluster."""
    of = document.get("cluster_id") if isinstance(document, Mapping) else None
    if of and of != state.cluster_id:
        raise _fault(f"it is of cluster {of}, and this is {state.cluster_id}")
    if isinstance(document, Mapping) and isinstance(document.get("moves"), list):
        moves = tuple(_row(row, state) for row in document["moves"])
        dirs = tuple(_dir(row) for row in document.get("dir_moves") or ())
    elif isinstance(document, Mapping) and isinstance(document.get("partitions"), list):
        moves, dirs = tuple(_row(row, state) for row in document["partitions"]), ()
    else:
        raise _fault("it has neither a list of moves nor one of partitions")
    counted = Counter(m.tp for m in moves)
    for tp, count in sorted(counted.items()):
        if count > 1:
            raise _fault(f"{tp} is in it {count} times")
    up = {b.id for b in state.brokers}
    for move in moves:
        for broker in move.adding:
            if broker not in up:
                raise _fault(f"{move.tp} is to be on broker {broker}, which is not up")
    return tuple(m for m in moves if m.before != m.after), dirs


def _row(row: Any, state: ClusterState) -> Move:
    """One partition of either format: `replicas`, or `before` and `after`."""
    tp = _partition(row)
    found = partitions({tp.topic: state.topics[tp.topic]}) if tp.topic in state.topics else {}
    if tp not in found:
        raise _fault(f"the cluster has no {tp}")
    after = row.get("after", row.get("replicas"))
    before = row.get("before", list(found[tp].replicas))
    for replicas in (before, after):
        if not isinstance(replicas, list) or not all(type(b) is int for b in replicas):
            raise _fault(f"{tp}: {replicas!r} is no list of broker ids")
    try:
        return Move(tp, tuple(before), tuple(after), state.replica_bytes.get(tp, 0))
    except ValueError as error:
        raise _fault(str(error)) from None


def _dir(row: Any) -> DirMove:
    tp = _partition(row)
    try:
        source, target = str(row["source"]), str(row["target"])
        return DirMove(tp, int(row["broker"]), source, target, int(row.get("bytes", 0)))
    except (KeyError, TypeError, ValueError):
        raise _fault(f"{tp}: broker, source and target are wanted") from None


def _partition(row: Any) -> TopicPartition:
    inner = row.get("tp", row) if isinstance(row, Mapping) else {}
    named = inner if isinstance(inner, Mapping) else {}
    topic, number = named.get("topic"), named.get("partition")
    if not isinstance(topic, str) or type(number) is not int:
        raise _fault(f"{row!r} names no topic and partition")
    return TopicPartition(topic, number)


def _fault(why: str) -> UsageFault:
    return UsageFault(
        "KO-PLACEMENT-FILE",
        f"not moves that can be carried out: {why}",
        hint='as kafka-reassign-partitions has it: {"version":1,"partitions":[{"topic":"t",'
        '"partition":0,"replicas":[1,2,3]}]}',
    )
