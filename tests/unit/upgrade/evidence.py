"""What the refusals look at, of a pair with nothing to complain about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kafkaops.config.schema import Config
from kafkaops.model.cluster import ClusterState, ProducerState, ScramUser
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.names import Record
from kafkaops.upgrade.refusals import Evidence, find
from tests.unit.upgrade.states import config, green, state, topic

TP = TopicPartition("t", 0)
BOB = ScramUser("bob", "SCRAM-SHA-512", 4096)
NOW_MS = 1_000_000_000  # `taken` of states()
RECORDS = (
    Record("boot.k", "A", 60, ("10.1.0.1", "10.1.0.2", "10.1.0.3")),
    *(Record(f"b{n}.k", "A", 60, (f"10.1.0.{n}",)) for n in (1, 2, 3)),
)


def producer(pid: int = 7, txn_start: int = -1, last: int = NOW_MS) -> ProducerState:
    return ProducerState(TP, pid, 0, 5, last, txn_start)


def evidence(
    blue: ClusterState | None = None, other: ClusterState | None = None, **more: Any
) -> Evidence:
    """A pair with nothing to complain about, unless told otherwise."""
    values: dict[str, Any] = {
        "records": RECORDS, "green_ends": {}, "blue_producers": (producer(),),
        "green_producers": (), **more,
    }  # fmt: skip
    return Evidence(blue or state(topic("t")), other or green(), **values)


def codes(seen: Evidence, wanted: Config | None = None) -> dict[str, str]:
    """Codes that block, with their subjects."""
    return {f.code: f.subject for f in find(seen, wanted or config()) if f.blocks}


def with_broker(base: ClusterState, node: int, **changes: Any) -> ClusterState:
    return replace(
        base,
        brokers=tuple(replace(b, **changes) if b.id == node else b for b in base.brokers),
    )
