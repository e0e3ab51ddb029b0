"""New topics: distinct racks, even per topic and on the cluster, the order that goes on."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkaops.placement.topics.assignment import Place, assign, quotas, ring_of, spread

checked = settings(derandomize=True, deadline=None, max_examples=60)


def places(*racks: int, load: Sequence[int] = ()) -> list[Place]:
    """Brokers 1, 2, ... dealt to racks of these sizes in turn; `load` by broker."""
    left = {f"r{i}": n for i, n in enumerate(racks)}
    rows: list[str] = []
    while any(left.values()):
        for rack in left:
            if left[rack]:
                left[rack] -= 1
                rows.append(rack)
    loads = [*load, *[0] * len(rows)]
    return [Place(i + 1, rack, loads[i], loads[i] // 3) for i, rack in enumerate(rows)]


sizes = st.lists(st.integers(1, 5), min_size=1, max_size=5)
equal = st.tuples(st.integers(1, 4), st.integers(1, 5)).map(lambda t: [t[0]] * t[1])


def counted(rows: Mapping[int, Sequence[int]]) -> tuple[Counter[int], Counter[int]]:
    """Replicas and leaders by broker."""
    return Counter(b for r in rows.values() for b in r), Counter(r[0] for r in rows.values())


@checked
@given(sizes, st.integers(1, 40), st.data())
def test_replicas_are_distinct_and_racks_hold_floor_or_ceil(
    racks: list[int], count: int, data: st.DataObject
) -> None:
    brokers = places(*racks)
    rf = data.draw(st.integers(1, min(6, len(brokers))))
    rows = assign(brokers, count, rf)
    rack = {p.id: p.rack for p in brokers}
    size = Counter(rack.values())
    base, extra = spread(size, rf)
    assert list(rows) == list(range(count))
    for row in rows.values():
        assert len(row) == len(set(row)) == rf
        held = Counter(rack[b] for b in row)
        assert {k: held[k] - base[k] for k in base if held[k] - base[k] not in (0, 1)} == {}
        assert sum(held[k] - base[k] for k in base) == extra
        if rf <= len(size):
            assert max(held.values()) == 1


@checked
@given(equal, st.integers(1, 60), st.data())
def test_in_equal_racks_brokers_hold_and_lead_floor_or_ceil(
    racks: list[int], count: int, data: st.DataObject
) -> None:
    brokers = places(*racks, load=data.draw(st.lists(st.integers(0, 9), max_size=20)))
    rf = data.draw(st.integers(1, min(5, len(brokers))))
    held, led = counted(assign(brokers, count, rf))
    rack = {p.id: p.rack for p in brokers}
    of_rack = Counter(rack[b] for b in led.elements())
    n, k = len(brokers), len(racks)
    assert {held[b] for b in rack} <= {count * rf // n, -(-count * rf // n)}
    assert {led[b] for b in rack} <= {count // n, -(-count // n)}
    assert {of_rack[r] for r in rack.values()} <= {count // k, -(-count // k)}
    total = Counter(rack[b] for b in held.elements())
    assert {total[r] for r in rack.values()} <= {count * rf // k, -(-count * rf // k)}


@checked
@given(sizes, st.integers(1, 30), st.data())
def test_in_any_racks_no_exchange_makes_replicas_more_even(
    racks: list[int], count: int, data: st.DataObject
) -> None:
    """Where one broker holds two more than another, a bound of racks or of partitions says why."""
    brokers = places(*racks)
    rf = data.draw(st.integers(1, min(6, len(brokers))))
    held, _ = counted(assign(brokers, count, rf))
    rack = {p.id: p.rack for p in brokers}
    size = Counter(rack.values())
    base, _ = spread(size, rf)
    total = Counter(rack[b] for b in held.elements())
    for a, b in itertools.permutations(rack, 2):
        if held[a] - held[b] >= 2:
            assert rack[a] != rack[b], (a, b)
            least = total[rack[a]] == count * base[rack[a]]
            most = total[rack[b]] == count * min(size[rack[b]], base[rack[b]] + 1)
            assert least or most, (a, b, held)


@checked
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 5), st.data())
def test_no_choice_of_leaders_is_more_even(
    racks: list[int], count: int, data: st.DataObject
) -> None:
    """Against every choice that the replicas allow."""
    brokers = places(*racks)
    rf = data.draw(st.integers(1, min(3, len(brokers))))
    rows = assign(brokers, count, rf)
    rack = {p.id: p.rack for p in brokers}

    def cost(leaders: Sequence[int]) -> tuple[int, int]:
        by_broker, by_rack = Counter(leaders), Counter(rack[b] for b in leaders)
        return sum(c * c for c in by_broker.values()), sum(c * c for c in by_rack.values())

    found = cost([row[0] for row in rows.values()])
    assert found == min(cost(choice) for choice in itertools.product(*rows.values()))


@checked
@given(equal, st.integers(1, 20), st.integers(1, 20), st.data())
def test_added_partitions_make_the_whole_topic_even(
    racks: list[int], before: int, more: int, data: st.DataObject
) -> None:
    brokers = places(*racks, load=data.draw(st.lists(st.integers(0, 9), max_size=20)))
    rf = data.draw(st.integers(1, min(4, len(brokers))))
    there = assign(brokers, before, rf)
    added = assign(brokers, more, rf, there)
    assert list(added) == list(range(before, before + more))
    held, led = counted(there | added)
    n, total = len(brokers), before + more
    assert {held[p.id] for p in brokers} <= {total * rf // n, -(-total * rf // n)}
    assert max(led[p.id] for p in brokers) - min(led[p.id] for p in brokers) <= 2


@checked
@given(sizes, st.integers(1, 30), st.data())
def test_the_same_wish_is_answered_the_same_whatever_the_order_of_brokers(
    racks: list[int], count: int, data: st.DataObject
) -> None:
    brokers = places(*racks, load=data.draw(st.lists(st.integers(0, 9), max_size=20)))
    shuffled = data.draw(st.permutations(brokers))
    rf = data.draw(st.integers(1, min(4, len(brokers))))
    assert assign(brokers, count, rf) == assign(shuffled, count, rf)


def test_twelve_partitions_on_six_brokers_by_hand() -> None:
    """Led round the racks; what a leader leaves goes to four others."""
    rows = assign(places(2, 2, 2), 12, 3)
    assert [row[0] for row in rows.values()] == [1, 2, 3, 4, 5, 6] * 2
    rack = {p.id: p.rack for p in places(2, 2, 2)}
    assert all(len({rack[b] for b in row}) == 3 for row in rows.values())
    assert Counter(b for row in rows.values() for b in row) == dict.fromkeys(range(1, 7), 6)
    for broker in range(1, 7):
        assert len({row[1] for row in rows.values() if row[0] == broker}) == 2


def test_leaders_are_even_over_racks_where_no_single_chain_helps() -> None:
    """Six partitions of RF 2 on 12 brokers in 6 racks, found by chance: chains alone stop at a rack
    that leads two and one that leads none; the flow finds one each."""
    replicas = [4, 0, 0, 9, 1, 1, 3, 9, 2, 5, 7, 1]
    leaders = [7, 4, 4, 6, 9, 9, 8, 5, 8, 8, 8, 1]
    brokers = [Place(i, f"r{i % 6}", replicas[i], leaders[i]) for i in range(12)]
    rows = assign(brokers, 6, 2)
    assert sorted(row[0] % 6 for row in rows.values()) == [0, 1, 2, 3, 4, 5]


def test_new_partitions_go_on_where_the_last_one_stopped() -> None:
    brokers = places(1, 1, 1)
    there = {0: (1, 2, 3), 1: (2, 3, 1), 2: (3, 1, 2), 3: (1, 3, 2)}
    added = assign(brokers, 5, 3, there)
    assert {p: row[0] for p, row in added.items()} == {4: 2, 5: 3, 6: 1, 7: 2, 8: 3}


def test_a_broker_that_holds_none_of_the_topic_is_filled_first() -> None:
    brokers = places(2, 2, 2)
    there = {i: (1, 2, 3) for i in range(4)}  # 4, 5 and 6 are new
    held, led = counted(assign(brokers, 4, 3, there))
    assert held == {4: 4, 5: 4, 6: 4}
    assert sorted(led.values()) == [1, 1, 2]


def test_what_is_left_over_goes_to_the_least_loaded() -> None:
    """Two partitions of RF 3 are six replicas, and of nine brokers three are full."""
    brokers = places(3, 3, 3, load=[50, 9, 9, 9, 50, 9, 9, 9, 50])
    held, led = counted(assign(brokers, 2, 3))
    assert held == {2: 1, 3: 1, 4: 1, 6: 1, 7: 1, 8: 1}
    assert set(led) <= set(held)


def test_thousands_of_topics_of_one_partition_fill_the_cluster_evenly() -> None:
    brokers = places(2, 2, 2, load=[0, 0, 0, 30, 30, 30])
    for _ in range(300):
        row = assign(brokers, 1, 3)[0]
        brokers = [
            Place(p.id, p.rack, p.replicas + (p.id in row), p.leaders + (p.id == row[0]))
            for p in brokers
        ]
    assert {p.id: p.replicas for p in brokers} == dict.fromkeys(range(1, 7), 165)
    leaders = [p.leaders for p in brokers]
    assert sum(leaders) == 330
    assert max(leaders) - min(leaders) <= 1


def test_a_rack_of_one_broker_leads_no_more_than_its_share() -> None:
    """Racks of 1, 2 and 3 with RF 3: broker 1 holds all, and leads a sixth."""
    held, led = counted(assign(places(1, 2, 3), 12, 3))
    assert held[1] == 12
    assert led == dict.fromkeys(range(1, 7), 2)


def test_more_replicas_than_racks_are_floor_and_ceil() -> None:
    rows = assign(places(4, 4), 8, 3)
    rack = {p.id: p.rack for p in places(4, 4)}
    assert all(sorted(Counter(rack[b] for b in r).values()) == [1, 2] for r in rows.values())
    assert all(rack[r[0]] != rack[r[1]] for r in rows.values())
    held, led = counted(rows)
    assert (set(held.values()), set(led.values())) == ({3}, {1})


def test_a_small_rack_holds_what_it_can() -> None:
    """RF 5 in racks of 1 and 5: never two on one broker."""
    assert spread({"a": 1, "b": 5}, 5) == ({"a": 1, "b": 4}, 0)
    rows = assign(places(1, 5), 5, 5)
    assert all(1 in row for row in rows.values())
    assert quotas(ring_of(places(1, 5)), 5, 5, {}) == {1: 5, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4}


@pytest.mark.parametrize("rf", [0, 4])
def test_a_wish_that_cannot_be(rf: int) -> None:
    with pytest.raises(ValueError, match=f"RF {rf} on 3 brokers"):
        assign(places(1, 1, 1), 1, rf)


def test_a_broker_is_there_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        assign([Place(1, "a"), Place(1, "b")], 1, 1)
