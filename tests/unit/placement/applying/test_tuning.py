"""What brokers can spare."""

from __future__ import annotations

from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.placement.applying import tuning

MIB = 1 << 20
A, B = TopicPartition("t", 0), TopicPartition("t", 1)
HELD = (Partition(A, 1, 0, (1, 2, 3), (1, 2, 3)), Partition(B, 2, 0, (2, 3), (2, 3)))


def test_the_busiest_broker_in_its_busier_direction_counts() -> None:
    incoming = {A: 10.0 * MIB, B: 4.0 * MIB}
    # 1 sends A to two followers and a consumer: 30; 2 gets 14 and sends B twice: 8
    assert tuning.spared(100 * MIB, [1], HELD, incoming) == int(0.9 * 70 * MIB)
    assert tuning.spared(100 * MIB, [2], HELD, incoming) == int(0.9 * 86 * MIB)
    assert tuning.spared(100 * MIB, [1, 2, 3], HELD, incoming) == int(0.9 * 70 * MIB)
    assert tuning.spared(100 * MIB, [4], HELD, incoming) == 90 * MIB


def test_a_link_that_is_full_still_gives_a_little() -> None:
    assert tuning.spared(20 * MIB, [1], HELD, {A: 10.0 * MIB}) == MIB
