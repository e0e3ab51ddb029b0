"""Reassignments sent, called off and listed; configs of many brokers; log directories."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.protocol.admin import (
    AlterPartitionReassignmentsRequest,
    AlterReplicaLogDirsRequest,
    DescribeConfigsRequest,
)

from kafkaops.adapters import kafka_log_dirs, kafka_reassign, kafka_topics
from kafkaops.adapters.kafka_errors import KafkaAnswer
from kafkaops.model.partition import TopicPartition
from kafkaops.model.reassignment import Reassignment
from tests.unit.adapters.wires import FakeWire, finish, metadata, row

TP = TopicPartition("t", 0)


def answering(code: int, seen: list[Any]) -> Any:
    def answer(request: Any, node: int | None) -> Any:
        if not isinstance(request, AlterPartitionReassignmentsRequest):
            return metadata({})
        seen.append(
            {(t.name, p.partition_index): p.replicas for t in request.topics for p in t.partitions}
        )
        part = row(partition_index=0, error_code=code, error_message="words")
        return row(error_code=0, error_message=None, responses=[row(name="t", partitions=[part])])

    return answer


def test_a_target_is_sent_in_its_order_and_nothing_calls_it_off() -> None:
    seen: list[Any] = []
    finish(kafka_reassign.reassign(FakeWire(answering(0, seen)), {TP: (4, 2, 1)}))
    finish(kafka_reassign.reassign(FakeWire(answering(0, seen)), {TP: None}))
    assert seen == [{("t", 0): [4, 2, 1]}, {("t", 0): None}]


@pytest.mark.parametrize(("code", "to", "refused"), [(85, None, False), (85, (1,), True)])
def test_what_is_over_is_called_off_already(code: int, to: Any, refused: bool) -> None:
    work = kafka_reassign.reassign(FakeWire(answering(code, [])), {TP: to})
    if not refused:
        assert finish(work) == (TP,)
        return
    with pytest.raises(KafkaAnswer, match="t-0 words"):
        finish(work)


def test_a_request_is_never_larger_than_the_controller_takes_whole() -> None:
    many = {TopicPartition("t", i): (1,) for i in range(10_001)}
    with pytest.raises(ValueError, match="10001 partitions in one request"):
        finish(kafka_reassign.reassign(FakeWire(answering(0, [])), many))


def test_another_order_of_many_takes_more_than_one_request() -> None:
    seen: list[Any] = []
    many = {TopicPartition("t", i): (2, 1) for i in range(10_001)}
    finish(kafka_reassign.reorder(FakeWire(answering(0, seen)), many))
    assert [len(request) for request in seen] == [10_000, 1]


def test_what_is_on_its_way_tells_where_it_goes() -> None:
    def answer(request: Any, node: int | None) -> Any:
        if not hasattr(request, "topics") or "List" not in type(request).__name__:
            return metadata({})
        part = row(
            partition_index=0, replicas=[4, 2, 1, 3], adding_replicas=[4], removing_replicas=[3]
        )
        return row(error_code=0, error_message=None, topics=[row(name="t", partitions=[part])])

    found = finish(kafka_reassign.reassignments(FakeWire(answer)))
    assert found == {TP: Reassignment((4, 2, 1, 3), (4,), (3,))}
    assert found[TP].target == (4, 2, 1)


def test_only_what_is_set_on_the_broker_itself_is_its_own() -> None:
    def answer(request: Any, node: int | None) -> Any:
        if not isinstance(request, DescribeConfigsRequest):
            return metadata({})
        rows = [
            row(name="rate", value="5", config_source=2),
            row(name="other", value="6", config_source=2),
        ]
        if node == 2:
            rows = [row(name="rate", value="7", config_source=3)]
        return row(results=[row(error_code=0, error_message=None, configs=rows)])

    found = finish(kafka_topics.own_of_brokers(FakeWire(answer), [1, 2, 9], ["rate"]))
    assert found == {1: {"rate": "5"}, 2: {}}, "9 is not up"


def test_replicas_are_sent_to_directories_at_their_own_broker() -> None:
    seen: list[Any] = []

    def answer(request: Any, node: int | None) -> Any:
        assert isinstance(request, AlterReplicaLogDirsRequest)
        seen.append(
            (node, {d.path: {t.name: t.partitions for t in d.topics} for d in request.dirs})
        )
        code = 57 if node == 2 else 0
        part = row(partition_index=0, error_code=code)
        return row(results=[row(topic_name="t", partitions=[part])])

    other = TopicPartition("t", 3)
    finish(kafka_log_dirs.move(FakeWire(answer), {1: {TP: "/b", other: "/b"}}))
    assert seen == [(1, {"/b": {"t": [0, 3]}})]
    with pytest.raises(KafkaAnswer, match="t-0 of broker 2"):
        finish(kafka_log_dirs.move(FakeWire(answer), {2: {TP: "/nowhere"}}))
