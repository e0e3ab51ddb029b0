from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import pytest

from kafkaops.cutover import standstill
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import StepFailed
from kafkaops.model.cluster import ProducerState
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.cluster import Cluster

A, B = TopicPartition("orders", 0), TopicPartition("orders", 1)


class Source:
    """Answers readings in turn, the last one for ever; aborting closes a transaction."""

    name = "blue"

    def __init__(self, *readings: Mapping[TopicPartition, tuple[int, int, int]]) -> None:
        self.readings = list(readings)
        self.open: list[ProducerState] = []
        self.asked = 0

    def ends(self, parts: Collection[TopicPartition]) -> dict[TopicPartition, Ends]:
        self.asked += 1
        now = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        return {tp: Ends(*now[tp]) for tp in parts}

    def producers(self, parts: Collection[TopicPartition]) -> tuple[ProducerState, ...]:
        return tuple(p for p in self.open if p.tp in parts)

    def abort_transaction(self, state: ProducerState) -> None:
        self.open.remove(state)


def reach(source: Source, clock: FakeClock) -> tuple[Mapping[TopicPartition, Ends], object]:
    return standstill.reach(cast(Cluster, source), [A, B], clock, window=0.25, tries=5)


def test_two_equal_readings_a_window_apart_are_standstill() -> None:
    source, clock = Source({A: (0, 10, 10), B: (0, 5, 5)}), FakeClock()
    ends, aborted = reach(source, clock)
    assert ends == {A: Ends(0, 10, 10), B: Ends(0, 5, 5)}
    assert aborted == ()
    assert clock.slept == [0.25]


def test_what_still_moved_is_read_again() -> None:
    source = Source(
        {A: (0, 10, 10), B: (0, 5, 5)},
        {A: (0, 11, 11), B: (0, 5, 5)},
        {A: (3, 11, 11), B: (0, 5, 5)},  # retention is no write
    )
    ends, _ = reach(source, FakeClock())
    assert ends[A] == Ends(3, 11, 11)
    assert source.asked == 3


def test_open_transactions_are_aborted_and_their_markers_awaited() -> None:
    source = Source(
        {A: (0, 10, 7), B: (0, 5, 5)},
        {A: (0, 11, 11), B: (0, 5, 5)},
        {A: (0, 11, 11), B: (0, 5, 5)},
    )
    hanging = ProducerState(A, 9, 0, 3, 0, txn_start=7)
    source.open = [hanging]
    ends, aborted = reach(source, FakeClock())
    assert aborted == (hanging,)
    assert ends[A] == Ends(0, 11, 11)


def test_a_fence_that_leaks_is_named() -> None:
    readings = [{A: (0, n, n), B: (0, 5, 5)} for n in range(10, 30)]
    with pytest.raises(StepFailed, match=r"orders-0 \(14/14 to 15/15\)") as failed:
        reach(Source(*readings), FakeClock())
    assert failed.value.code == "KO-NOT-STILL"
    assert "orders-1" not in str(failed.value)


def test_a_transaction_that_stays_open_is_not_standstill() -> None:
    with pytest.raises(StepFailed, match="orders-0"):
        reach(Source({A: (0, 10, 7), B: (0, 5, 5)}), FakeClock())


@pytest.mark.parametrize("seconds", [-60.0, 60.0])
def test_a_clock_that_is_set_meanwhile_neither_shortens_nor_stretches_the_window(
    seconds: float,
) -> None:
    class Setting(Source):
        def ends(self, parts: Collection[TopicPartition]) -> dict[TopicPartition, Ends]:
            clock.sleep(0.01)
            return super().ends(parts)

        def producers(self, parts: Collection[TopicPartition]) -> tuple[ProducerState, ...]:
            clock.offset += seconds  # between a reading and the wait for the next
            return super().producers(parts)

    clock = FakeClock()
    readings = {A: (0, 10, 7), B: (0, 5, 5)}, {A: (0, 11, 11), B: (0, 5, 5)}
    reach(Setting(*readings), clock)
    assert clock.offset == seconds
    assert [s for s in clock.slept if s != 0.01] == [0.25, 0.25]
