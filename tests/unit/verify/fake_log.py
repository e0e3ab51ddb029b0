"""A cluster's logs in memory, read as `ports.log_reader.LogReader` says."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.log_reader import Chunk
from tests.unit.verify.batches import Log, Rec


class FakeCluster:
    """`starts` are log starts (records before them are gone); `hanging` holds the LSO back."""

    def __init__(self, name: str, limit: int = 4096) -> None:
        self.name = name
        self.limit = limit
        self.logs: dict[TopicPartition, Log] = {}
        self.starts: dict[TopicPartition, int] = {}
        self.hanging: dict[TopicPartition, int] = {}
        self.closed = 0
        self.fetches = 0
        self._news = threading.Condition()
        self._woken = False

    def topic(self, name: str, partitions: int = 1) -> None:
        for p in range(partitions):
            self.logs.setdefault(TopicPartition(name, p), Log())

    def write(self, tp: TopicPartition, *records: Rec, producer: int = -1, codec: int = 0) -> None:
        with self._news:
            self.logs[tp].append(records, producer=producer, codec=codec)
            self._news.notify_all()

    def finish(self, tp: TopicPartition, producer: int, *, commit: bool) -> None:
        with self._news:
            self.logs[tp].finish(producer, commit=commit)
            self._news.notify_all()

    def ends(self, tp: TopicPartition) -> Ends:
        log = self.logs[tp]
        stable = min([self.hanging.get(tp, log.end), *(first for first, _ in log._open.values())])
        return Ends(self.starts.get(tp, 0), log.end, stable)

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        with self._news:
            missing = [tp for tp in partitions if tp not in self.logs]
            if missing:
                raise StepFailed("KO-CLUSTER-KAFKA", f"no such partition: {missing}")
            return {tp: self.ends(tp) for tp in partitions}

    def fetch(
        self, positions: Mapping[TopicPartition, int], *, max_wait: float, max_bytes: int
    ) -> list[Chunk]:
        with self._news:
            self.fetches += 1
            if not self._ready(positions) and not self._woken:
                self._news.wait(max_wait)
            self._woken = False
            return [self._chunk(tp, at) for tp, at in positions.items() if tp in self.logs]

    def _ready(self, positions: Mapping[TopicPartition, int]) -> bool:
        return any(
            at < self.ends(tp).stable or at < self.starts.get(tp, 0)
            for tp, at in positions.items()
            if tp in self.logs
        )

    def _chunk(self, tp: TopicPartition, at: int) -> Chunk:
        ends, log = self.ends(tp), self.logs[tp]
        if not ends.start <= at <= ends.high_watermark:
            return Chunk(tp, at, memoryview(b""), ends, lost=True)
        held = Log([b for b in log.batches if b[0] < ends.stable])
        data = held.bytes_from(at, self.limit) if at < ends.stable else b""
        return Chunk(tp, at, memoryview(data), ends, log.aborted_from(at))

    def wake(self) -> None:
        with self._news:
            self._woken = True
            self._news.notify_all()

    def close(self) -> None:
        self.closed += 1


A, B = TopicPartition("a", 0), TopicPartition("a", 1)
TOPICS: dict[str, tuple[int, bool]] = {"a": (2, False)}


def recs(first: int, count: int) -> list[Rec]:
    return [Rec(i, b"k%d" % (i % 7), b"value %d" % i) for i in range(first, first + count)]


def cluster(name: str, limit: int = 4096) -> FakeCluster:
    """A cluster with the empty topic `a` of two partitions."""
    made = FakeCluster(name, limit)
    made.topic("a", 2)
    return made


def fill(blue: FakeCluster, green: FakeCluster, count: int = 300) -> None:
    """The same records in both, in other batches."""
    for tp in (A, B):
        for at in range(0, count, 60):
            blue.write(tp, *recs(at, 60), codec=3)
        for at in range(0, count, 25):
            green.write(tp, *recs(at, 25))
