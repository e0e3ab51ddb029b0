"""Proof that a fenced cluster stands still: nothing is appended any more, no transaction is open.

Invariant: a fence is believed only after two readings of every end offset, a window apart, were
equal; an open transaction is aborted first, for its marker would be written minutes later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import StepFailed
from kafkaops.model.cluster import ProducerState
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.cluster import Cluster

WINDOW = 0.25
"""Seconds between two readings that must be equal: many times what a request in flight takes."""
TRIES = 12


def reach(
    source: Cluster,
    parts: Collection[TopicPartition],
    clock: Clock,
    *,
    window: float = WINDOW,
    tries: int = TRIES,
) -> tuple[Mapping[TopicPartition, Ends], tuple[ProducerState, ...]]:
    """Abort what is open and wait for two equal readings; the ends, and the transactions aborted.

    StepFailed (KO-NOT-STILL) names the partitions that go on moving, or that keep a transaction
    open, after `tries` windows: then something writes past the fence.
    """
    aborted: list[ProducerState] = []
    before = source.ends(parts)
    moving: list[str] = []
    for _ in range(tries):
        begun = clock.monotonic()
        unstable = sorted(tp for tp, end in before.items() if end.stable < end.high_watermark)
        if unstable:
            aborted += abort_open(source, unstable)
        clock.sleep(max(0.0, window - (clock.monotonic() - begun)))
        now = source.ends(parts)
        moving = differing(before, now)
        if not moving:
            return now, tuple(aborted)
        before = now
    raise StepFailed(
        "KO-NOT-STILL",
        f"{len(moving)} partitions did not stand still within {window * tries:g} s: "
        + "; ".join(moving[:5]),
        where=source.name,
        hint="somebody writes past the fence: another listener, another address of a host, IPv6",
    )


def differing(
    before: Mapping[TopicPartition, Ends], now: Mapping[TopicPartition, Ends]
) -> list[str]:
    """Partitions that do not stand still, each with its last stable offset and high watermark of
    both readings: what was appended, what is new, and what has a transaction open."""
    return sorted(
        f"{tp} ({_shown(before.get(tp))} to {_shown(now[tp])})"
        for tp in now
        if now[tp].stable < now[tp].high_watermark
        or before.get(tp) is None
        or _moved(before[tp], now[tp])
    )


def abort_open(source: Cluster, parts: Collection[TopicPartition]) -> tuple[ProducerState, ...]:
    """Abort every open transaction on these partitions; what was aborted."""
    opened = tuple(p for p in source.producers(parts) if p.txn_start >= 0)
    for state in opened:
        source.abort_transaction(state)
    return opened


def _moved(before: Ends, now: Ends) -> bool:
    """Log start may move by retention, which is no write."""
    return (before.high_watermark, before.stable) != (now.high_watermark, now.stable)


def _shown(end: Ends | None) -> str:
    return "none" if end is None else f"{end.stable}/{end.high_watermark}"
