"""What brokers can spare."""

from __future__ import annotations

from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.placement.applying import link
from kafkaops.placement.applying.waves import Kind, Setting, Wave
from kafkaops.placement.moves import DirMove, Move

MIB = 1 << 20
A, B = TopicPartition("t", 0), TopicPartition("t", 1)
HELD = (Partition(A, 1, 0, (1, 2, 3), (1, 2, 3)), Partition(B, 2, 0, (2, 3), (2, 3)))


def test_the_busiest_broker_in_its_busier_direction_counts() -> None:
    incoming = {A: 10.0 * MIB, B: 4.0 * MIB}
    # 1 sends A to two followers and a consumer: 30; 2 gets 14 and sends B twice: 8
    assert link.spared(100 * MIB, [1], HELD, incoming) == int(0.9 * 70 * MIB)
    assert link.spared(100 * MIB, [2], HELD, incoming) == int(0.9 * 86 * MIB)
    assert link.spared(100 * MIB, [1, 2, 3], HELD, incoming) == int(0.9 * 70 * MIB)
    assert link.spared(100 * MIB, [4], HELD, incoming) == 90 * MIB


def test_a_link_that_is_full_still_gives_a_little() -> None:
    assert link.spared(20 * MIB, [1], HELD, {A: 10.0 * MIB}) == MIB


def test_a_wave_lasts_longest_at_the_least_rate_that_it_is_held_to() -> None:
    wave = Wave(Kind.COPY, (Move(A, (1, 2), (1, 3), 100 * MIB),))
    assert link.floor(wave, Setting()) == MIB
    assert link.longest(wave, Setting()) == 100.0
    busy = Setting(incoming={A: 4.0 * MIB})
    assert link.floor(wave, busy) == 5 * MIB
    assert link.longest(wave, busy) == 100.0
    dirs = Wave(Kind.DIRS, dirs=(DirMove(A, 1, "/a", "/b", 7 * MIB), DirMove(B, 1, "/a", "/b", 0)))
    assert link.longest(dirs, Setting()) == 7.0
