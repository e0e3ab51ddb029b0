"""Proving both sides equal up to agreed source ends, while writers wait.

Invariant: a proof is given only where every visible source record before the end is paired, and
the target's leader said, after that, that it holds nothing more and no open transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import DataGap, Mismatch, OpsError, StepFailed, TimedOut
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.log_reader import LogReader
from kafkaops.ports.verification import Difference, PartitionProof
from kafkaops.verify.compacted import Compacted
from kafkaops.verify.comparison import SOURCE, TARGET, Comparison

LOOK = 0.01  # seconds between two looks
STILL = 0.6  # seconds without growth after which a target that differs is judged


def seal(
    comparison: Comparison,
    source: LogReader,
    target: LogReader,
    ends: Mapping[TopicPartition, int],
    *,
    clock: Clock,
    deadline: float,
    trouble: Callable[[], str],
) -> dict[TopicPartition, PartitionProof]:
    """Proofs of all partitions in `ends`, which must be the comparison's limits already; others
    fill it meanwhile. Mismatch or DataGap with the differences named, StepFailed for what
    cannot be compared, TimedOut past `deadline` (monotonic) with what is behind."""
    begun = clock.monotonic()
    left = dict(ends)
    proofs: dict[TopicPartition, PartitionProof] = {}
    wait = threading.Event()
    while True:
        _refuse(comparison, source.name, ends)
        ready = [tp for tp, end in left.items() if _even(comparison, tp, end)]
        there = target.bounds(ready) if ready else {}
        for tp in ready:
            proof = _proven(comparison, tp, left[tp], there[tp])
            if proof is not None:
                proofs[tp] = proof
                del left[tp]
        if not left:
            return proofs
        _judge(comparison, left, clock.monotonic())
        if clock.monotonic() >= deadline:
            _refuse(comparison, source.name, ends)
            took = clock.monotonic() - begun
            raise TimedOut(
                "KO-VERIFY-BEHIND", f"not proven in {took:.0f} s: {_behind(comparison, left)}",
                hint=trouble(),
            )  # fmt: skip
        wait.wait(LOOK)


def _even(comparison: Comparison, tp: TopicPartition, end: int) -> bool:
    """As far as has been read, the sides are equal up to the end."""
    part = comparison.part(tp)
    if part is None:
        return False
    source, target = part.sides
    if source.position < end or not target.at_end or target.pending:
        return False
    with comparison.locked(tp):
        return part.settled(end)


def _proven(
    comparison: Comparison, tp: TopicPartition, end: int, there: Ends
) -> PartitionProof | None:
    """The proof, if the target holds nothing that was not read, nor an open transaction."""
    part = comparison.part(tp)
    if part is None:
        return None
    with comparison.locked(tp):
        target = part.sides[TARGET]
        done = there.stable == there.high_watermark == target.position and part.settled(end)
        return part.proof(end, there.high_watermark) if done else None


def _judge(comparison: Comparison, left: Mapping[TopicPartition, int], now: float) -> None:
    """Name what can only be a difference: the source is whole up to its end."""
    for tp, end in left.items():
        part = comparison.part(tp)
        if part is None or part.sides[SOURCE].position < end:
            continue
        target = part.sides[TARGET]
        still = target.at_end and now - target.grown >= STILL
        if isinstance(part, Compacted):
            with comparison.locked(tp):
                wrong = still and part.caught_up() and not part.settled(end)
            if wrong:
                comparison.judge(tp, target_whole=True, complete=True)
        elif target.pending:
            comparison.judge(tp, target_whole=still, complete=False)


def _refuse(comparison: Comparison, source: str, ends: Mapping[TopicPartition, int]) -> None:
    for tp, end in ends.items():
        part = comparison.part(tp)
        if part is not None and part.sides[SOURCE].newest >= end:
            raise Mismatch(
                "KO-VERIFY-PAST-END",
                f"{tp} on {source} has records after offset {end}",
                hint="something still writes there: the fence is not closed",
            )
    found = comparison.differences(ends)
    if found:
        raise refusal(found)
    if comparison.faults:
        raise StepFailed("KO-VERIFY-FORMAT", "; ".join(comparison.faults[:3]))


def _behind(comparison: Comparison, left: Mapping[TopicPartition, int]) -> str:
    words = []
    for tp, end in sorted(left.items())[:5]:
        part = comparison.part(tp)
        if part is None:
            words.append(f"{tp} is not compared")
            continue
        source, target = part.sides
        words.append(
            f"{tp} at source offset {source.compared} of {end}, target offset"
            f" {target.compared} of {target.high_watermark} (stable {target.stable})"
        )
    return "; ".join(words) + (f" and {len(left) - 5} more" if len(left) > 5 else "")


def refusal(found: Collection[Difference]) -> OpsError:
    """The error that differences mean: DataGap (21) where there is a gap, else Mismatch (20)."""
    shown = sorted(found, key=lambda d: (d.kind != "gap", d.tp, d.source_offset))
    words = "; ".join(
        f"{d.kind} in {d.tp} at source offset {d.source_offset}, target offset {d.target_offset}"
        f" ({d.detail})"
        for d in shown[:5]
    )
    more = f" (and {len(shown) - 5} more)" if len(shown) > 5 else ""
    if shown[0].kind == "gap":
        return DataGap("KO-VERIFY-GAP", f"records were gone before they were compared: {words}")
    return Mismatch("KO-VERIFY-DIFFERS", f"the clusters differ: {words}{more}")
