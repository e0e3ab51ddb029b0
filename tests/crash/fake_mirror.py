"""A mirror and a comparison between two in-memory clusters, for crash tests of whole plans."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kafkaops.engine.errors import Mismatch, TimedOut
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.connect import ConnectorState, TaskState, WorkerFound
from kafkaops.ports.verification import Difference, PartitionProof, VerifyStatus
from tests.crash.fake_kafka import FakeCluster


class FakeConnect:
    """A worker with one connector, which copies when `pump` is called while it runs."""

    def __init__(self, source: FakeCluster, target: FakeCluster, up: Callable[[], bool]) -> None:
        self.source, self.target, self.up = source, target, up
        self.name = ""
        self.state = ""
        self.settings: dict[str, str] = {}
        self.at: dict[TopicPartition, int] = {}  # next source offset
        self.failed = False  # its task: nothing is copied until it is restarted
        self.where = f"http://{target.name}:8083"
        self.taken = False  # by somebody else: something listens there
        self.theirs: WorkerFound | None = None  # and answers as Connect

    def pump(self, most: int = 5) -> None:
        if not self.up() or self.state != "RUNNING" or self.failed:
            return
        for tp, log in self.source.logs.items():
            if tp not in self.target.logs or tp.topic.startswith("kafkaops-"):
                continue
            begin = self.at.get(tp, 0)
            batch = [v for v in log[begin : begin + most] if v is not None]
            if batch:
                self.target.logs[tp].extend([*batch, None])
            self.at[tp] = min(len(log), begin + most)

    def ready(self) -> bool:
        return self.up() or self.theirs is not None

    def listens(self) -> bool:
        return self.up() or self.taken or self.theirs is not None

    def who(self) -> WorkerFound | None:
        if self.theirs is not None:
            return self.theirs
        ours = (self.name,) if self.name else ()
        return WorkerFound("4.3.1", self.target.id, ours) if self.up() else None

    def status(self, name: str) -> ConnectorState | None:
        if name != self.name:
            return None
        word = "FAILED" if self.failed else self.state
        tasks = (TaskState(0, word),) if self.state == "RUNNING" else ()
        return ConnectorState(name, self.state, tasks)

    def config(self, name: str) -> Mapping[str, str] | None:
        return dict(self.settings) if name == self.name else None

    def validate(self, plugin: str, config: Mapping[str, str]) -> tuple[str, ...]:
        return ()

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        if name != self.name:
            self.name, self.state = name, "STOPPED" if stopped else "RUNNING"
        self.settings = dict(config)

    def stop(self, name: str) -> None:
        self.state = "STOPPED"

    def resume(self, name: str) -> None:
        if name == self.name:
            self.state = "RUNNING"

    def restart_failed(self, name: str) -> None:
        self.failed = False

    def delete(self, name: str) -> None:
        if name == self.name:
            self.name, self.state, self.settings = "", "", {}  # its offsets stay

    def offsets(self, name: str) -> Mapping[TopicPartition, int]:
        return {tp: at - 1 for tp, at in self.at.items() if at > 0}

    def set_offsets(
        self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]
    ) -> None:
        assert self.state == "STOPPED", "Connect takes offsets of a stopped connector only"
        self.at = {tp: offset + 1 for tp, offset in offsets.items()}

    def reset_offsets(self, name: str) -> None:
        assert self.state == "STOPPED", "Connect takes offsets of a stopped connector only"
        self.at = {}

    def raw(self, path: str) -> Any:
        return {}


class FakeVerification:
    """Compares the in-memory logs from where each side begins."""

    def __init__(
        self,
        source: FakeCluster,
        target: FakeCluster,
        clock: Any,
        begin: Callable[[], Mapping[TopicPartition, tuple[int, int]]],
    ) -> None:
        self.source, self.target, self.clock, self.begin = source, target, clock, begin

    def _pair(self, tp: TopicPartition, end: int | None = None) -> tuple[list[int], list[int]]:
        s0, t0 = self.begin().get(tp, (0, 0))
        return self.source.visible(tp, s0, end), self.target.visible(tp, t0)

    def _parts(self) -> list[TopicPartition]:
        return sorted(
            tp
            for tp in self.source.logs
            if tp in self.target.logs and not tp.topic.startswith("kafkaops-")
        )

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def pin(self, partitions: Collection[TopicPartition]) -> None: ...

    def status(self) -> VerifyStatus:
        behind, records, found = 0, 0, []
        for tp in self._parts():
            ours, theirs = self._pair(tp)
            both = min(len(ours), len(theirs))
            records += both
            behind += len(ours) - both
            for a, b in zip(ours, theirs, strict=False):
                if self.source.logs[tp][a] != self.target.logs[tp][b]:
                    found.append(Difference(tp, "altered", a, b))
                    break
            if len(theirs) > len(ours):
                found.append(Difference(tp, "extra", -1, theirs[len(ours)]))
        return VerifyStatus(len(self._parts()), records, behind, 1.0, tuple(found))

    def seal(
        self, ends: Mapping[TopicPartition, int], *, timeout: float
    ) -> Mapping[TopicPartition, PartitionProof]:
        deadline = self.clock.monotonic() + timeout
        while True:
            status = self.status()
            if status.differences:
                raise Mismatch("KO-VERIFY-DIFFERS", str(status.differences[0]))
            pairs = {tp: self._pair(tp, end) for tp, end in ends.items()}
            if all(len(ours) == len(theirs) for ours, theirs in pairs.values()):
                break
            if self.clock.monotonic() > deadline:
                raise TimedOut("KO-VERIFY-BEHIND", "the target has not every record yet")
            self.clock.sleep(0.05)
        starts = self.begin()
        return {
            tp: PartitionProof(
                tp,
                len(ours),
                "00",
                starts.get(tp, (0, 0))[0],
                ends[tp],
                starts.get(tp, (0, 0))[1],
                len(self.target.logs[tp]),
            )
            for tp, (ours, _) in pairs.items()
        }

    def _translate(
        self, positions: Mapping[TopicPartition, int], *, back: bool
    ) -> Mapping[TopicPartition, int]:
        found = {}
        for tp, position in positions.items():
            ours, theirs = self._pair(tp)
            here, there = (theirs, ours) if back else (ours, theirs)
            end = len((self.source if back else self.target).logs[tp])
            index = sum(1 for at in here if at < position)
            found[tp] = there[index] if index < len(there) else end
        return found

    def translate(self, positions: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        return self._translate(positions, back=False)

    def translate_back(
        self, positions: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        return self._translate(positions, back=True)
