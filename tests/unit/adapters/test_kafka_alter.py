"""Elections and configs of many, in requests that a controller takes whole."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.protocol.admin import ElectLeadersRequest, IncrementalAlterConfigsRequest

from kafkaops.adapters import kafka_alter, kafka_topics
from kafkaops.adapters.kafka_errors import KafkaAnswer
from kafkaops.model.partition import TopicPartition
from tests.unit.adapters.wires import FakeWire, finish, metadata, row

MOST = 10_000


def test_leaders_of_many_are_elected_in_more_than_one_request() -> None:
    seen: list[int] = []

    def answer(request: Any, node: int | None) -> Any:
        if not isinstance(request, ElectLeadersRequest):
            return metadata({})
        seen.append(sum(len(t.partitions) for t in request.topic_partitions))
        return row(error_code=0, replica_election_results=[])

    finish(kafka_alter.elect(FakeWire(answer), [TopicPartition("t", i) for i in range(MOST + 1)]))
    assert seen == [MOST, 1]


def elected(code: int, *, unclean: bool) -> int:
    """The code that an election of a partition that was answered with `code` fails with, or 0."""

    def answer(request: Any, node: int | None) -> Any:
        if not isinstance(request, ElectLeadersRequest):
            return metadata({})
        told = row(partition_id=0, error_code=code, error_message=None)
        return row(error_code=0, replica_election_results=[row(topic="t", partition_result=[told])])

    try:
        finish(kafka_alter.elect(FakeWire(answer), [TopicPartition("t", 0)], unclean=unclean))
    except KafkaAnswer as error:
        return error.code
    return 0


@pytest.mark.parametrize("code", [0, 3, 80, 84])
def test_an_election_fails_for_no_partition_that_changed_since_it_was_looked_at(code: int) -> None:
    assert elected(code, unclean=False) == 0


@pytest.mark.parametrize(("code", "unclean"), [(29, False), (3, True), (80, True)])
def test_one_that_was_refused_or_has_nobody_to_lead_it_is_an_error(
    code: int, unclean: bool
) -> None:
    assert elected(code, unclean=unclean) == code


def test_configs_of_many_topics_take_a_request_for_each_ten_thousand_values() -> None:
    """A controller counts values, not topics: two of each make 5,000 topics a request."""
    seen: list[tuple[int, int]] = []

    def answer(request: Any, node: int | None) -> Any:
        if not isinstance(request, IncrementalAlterConfigsRequest):
            return metadata({})
        seen.append((len(request.resources), sum(len(r.configs) for r in request.resources)))
        return row(responses=[row(error_code=0, resource_name="", error_message=None)])

    changes = {f"t{i}": ({"a": "1"}, ["b"]) for i in range(MOST // 2 + 1)}
    changes["same"] = ({}, [])
    finish(kafka_alter._alter(FakeWire(answer), kafka_topics.TOPIC, changes, None))
    assert seen == [(MOST // 2, MOST), (1, 2)]
