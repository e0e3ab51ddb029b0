"""One comparison from beginning to end: do two clusters hold the same records?

Invariant: every partition asked for is in the result, proven or with its differences named.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import StepFailed, TimedOut
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.log_reader import LogReader
from kafkaops.ports.verification import Difference, PartitionProof
from kafkaops.verify.compacted import Compacted
from kafkaops.verify.comparison import SOURCE, TARGET, Comparison, Part
from kafkaops.verify.following import Follower
from kafkaops.verify.sequence import Sequence

LOOK = 0.02  # seconds between two looks at how far it is
TELL = 0.5  # seconds between two calls of progress


@dataclass(frozen=True)
class Result:
    """`proofs` of every partition without a difference; `records` compared a side; `seconds` it
    took. `parts` hold the offset maps, for translating positions."""

    proofs: Mapping[TopicPartition, PartitionProof]
    differences: tuple[Difference, ...]
    records: int
    seconds: float
    parts: Mapping[TopicPartition, Part] = field(default_factory=dict, repr=False)

    @property
    def equal(self) -> bool:
        return not self.differences


@dataclass(frozen=True)
class Seen:
    """How far a comparison is: records compared a side, source offsets left, records/s."""

    records: int
    left: int
    rate: float


def new_part(
    tp: TopicPartition, compacted: bool, source_start: int, target_start: int, *, exact: bool
) -> Part:
    """`exact`: the two starts are known to belong together (see `Sequence`)."""
    if compacted:
        return Compacted(tp, source_start, target_start)
    return Sequence(tp, source_start, target_start, exact=exact)


def verify_clusters(
    source: LogReader,
    target: LogReader,
    topics: Mapping[str, tuple[int, bool]],
    clock: Clock,
    *,
    progress: Callable[[Seen], None] | None = None,
    ends: Mapping[TopicPartition, int] | None = None,
    patience: float = 3.0,
    timeout: float | None = None,
) -> Result:
    """Compare all records of `topics` (name -> partitions, compacted) that are stable now.

    `ends` gives exact source ends to compare to instead. The target may still be filled by a
    mirror: records that it lacks are missing only when it did not grow for `patience` seconds.
    TimedOut past `timeout` seconds; StepFailed for what cannot be compared; what the readers
    raise. Neither reader is closed.
    """
    tps = [TopicPartition(t, p) for t, (n, _) in sorted(topics.items()) for p in range(n)]
    there = target.bounds(tps)  # before the source: what is on the target came from before
    here = source.bounds(tps)
    goal = {tp: here[tp].stable for tp in tps} if ends is None else dict(ends)
    comparison = Comparison(clock)
    for tp in tps:
        part = new_part(tp, topics[tp.topic][1], here[tp].start, there[tp].start, exact=False)
        part.sides[SOURCE].learn(here[tp])
        comparison.cover(part)
    if ends is not None:
        comparison.limit(ends)
    followers = (
        Follower(comparison, SOURCE, source, eager=True),
        Follower(comparison, TARGET, target, eager=True),
    )
    followers[0].other, followers[1].other = followers[1], followers[0]
    begun = clock.monotonic()
    for follower in followers:
        follower.start()
    try:
        _finish(comparison, followers, goal, there, clock, progress, patience, timeout)
    finally:
        for follower in followers:
            follower.ask_stop()
        for follower in followers:
            follower.join()
    seconds = clock.monotonic() - begun
    if comparison.faults:
        raise StepFailed("KO-VERIFY-FORMAT", "; ".join(comparison.faults[:3]))
    differences = comparison.differences()
    wrong = {d.tp for d in differences}
    parts = {tp: found for tp in tps if (found := comparison.part(tp)) is not None}
    proofs = {
        tp: part.proof(max(goal[tp], part.sides[SOURCE].start), part.sides[TARGET].compared)
        for tp, part in parts.items()
        if tp not in wrong
    }
    return Result(proofs, differences, comparison.records, seconds, parts)


def _finish(
    comparison: Comparison,
    followers: tuple[Follower, Follower],
    goal: Mapping[TopicPartition, int],
    there: Mapping[TopicPartition, Ends],
    clock: Clock,
    progress: Callable[[Seen], None] | None,
    patience: float,
    timeout: float | None,
) -> None:
    """Until every partition is settled, stopped or judged."""
    open_ = set(goal)
    begun = told = clock.monotonic()
    wait = threading.Event()
    while open_:
        open_ = {tp for tp in open_ if not _done(comparison, tp, goal[tp], there[tp])}
        now = clock.monotonic()
        for tp in list(open_):
            if _still(comparison, tp, goal[tp], there[tp], now, begun, patience):
                comparison.judge(tp, target_whole=True, complete=True)
                open_.discard(tp)
        if progress is not None and (now - told >= TELL or not open_):
            told = now
            progress(Seen(comparison.records, comparison.behind, _rate(comparison, now - begun)))
        for follower in followers:
            if follower.failure is not None and now - begun > patience:
                raise follower.failure
        if timeout is not None and now - begun > timeout:
            names = ", ".join(map(str, sorted(open_)[:5]))
            raise TimedOut(
                "KO-VERIFY-TIMEOUT",
                f"not compared to the end in {timeout:.0f} s: {names}",
                hint="is the mirror running?",
            )
        if open_:
            wait.wait(LOOK)


def _rate(comparison: Comparison, seconds: float) -> float:
    return comparison.records / seconds if seconds > 0 else 0.0


def _done(comparison: Comparison, tp: TopicPartition, goal: int, there: Ends) -> bool:
    part = comparison.part(tp)
    if part is None or part.stopped:
        return True
    source, target = part.sides
    if source.position < goal or target.position < there.stable:
        return False
    if part.compacted:
        return part.settled(goal)
    return source.compared >= goal and target.compared >= there.stable


def _still(
    comparison: Comparison,
    tp: TopicPartition,
    goal: int,
    there: Ends,
    now: float,
    begun: float,
    patience: float,
) -> bool:
    """Both sides are read to their ends and the target has not grown for a while."""
    part = comparison.part(tp)
    if part is None:
        return True
    source, target = part.sides
    return (
        source.position >= goal
        and target.position >= there.stable
        and target.at_end
        and now - max(target.grown, begun) >= patience
    )
