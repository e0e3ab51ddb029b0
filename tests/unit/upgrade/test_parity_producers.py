"""Green's producer ids end above every id that blue has handed out, on every broker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kafkaops.model.cluster import ProducerState
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade.parity_producers import BLOCK, goal, needed


class Ids:
    """Brokers that take blocks of 1,000 ids from one controller."""

    def __init__(self, brokers: int) -> None:
        self.next = 0
        self.blocks = {b: (0, 0) for b in range(brokers)}

    def take(self, broker: int, count: int) -> int:
        last = -1
        for _ in range(count):
            at, end = self.blocks[broker]
            if at == end:
                at, end = self.next, self.next + BLOCK
                self.next = end
            last, self.blocks[broker] = at, (at + 1, end)
        return last


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3000)), max_size=6))
def test_no_id_of_green_meets_one_of_blue(history: list[tuple[int, int]]) -> None:
    blue, fresh = Ids(3), Ids(3)
    given_out = [blue.take(broker, count) for broker, count in history]
    seen = [ProducerState(TopicPartition("t", 0), g, 0, 0, 0, -1) for g in given_out[:1]]
    aim = goal(seen, {b: blue.take(b, 1) for b in range(3)})
    assert aim >= max(given_out, default=-1)
    reached = {b: fresh.take(b, 1) for b in range(3)}
    rounds = 0
    while todo := needed(reached, aim):
        rounds += 1
        assert all(count <= BLOCK for count in todo.values())
        reached |= {b: fresh.take(b, count) for b, count in todo.items()}
    assert rounds <= aim // BLOCK + 1
    assert all(fresh.take(b, 1) > aim for b in range(3))


def test_an_idle_producer_outside_all_blocks_counts() -> None:
    seen = [ProducerState(TopicPartition("t", 0), 77_000, 0, 0, 0, -1)]
    assert goal(seen, {1: 5}) == 77_000
    assert goal([], {1: 5, 2: 1999}, margin=10) == 2009
    assert goal([], {}) == -1
    assert needed({1: 10}, -1) == {}
