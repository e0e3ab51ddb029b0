"""What brokers tell of their log directories, an unreadable one included."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.adapters.kafka_errors import KafkaAnswer
from kafkaops.adapters.kafka_log_dirs import dirs_of, free, held, log_dirs
from kafkaops.model.cluster import LogDir
from kafkaops.model.log_dirs import largest
from kafkaops.model.partition import Partition, Topic, TopicPartition
from tests.unit.adapters.wires import FakeWire, finish, row

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)


def part(index: int, size: int, *, future: bool = False) -> Any:
    return row(partition_index=index, partition_size=size, offset_lag=0, is_future_key=future)


def directory(path: str, *topics: Any, code: int = 0, **more: Any) -> Any:
    return row(log_dir=path, error_code=code, topics=topics, **more)


def of(name: str, *parts: Any) -> Any:
    return row(name=name, partitions=parts)


def answer(*rows: Any, code: int = 0) -> Any:
    return row(error_code=code, results=rows)


def test_directories_by_path_with_sizes_and_copies_on_their_way() -> None:
    rows = (
        directory("/d2", of("b", part(0, 7)), total_bytes=100, usable_bytes=40, is_cordoned=True),
        directory("/d1", of("a", part(1, 5), part(0, 3)), of("b", part(0, 2, future=True))),
    )
    wire = FakeWire(lambda request, node: answer(*rows))
    found = finish(log_dirs(wire, [2, 1]))
    assert list(found) == [1, 2]
    assert found[1] == (
        LogDir("/d1", replicas={A0: 3, A1: 5}, arriving={B0: 2}),
        LogDir("/d2", 100, 40, {B0: 7}, cordoned=True),
    )
    assert [request for request, _ in wire.asked] == ["DescribeLogDirsRequest"] * 2


def test_an_unreadable_directory_is_told_and_hides_nothing() -> None:
    rows = (directory("/dead", code=56), directory("/d", of("a", part(0, 3)), usable_bytes=9))
    dead, good = sorted(dirs_of(answer(*rows), 1), key=lambda d: d.path, reverse=True)
    assert (dead.path, dead.error, dead.replicas) == ("/dead", "KafkaStorageError", {})
    assert (good.replicas, good.usable, good.total) == ({A0: 3}, 9, -1)


def test_a_broker_that_answers_nothing_is_an_error() -> None:
    with pytest.raises(KafkaAnswer, match="log dirs of broker 4"):
        dirs_of(answer(code=31), 4)


TOPICS = {
    "a": Topic(
        "a", "", False, (Partition(A0, 1, 0, (1, 2), (1, 2)), Partition(A1, 2, 0, (2, 1), (2,)))
    )
}


def test_what_a_dead_directory_is_to_hold_counts_at_its_size_elsewhere() -> None:
    dirs = {
        1: (LogDir("/d", replicas={A0: 10}), LogDir("/dead", error="KafkaStorageError")),
        2: (LogDir("/d", replicas={A0: 12, A1: 30}, arriving={A1: 4}),),
    }
    sizes = largest(dirs)
    assert sizes == {A0: 12, A1: 30}
    assert held(dirs, sizes, TOPICS) == {1: 10 + 30, 2: 12 + 30 + 4}
    alive = {1: dirs[1][:1], 2: dirs[2]}
    assert held(alive, sizes, TOPICS)[1] == 10


def test_room_is_told_only_by_directories_that_can_be_read() -> None:
    dirs = {
        1: (LogDir("/d", usable=5), LogDir("/e", usable=6), LogDir("/dead", usable=9, error="x")),
        2: (LogDir("/d"),),
    }
    assert free(dirs) == {1: 11}
