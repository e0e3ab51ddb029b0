"""Replica placement on green: blue's where it can be, and rack-aware everywhere else."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kafkaops.upgrade.parity_racks import Placer, too_small
from tests.unit.upgrade.states import green, state, topic


def test_same_ids_in_same_racks_keep_the_assignment() -> None:
    replicas = [(3, 1, 2), (2, 3, 1)]
    placed = Placer(state(), green()).place(topic("t", replicas).partitions)
    assert placed == {0: (3, 1, 2), 1: (2, 3, 1)}


def test_other_racks_for_the_same_ids_are_not_taken_blindly() -> None:
    """Green's 1 and 2 share a rack, as blue's do not: the copy of (1, 2) would lie in one."""
    racks = {1: "a", 2: "a", 3: "b", 4: "b"}
    placed = Placer(state(), green(racks=racks)).place(topic("t", [(1, 2)]).partitions)
    assert len({racks[node] for node in placed[0]}) == 2


def test_a_rack_that_green_lacks_does_not_double_another() -> None:
    racks: dict[int, str | None] = {11: "a", 12: "a", 13: "b", 14: "b"}
    placed = Placer(state(), green(racks=racks)).place(topic("t", [(3, 1)]).partitions)
    assert len({racks[node] for node in placed[0]}) == 2  # 3 is in c, 1 in a


def test_leaders_keep_their_rack() -> None:
    racks = {11: "c", 12: "b", 13: "a"}
    placed = Placer(state(), green(racks=racks)).place(topic("t").partitions)
    assert [racks[placed[p][0]] for p in range(3)] == ["a", "b", "c"]


@given(
    partitions=st.integers(1, 40),
    per_rack=st.integers(1, 3),
    rf=st.integers(1, 3),
    first=st.integers(10, 20),
)
def test_new_ids_spread_over_racks_and_brokers(
    partitions: int, per_rack: int, rf: int, first: int
) -> None:
    racks: dict[int, str | None] = {first + i: "abc"[i % 3] for i in range(3 * per_rack)}
    blue = [tuple((p + i) % 3 + 1 for i in range(rf)) for p in range(partitions)]
    placed = Placer(state(), green(racks=racks)).place(topic("t", blue).partitions)
    assert not too_small(placed, rf)
    for replicas in placed.values():
        assert len({racks[n] for n in replicas}) == len(set(replicas)) == rf
    load = Counter(n for replicas in placed.values() for n in replicas)
    assert max(load.values()) - min(load.get(n, 0) for n in racks) <= rf + 1


def test_without_racks_brokers_are_distinct_and_loads_even() -> None:
    racks: dict[int, str | None] = {n: None for n in (5, 6, 7, 8)}
    placed = Placer(state(racks={1: None, 2: None, 3: None}), green(racks=racks)).place(
        topic("t", [(1, 2, 3)] * 8).partitions
    )
    load = Counter(n for replicas in placed.values() for n in replicas)
    assert set(load.values()) == {6}
    assert all(len(set(r)) == 3 for r in placed.values())


def test_too_few_brokers_are_told() -> None:
    placed = Placer(state(), green(racks={1: "a", 2: "b"})).place(topic("t").partitions)
    assert too_small(placed, 3)
