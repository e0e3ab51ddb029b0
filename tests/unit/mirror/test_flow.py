from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from kafkaops.config.schema import ClusterSpec, Config, Cutover, HostSpec, Mirror
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import StepFailed, TimedOut
from kafkaops.engine.step import State
from kafkaops.mirror import config as rendering
from kafkaops.mirror import flow
from kafkaops.model.partition import Ends, Partition, Topic, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.connect import Connect, ConnectorState, TaskState

A, B = TopicPartition("orders", 0), TopicPartition("orders", 1)


def cluster(colour: str, net: int) -> ClusterSpec:
    host = HostSpec(name=f"{colour}-1", node_id=1, address=f"10.0.{net}.1")
    return ClusterSpec(name=colour, bootstrap=(f"10.0.{net}.1:9094",), hosts=(host,))


CONFIG = Config(
    name="orders",
    blue=cluster("blue", 1),
    green=cluster("green", 2),
    mirror=Mirror(host="green-1", back_host="blue-1", exclude=("secret-*",)),
    cutover=Cutover(hosted_zone="Z1", alias="kafka.example.net"),
)


class FakeConnect:
    """A worker that does at once what it is told, and notes it."""

    def __init__(self) -> None:
        self.found: ConnectorState | None = None
        self.kept: dict[str, str] | None = None
        self.positions: dict[TopicPartition, int] = {}
        self.did: list[str] = []
        self.invalid: tuple[str, ...] = ()
        self.stops = True
        self.forgets = False

    def ready(self) -> bool:
        return True

    def status(self, name: str) -> ConnectorState | None:
        return self.found

    def config(self, name: str) -> Mapping[str, str] | None:
        return self.kept

    def validate(self, plugin: str, config: Mapping[str, str]) -> tuple[str, ...]:
        return self.invalid

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        self.did.append("put stopped" if stopped else "put")
        self.kept = {**config, "name": name}
        if self.found is None:
            tasks = () if stopped else (TaskState(0, "RUNNING"),)
            self.found = ConnectorState(name, "STOPPED" if stopped else "RUNNING", tasks)

    def stop(self, name: str) -> None:
        self.did.append("stop")
        if self.stops and self.found:
            self.found = replace(self.found, state="STOPPED", tasks=())

    def resume(self, name: str) -> None:
        self.did.append("resume")
        if self.found:
            self.found = replace(self.found, state="RUNNING", tasks=(TaskState(0, "RUNNING"),))

    def restart_failed(self, name: str) -> None:
        self.did.append("restart")

    def delete(self, name: str) -> None:
        self.did.append("delete")
        self.found = self.kept = None

    def offsets(self, name: str) -> Mapping[TopicPartition, int]:
        return self.positions

    def set_offsets(
        self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]
    ) -> None:
        assert self.found is not None
        assert self.found.state == "STOPPED"
        self.did.append(f"offsets of {source_alias}")
        if not self.forgets:
            self.positions |= dict(offsets)

    def reset_offsets(self, name: str) -> None:
        assert self.found is not None
        assert self.found.state == "STOPPED"
        self.did.append("reset")
        self.positions = {}

    def raw(self, path: str) -> Any:
        return None


@pytest.fixture
def connect() -> FakeConnect:
    return FakeConnect()


def state(connect: FakeConnect) -> State:
    return flow.state(cast(Connect, connect), "forward", CONFIG)


def ensure(connect: FakeConnect) -> None:
    flow.ensure(cast(Connect, connect), "forward", CONFIG)


def test_absent_begun_done(connect: FakeConnect) -> None:
    assert state(connect) is State.TODO
    ensure(connect)
    assert state(connect) is State.DONE
    ensure(connect)
    # Connect keeps the offsets of a connector that was deleted: a new one begins without them
    assert connect.did == ["put stopped", "reset", "resume"]


def test_a_connector_that_nobody_knows_of_yet_is_resumed_all_the_same(
    connect: FakeConnect,
) -> None:
    """Seen on a busy host: its status was 404 for seconds after it had been created."""

    class Slow(FakeConnect):
        def status(self, name: str) -> ConnectorState | None:
            return None

    slow = Slow()
    ensure(slow)
    assert slow.did == ["put stopped", "reset", "resume"]


def test_starting_is_pending_and_failed_is_not(connect: FakeConnect) -> None:
    ensure(connect)
    assert connect.found is not None
    for found, wanted in (
        (replace(connect.found, tasks=()), State.PENDING),
        (replace(connect.found, state="UNASSIGNED"), State.PENDING),
        (replace(connect.found, tasks=(TaskState(0, "UNASSIGNED"),)), State.PENDING),
        (replace(connect.found, tasks=(TaskState(0, "FAILED", "boom"),)), State.TODO),
        (replace(connect.found, state="STOPPED", tasks=()), State.TODO),
    ):
        connect.found = found
        assert state(connect) is wanted


def test_another_configuration_is_put_anew(connect: FakeConnect) -> None:
    ensure(connect)
    assert connect.kept is not None
    connect.kept["tasks.max"] = "7"
    assert state(connect) is State.TODO
    ensure(connect)
    assert state(connect) is State.DONE


def test_a_refused_configuration_is_told_in_connects_words(connect: FakeConnect) -> None:
    connect.invalid = ("tasks.max: not a number",)
    with pytest.raises(StepFailed, match=r"tasks\.max: not a number"):
        ensure(connect)
    assert connect.did == []


def test_the_delta_begins_at_the_exact_offset(connect: FakeConnect) -> None:
    start = {A: 100, B: 0}
    flow.start_from(cast(Connect, connect), "back", CONFIG, "green", start, FakeClock())
    assert connect.did == ["put stopped", "stop", "offsets of green", "resume"]
    assert connect.positions == {A: 99}
    connect.did.clear()
    flow.start_from(cast(Connect, connect), "back", CONFIG, "green", {A: 5}, FakeClock())
    assert connect.did == []  # one that runs is never set back


def test_offsets_that_connect_did_not_keep_stop_the_delta(connect: FakeConnect) -> None:
    connect.forgets = True
    with pytest.raises(StepFailed, match="orders-0"):
        flow.start_from(cast(Connect, connect), "back", CONFIG, "green", {A: 100}, FakeClock())
    assert "resume" not in connect.did


def test_stopping_waits_until_no_task_is_left(connect: FakeConnect) -> None:
    ensure(connect)
    connect.stops = False
    with pytest.raises(TimedOut):
        flow.stop(cast(Connect, connect), "forward", FakeClock(), timeout=1)
    assert flow.is_running(cast(Connect, connect), "forward")
    connect.stops = True
    flow.stop(cast(Connect, connect), "forward", FakeClock())
    assert flow.is_stopped(cast(Connect, connect), "forward")


def test_absent_is_stopped_and_removed(connect: FakeConnect) -> None:
    flow.stop(cast(Connect, connect), "forward", FakeClock())
    flow.remove(cast(Connect, connect), "forward")
    flow.resume(cast(Connect, connect), "forward")
    assert connect.did == []
    assert flow.is_stopped(cast(Connect, connect), "forward")


class Facts:
    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, name: str) -> Any | None:
        return self.kept.get(name)

    def put(self, name: str, value: Any) -> None:
        self.kept[name] = value

    def names(self) -> tuple[str, ...]:
        return tuple(self.kept)


def test_failed_tasks_are_restarted_a_bounded_number_of_times(connect: FakeConnect) -> None:
    ensure(connect)
    assert connect.found is not None
    trace = "org.x.ConnectException: no\n\tat y\nCaused by: RecordTooLarge: 9 MB\n\tat z"
    connect.found = replace(connect.found, tasks=(TaskState(1, "FAILED", trace),))
    facts, clock = Facts(), FakeClock()

    def mend() -> list[str]:
        return flow.mend(cast(Connect, connect), "forward", facts, clock, limit=2, window=60)

    assert mend() == ["task 1: RecordTooLarge: 9 MB"]
    assert mend() == ["task 1: RecordTooLarge: 9 MB"]
    with pytest.raises(StepFailed, match="RecordTooLarge"):
        mend()
    assert connect.did.count("restart") == 2
    clock.sleep(61)
    assert mend()


class Source:
    def __init__(self, tail: tuple[tuple[int, bytes], ...] = ()) -> None:
        self.tail = tail

    def topics(self, *, configs: bool = False) -> dict[str, Topic]:
        names = ("orders", "secret-1", "kafkaops-mirror-back-offsets", "__x")
        return {
            n: Topic(
                n,
                "",
                n == "__x",
                tuple(Partition(TopicPartition(n, p), 1, 0, (1,), (1,)) for p in (0, 1)),
            )
            for n in names
        }

    def ends(self, parts: Collection[TopicPartition]) -> dict[TopicPartition, Ends]:
        ends = {A: Ends(0, 50, 40), B: Ends(30, 35, 35)}
        return {tp: ends.get(tp, Ends(0, 9999, 9999)) for tp in parts}

    def consume(self, tp: TopicPartition, start: int, count: int) -> tuple[tuple[int, bytes], ...]:
        return self.tail


def test_lag_counts_what_is_visible_and_carried(connect: FakeConnect) -> None:
    ensure(connect)
    connect.positions = {A: 29}
    lags = flow.lags(cast(Connect, connect), cast(Cluster, Source()), "forward")
    assert lags == {A: 10, B: 5}
    assert flow.lag(cast(Connect, connect), cast(Cluster, Source()), "forward") == 15


def test_a_tail_without_records_counts_as_drained(connect: FakeConnect) -> None:
    ensure(connect)
    connect.positions = {A: 38, B: 34}  # a marker is left on A
    assert flow.drained(cast(Connect, connect), cast(Cluster, Source()), "forward")
    waiting = Source(((39, b"x"),))
    assert not flow.drained(cast(Connect, connect), cast(Cluster, waiting), "forward")


def test_every_task_id_is_fenced_only_under_exactly_once() -> None:
    class Target:
        def __init__(self) -> None:
            self.fenced: list[str] = []

        def fence_transactional_id(self, id: str) -> None:
            self.fenced.append(id)

    target = Target()
    flow.fence_ids(cast(Cluster, target), "back", CONFIG.mirror)
    assert target.fenced == list(rendering.transactional_ids("back", 2))
    assert target.fenced[0] == "kafkaops-mirror-back-kafkaops-back-0"
    once = CONFIG.mirror.model_copy(update={"exactly_once": False})
    flow.fence_ids(cast(Cluster, target), "back", once)
    assert len(target.fenced) == 2
