"""A snapshot is put together from two tellers: the controller and a broker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kafkaops.adapters.kafka_snapshot import removing_of
from kafkaops.model.partition import TopicPartition
from kafkaops.model.reassignment import Reassignment

TP = TopicPartition("t", 0)


def topics(replicas: list[int]) -> list[Any]:
    part = SimpleNamespace(partition_index=0, replica_nodes=replicas)
    return [SimpleNamespace(name="t", partitions=[part])]


@pytest.mark.parametrize(
    ("replicas", "known"),
    [
        ([1, 2, 3, 7, 8, 9], True),
        ([1, 2, 3], False),  # as it was before the move: all that it has would seem to go
        ([7, 8, 9], False),  # as it is after it
        ([], False),
    ],
)
def test_what_a_partition_loses_is_known_only_where_both_tell_of_the_move(
    replicas: list[int], known: bool
) -> None:
    moving = {TP: Reassignment((7, 8, 9, 1, 2, 3), (7, 8, 9), (1, 2, 3))}
    assert removing_of(moving, topics(replicas)) == ({TP: (1, 2, 3)} if known else {})


def test_a_move_to_fewer_replicas_and_one_of_a_topic_that_is_not_seen() -> None:
    assert removing_of({TP: Reassignment((1, 2, 3), (), (3,))}, topics([1, 2, 3])) == {TP: (3,)}
    assert removing_of({TP: Reassignment((4, 1, 2, 3), (4,), (3,))}, []) == {}
