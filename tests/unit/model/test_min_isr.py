"""Which min ISR holds: the topic's, the brokers', or the cap."""

from __future__ import annotations

import pytest

from kafkaops.model.cluster import Broker, ClusterState
from kafkaops.model.min_isr import MinIsr
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition

NAME = "min.insync.replicas"


def topic(value: str | None, source: str, rf: int = 3) -> Topic:
    values = {} if value is None else {NAME: value}
    part = Partition(TopicPartition("t", 0), 1, 0, tuple(range(1, rf + 1)), (1,))
    return Topic("t", "", False, (part,), TopicConfig(values, dict.fromkeys(values, source)))


def state(brokers: dict[int, str], elr: int = 0) -> ClusterState:
    return ClusterState(
        "c", 0.0, 1, tuple(Broker(n, "h", 1, None) for n in brokers), {},
        broker_config={n: {NAME: v} for n, v in brokers.items()},
        features={"eligible.leader.replicas.version": elr},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "brokers", "elr", "applied"),
    [
        (topic("2", "topic"), {1: "1", 2: "1"}, 0, 2),
        (topic("1", "topic"), {1: "2", 2: "2"}, 0, 1),  # the topic's own is the last word
        (topic("1", "default"), {1: "1", 2: "2"}, 0, 2),  # 2 may come to lead
        (topic("1", "default"), {1: "1", 9: "2"}, 0, 1),  # 9 holds no replica
        (topic("2", "broker-default-dynamic"), {1: "1"}, 1, 2),  # ELR: brokers say nothing
        (topic("2", "broker-default-dynamic"), {1: "3"}, 1, 2),
        (topic("3", "topic", rf=2), {}, 0, 2),  # capped at RF
        (topic("2", "topic", rf=1), {}, 0, 1),
        (topic(None, ""), {1: "2"}, 0, 2),
        (topic(None, ""), {}, 0, None),  # never guessed
    ],
)
def test_applied(found: Topic, brokers: dict[int, str], elr: int, applied: int | None) -> None:
    assert MinIsr(state(brokers, elr)).applied(found, found.partitions[0]) == applied
