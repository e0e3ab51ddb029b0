"""Kafka's own formats: a reassignment file (KIP-455's tool, `kafka-reassign-partitions`), and a
list of brokers with their racks.

Invariant: what is read is what is written, and a partition or a broker named twice is refused with
its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kafkaops.engine.errors import UsageFault
from kafkaops.model.partition import MOST, legal
from kafkaops.placement.moves import Move
from kafkaops.placement.planning.table import Row


def assignment(document: Any, where: str = "") -> list[Row]:
    """Rows of `{"version":1,"partitions":[{"topic":…,"partition":…,"replicas":[…]}]}`; every
    replica counts as in sync."""
    if not isinstance(document, Mapping) or not isinstance(document.get("partitions"), list):
        raise _broken('no list "partitions"', where)
    version = document.get("version", 1)
    if type(version) is not int or version != 1:
        raise _broken(f"version {version!r} is not 1", where)
    rows: list[Row] = []
    seen: set[tuple[str, int]] = set()
    for i, entry in enumerate(document["partitions"]):
        topic, number, replicas = _entry(entry, i, where)
        if (topic, number) in seen:
            raise _broken(f"{topic}-{number} is there twice", where)
        if len(set(replicas)) != len(replicas):
            twice = next(b for b in replicas if replicas.count(b) > 1)
            raise _broken(f"{topic}-{number} names broker {twice} twice in {replicas}", where)
        seen.add((topic, number))
        rows.append((topic, number, tuple(replicas), tuple(replicas)))
    return rows


def _entry(entry: Any, i: int, where: str) -> tuple[str, int, list[int]]:
    if not isinstance(entry, Mapping):
        raise _broken(f"partitions[{i}] is not a mapping", where)
    topic, number, replicas = (entry.get(k) for k in ("topic", "partition", "replicas"))
    if not isinstance(topic, str) or not topic:
        raise _broken(f"partitions[{i}] names no topic", where)
    if not legal(topic):
        raise _broken(f"partitions[{i}]: no topic can be called {topic!r}", where)
    if type(number) is not int or not _in_range(number):
        raise _broken(f"partitions[{i}] of {topic}: partition {number!r} is no number", where)
    if not isinstance(replicas, list) or not replicas:
        raise _broken(f"{topic}-{number} has no replicas", where)
    for broker in replicas:
        if not _in_range(broker):
            raise _broken(f"{topic}-{number} has replica {broker!r}, which is no broker id", where)
    return topic, number, replicas


def brokers(document: Any, where: str = "") -> dict[int, str | None]:
    """Racks by broker id of `[{"id":…,"rack":…}]`; no rack is None."""
    if not isinstance(document, list):
        raise _broken("not a list of brokers", where)
    racks: dict[int, str | None] = {}
    for i, entry in enumerate(document):
        if not isinstance(entry, Mapping) or "id" not in entry:
            raise _broken(f"entry {i} has no id", where)
        if not _in_range(entry["id"]):
            raise _broken(f"entry {i}: {entry['id']!r} is no broker id", where)
        rack = entry.get("rack")
        if rack is not None and not isinstance(rack, str):
            raise _broken(f"broker {entry['id']}: rack {rack!r} is not a name", where)
        if entry["id"] in racks:
            raise _broken(f"broker {entry['id']} is there twice", where)
        racks[entry["id"]] = rack or None
    return racks


def reassignment(moves: Iterable[Move], *, back: bool = False) -> dict[str, Any]:
    """The same format for moves; `back` gives the way back, replicas as they were."""
    return {
        "version": 1,
        "partitions": [
            {
                "topic": m.tp.topic,
                "partition": m.tp.partition,
                "replicas": list(m.before if back else m.after),
            }
            for m in moves
        ],
    }


def _in_range(number: Any) -> bool:
    return type(number) is int and 0 <= number <= MOST


def _broken(what: str, where: str) -> UsageFault:
    return UsageFault(
        "KO-PLACEMENT-JSON",
        f"{where or 'the document'} cannot be used: {what}",
        where=where,
        hint='A: {"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2]}]};'
        ' B: [{"id":1,"rack":"a"}]',
    )
