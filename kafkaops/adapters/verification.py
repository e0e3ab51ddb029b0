"""`ports.verification.Verification` in background threads: two that read, one that keeps house.

Invariant: what is known is on disk at most CHECKPOINT seconds old; while `seal` runs, nothing is
paced, and nothing at or after the ends it was given is compared.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.log_reader import LogReader
from kafkaops.ports.verification import PartitionProof, VerifyStatus
from kafkaops.verify import checkpoint, sealing
from kafkaops.verify.compare import new_part
from kafkaops.verify.comparison import SOURCE, TARGET, Comparison
from kafkaops.verify.following import Follower

CHECKPOINT = 10.0  # seconds between two checkpoints
REFRESH = 3.0  # seconds between two looks for new topics
TICK = 0.25  # seconds of housekeeping
WINDOW = 8.0  # seconds that the rate is measured over

Topics = Callable[[], Mapping[str, tuple[int, bool]]]
Starts = Callable[[], Mapping[TopicPartition, tuple[int, int]]]


class LogVerification:
    """`topics` gives name -> (partitions, compacted), `start_at` where comparing begins
    (source offset, target offset); partitions not in it begin at both logs' starts."""

    def __init__(
        self,
        source: LogReader,
        target: LogReader,
        topics: Topics,
        directory: Path,
        clock: Clock,
        *,
        start_at: Starts = dict,
    ) -> None:
        self._readers = (source, target)
        self._topics, self._directory, self._clock = topics, directory, clock
        self._start_at = start_at
        self._comparison = Comparison(clock)
        self._followers: tuple[Follower, Follower] | None = None
        self._keeper: threading.Thread | None = None
        self._stopping = threading.Event()
        self._control = threading.RLock()
        self._covering = threading.Lock()
        self._saving = threading.Lock()
        self._save_soon = threading.Event()
        self._waiting = ""  # topics that cannot be read yet, and why
        self._trouble = ""
        self._rates: deque[tuple[float, int]] = deque()
        self._seals: dict[TopicPartition, PartitionProof] = {}

    # -- running -------------------------------------------------------------

    def start(self) -> None:
        with self._control:
            if self._keeper is not None:
                return
            self._load()
            self._stopping = threading.Event()
            source, target = self._readers
            followers = (
                Follower(self._comparison, SOURCE, source),
                Follower(self._comparison, TARGET, target),
            )
            followers[0].other, followers[1].other = followers[1], followers[0]
            self._followers = followers
            self._keeper = threading.Thread(target=self._keep, name="verify-keeper", daemon=True)
            for follower in followers:
                follower.start()
            self._keeper.start()

    def stop(self) -> None:
        with self._control:
            if self._keeper is None or self._followers is None:
                return
            self._stopping.set()
            self._save_soon.set()
            for follower in self._followers:
                follower.ask_stop()
            for follower in self._followers:
                follower.join()
            self._keeper.join()
            self._keeper = self._followers = None
            self._save()
            for reader in self._readers:
                reader.close()

    def _load(self) -> None:
        parts = checkpoint.load(self._directory)
        if parts is None:
            return
        for part in parts:
            self._comparison.cover(part)

    def _save(self) -> None:
        comparison = self._comparison
        with self._saving:
            frozen = []
            for tp in sorted(comparison.covered):
                part = comparison.part(tp)
                if part is not None:
                    with comparison.locked(tp):
                        frozen.append(checkpoint.freeze(part))
            if frozen:
                checkpoint.save(self._directory, frozen)

    def _keep(self) -> None:
        """New topics, quiet differences, the rate, the checkpoint; errors are shown and tried
        again."""
        from kafkaops.verify.records import visible

        visible(b"", 0)  # the kernels are loaded now, not when somebody waits
        refreshed = saved = float("-inf")
        while not self._stopping.is_set():
            now = self._clock.monotonic()
            try:
                if now - refreshed >= REFRESH:
                    self._refresh()
                    refreshed = self._clock.monotonic()
                self._comparison.judge_quiet()
                self._sample(now)
                if now - saved >= CHECKPOINT or self._save_soon.is_set():
                    self._save_soon.clear()
                    self._save()
                    saved = self._clock.monotonic()
                self._trouble = ""
            except OpsError as error:
                self._trouble = error.message
            except Exception as error:
                self._trouble = f"{type(error).__name__}: {error}"
            self._save_soon.wait(TICK)

    def _refresh(self) -> None:
        topics = self._topics()
        wanted = {TopicPartition(t, p): c for t, (n, c) in topics.items() for p in range(n)}
        gone = self._comparison.covered - set(wanted)
        if gone and topics:
            self._comparison.drop({tp for tp in gone if tp.topic not in topics})
        self._cover({tp: c for tp, c in wanted.items() if tp not in self._comparison.covered})

    def _cover(self, partitions: Mapping[TopicPartition, bool]) -> None:
        """Find where these begin and compare them; what is not there yet is tried again."""
        if not partitions:
            self._waiting = ""
            return
        with self._covering:
            starts = dict(self._start_at())
            late: dict[str, str] = {}
            for topic in sorted({tp.topic for tp in partitions}):
                tps = [tp for tp in partitions if tp.topic == topic]
                try:
                    here = self._readers[SOURCE].bounds(tps)
                    there = self._readers[TARGET].bounds(tps)
                except StepFailed as error:
                    late[topic] = error.message
                    continue
                for tp in tps:
                    start = starts.get(tp, (here[tp].start, there[tp].start))
                    part = new_part(tp, partitions[tp], *start, exact=tp in starts)
                    part.sides[SOURCE].learn(here[tp])  # how far behind we are, from now on
                    self._comparison.cover(part)
            self._waiting = "; ".join(f"{t}: {why}" for t, why in sorted(late.items())[:3])

    def _sample(self, now: float) -> None:
        self._rates.append((now, self._comparison.records))
        while len(self._rates) > 2 and now - self._rates[0][0] > WINDOW:
            self._rates.popleft()

    # -- what is known -------------------------------------------------------

    def status(self) -> VerifyStatus:
        comparison = self._comparison
        rate = 0.0
        samples = list(self._rates)
        if len(samples) > 1 and samples[-1][0] > samples[0][0]:
            rate = (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
        return VerifyStatus(
            partitions=len(comparison.covered),
            records=comparison.records,
            behind=comparison.behind,
            rate=max(0.0, rate),
            differences=comparison.differences(),
            error="; ".join(e for e in (*comparison.faults, self._why()) if e),
            proofs=dict(self._seals),
        )

    def _why(self) -> str:
        """What stands in the way now, in words."""
        errors = [self._trouble, self._waiting, *(f.error for f in self._followers or ())]
        return "; ".join(e for e in errors if e)

    def translate(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        return self._translate(positions, back=False)

    def translate_back(
        self, positions: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        return self._translate(positions, back=True)

    def _translate(
        self, positions: Mapping[TopicPartition, int], *, back: bool
    ) -> dict[TopicPartition, int]:
        if not self._comparison.covered:
            self._load()
        missing = sorted(set(positions) - self._comparison.covered)
        if missing:
            raise StepFailed(
                "KO-VERIFY-NOT-COVERED",
                f"not compared, so not mapped: {', '.join(map(str, missing[:5]))}",
            )
        found: dict[TopicPartition, int] = {}
        for tp, offset in positions.items():
            part = self._comparison.part(tp)
            if part is None:
                continue
            with self._comparison.locked(tp):
                far = part.sides[TARGET if back else SOURCE].compared
                if self._keeper is None and offset > far:
                    raise StepFailed(
                        "KO-VERIFY-NOT-COVERED",
                        f"{tp} was compared up to offset {far} when it was last saved,"
                        f" and {offset} lies behind it",
                        hint="run the comparison again; it goes on from there",
                    )
                found[tp] = part.translate(offset, back=back)
        return found

    def pin(self, partitions: Collection[TopicPartition]) -> None:
        missing = sorted(set(partitions) - self._comparison.covered)
        if missing:
            topics = self._topics()
            self._cover({tp: topics.get(tp.topic, (0, False))[1] for tp in missing})

    # -- sealing -------------------------------------------------------------

    def seal(
        self, ends: Mapping[TopicPartition, int], *, timeout: float
    ) -> Mapping[TopicPartition, PartitionProof]:
        self.start()
        begun = self._clock.monotonic()
        self.pin(ends)
        followers = self._followers or ()
        for follower in followers:
            follower.hurry(True)
        self._comparison.limit(ends)
        try:
            proofs = sealing.seal(
                self._comparison,
                *self._readers,
                ends,
                clock=self._clock,
                deadline=begun + timeout,
                trouble=self._why,
            )
        finally:
            self._comparison.limit(None)
            for follower in followers:
                follower.hurry(False)
        self._seals.update(proofs)
        self._save_soon.set()  # not now: writers are waiting
        return proofs
