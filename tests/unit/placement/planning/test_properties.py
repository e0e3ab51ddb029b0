"""P1 to P8, P12 and P14 on clusters of every small shape; optimality against trying all."""

from __future__ import annotations

import json
from decimal import Decimal
from math import ceil, floor

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kafkaops.placement.planning import kafka_json, plan_json, table
from kafkaops.placement.planning.goals import Balance, Goals
from kafkaops.placement.planning.planner import of_table
from kafkaops.placement.planning.table import Table
from kafkaops.placement.planning.witness import Infeasible
from tests.unit.placement.planning.clusters import (
    Racks,
    after,
    clusters,
    counts,
    fewest,
    held,
    leaders_share,
    plan,
    ranges,
    uneven,
)

BOTH = (Balance.REPLICAS, Balance.LEADERS)


def quick(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None)


def racks_of(t: Table) -> Racks:
    return {int(b): t.rack_name(i) for i, b in enumerate(t.brokers) if t.live[i]}


@quick(60)
@given(clusters(partitions=4))
def test_repair_and_balance_is_what_trying_everything_finds(t: Table) -> None:
    """P1, P2, P3 and P4: within all bounds, and no assignment at all costs less."""
    racks = racks_of(t)
    low, high = ranges(len(t.holder), racks)
    found = plan(t, repair=True, balance=(Balance.REPLICAS,))
    then = after(t, found)
    for key, before in held(t).items():
        assert len(set(then[key])) == len(then[key]) == len(before)
        assert uneven(then[key], racks) == 0
    assert all(low[b] <= counts(then.values())[b] <= high[b] for b in racks)
    assert found.cost == found.bound == fewest(t, low, high, racks, {})
    assert found.closed_form <= found.cost
    assert found.gap == 0


@quick(40)
@given(clusters(racks=(1, 3), a_rack=(3, 3), partitions=4, rf=(1, 2)), st.data())
def test_drain_moves_what_is_there_and_no_more(t: Table, data: st.DataObject) -> None:
    """P2, P3 and P4 where nothing is evened out: only what must move does."""
    racks = racks_of(t)
    gone = data.draw(st.sampled_from(sorted(racks)))
    found = plan(t, drain=(gone,), shared_racks=True)
    then = after(t, found)
    assert counts(then.values())[gone] == 0
    assert found.cost == found.bound == counts(held(t).values())[gone]
    left = {b: r for b, r in racks.items() if b != gone}
    for key, before in held(t).items():
        assert uneven(then[key], left) <= uneven(before, racks)
        if gone not in before:
            assert then[key] == before
    assert found.leaders_changed == sum(row[0] == gone for row in held(t).values())


@quick(40)
@given(clusters(aware=True, partitions=6, a_rack=(3, 3), fresh=1))
def test_added_brokers_get_their_share_with_the_fewest_moves(t: Table) -> None:
    racks = racks_of(t)
    fresh = tuple(b for b in racks if b not in counts(held(t).values()))
    assume(fresh)
    low, high = ranges(len(t.holder), racks)
    found = plan(t, add=fresh)
    then = after(t, found)
    assert all(low[b] <= counts(then.values())[b] <= high[b] for b in racks)
    assert all(uneven(row, racks) == 0 for row in then.values())
    assert found.cost == fewest(t, low, high, racks, {})


@quick(40)
@given(clusters(partitions=5), st.integers(0, 4), st.integers(0, 4))
def test_more_tolerance_never_costs_more(t: Table, less: int, more: int) -> None:
    """P5."""
    costs = []
    for part in sorted((less, more)):
        asked = Goals(repair=True, balance=BOTH[:1], tolerance=Decimal(part) / 4)
        costs.append(of_table(t, asked).cost)
    assert costs[1] <= costs[0]


@quick(40)
@given(clusters(partitions=5), st.randoms(use_true_random=False))
def test_names_do_not_matter(t: Table, chance: object) -> None:
    """P6: brokers and racks by other names cost the same."""
    racks = racks_of(t)
    ids = sorted(racks)
    other = list(range(100, 100 + len(ids)))
    chance.shuffle(other)  # type: ignore[attr-defined]
    named = dict(zip(ids, other, strict=True))
    rows = [
        (topic, p, tuple(named[b] for b in row), tuple(named[b] for b in row))
        for (topic, p), row in held(t).items()
    ]
    again = table.of_rows(rows, {named[b]: f"z{9 - int(str(r)[1:])}" for b, r in racks.items()})
    asked = Goals(repair=True, balance=BOTH[:1])
    assert of_table(again, asked).cost == of_table(t, asked).cost


@quick(60)
@given(clusters(partitions=5, racks=(1, 3), a_rack=(2, 3)), st.booleans(), st.booleans())
def test_a_plan_is_the_same_each_time_and_its_result_has_nothing_left(
    t: Table, repair: bool, topics: bool
) -> None:
    """P7."""
    balance = (*BOTH, Balance.TOPICS) if topics else BOTH
    asked = Goals(repair=repair, balance=balance)
    first, second = of_table(t, asked), of_table(t, asked)
    assert json.dumps(plan_json.summary(first)) == json.dumps(plan_json.summary(second))
    rows = [(n, p, row, row) for (n, p), row in reversed(after(t, first).items())]
    again = of_table(table.of_rows(rows, racks_of(t)), asked)
    assert (again.moves, again.cost, again.leaders_changed) == ((), 0, 0)


@quick(80)
@given(clusters(partitions=6))
def test_leaders_are_floor_or_ceil_for_brokers_and_topics(t: Table) -> None:
    """P8: on all at once, without a byte moved; and leaders alone change nothing else."""
    found = plan(t, balance=(Balance.LEADERS,))
    then = after(t, found)
    assert found.replicas_moved == found.cost == 0
    assert all(set(row) == set(then[key]) for key, row in held(t).items())
    for chosen in (list(then), *([k for k in then if k[0] == n] for n in t.topics)):
        led = counts([then[k][:1] for k in chosen])
        for broker, share in leaders_share([then[k] for k in chosen]).items():
            assert floor(share) <= led[broker] <= ceil(share)
    for key, row in then.items():
        others = [b for b in held(t)[key] if b != row[0]]
        assert list(row[1:]) == others  # P14: the rest keeps its order


@quick(40)
@given(clusters(partitions=3, rf=(2, 3), racks=(1, 2)))
def test_leaders_change_as_little_as_trying_everything_finds(t: Table) -> None:
    keys = list(held(t))
    found = plan(t, balance=(Balance.LEADERS,))
    shares = leaders_share(held(t).values())
    by_topic = {n: leaders_share([r for k, r in held(t).items() if k[0] == n]) for n in t.topics}
    best: dict[tuple[tuple[tuple[str, int], int], ...], int] = {(): 0}
    for key in keys:
        then: dict[tuple[tuple[tuple[str, int], int], ...], int] = {}
        for led, cost in best.items():
            for i, broker in enumerate(held(t)[key]):
                tally = dict(led)
                slot = (key[0], broker)
                tally[slot] = tally.get(slot, 0) + 1
                if tally[slot] > ceil(by_topic[key[0]][broker]):
                    continue
                word = tuple(sorted(tally.items()))
                then[word] = min(then.get(word, 99), cost + (i > 0))
        best = then
    fits = []
    for led, cost in best.items():
        slots = dict(led)
        per_topic = all(
            floor(s) <= slots.get((n, b), 0) for n, of in by_topic.items() for b, s in of.items()
        )
        per_broker = all(
            floor(s) <= sum(slots.get((n, b), 0) for n in t.topics) <= ceil(s)
            for b, s in shares.items()
        )
        if per_topic and per_broker:
            fits.append(cost)
    assert found.leaders_changed == min(fits)


@quick(60)
@given(clusters(partitions=4, a_rack=(3, 3)), st.data())
def test_what_is_not_touched_keeps_its_order_and_what_stays_too(
    t: Table, data: st.DataObject
) -> None:
    """P14: a new replica stands where the one was that it replaces."""
    gone = data.draw(st.sampled_from(sorted(racks_of(t))))
    assume(max(len(row) for row in held(t).values()) < len(racks_of(t)))
    for move in plan(t, drain=(gone,), shared_racks=True).moves:
        assert len(move.adding) == len(move.removing) == 1
        kept = tuple(b if b != gone else move.adding[0] for b in move.before)
        assert move.after == kept


@quick(40)
@given(clusters(partitions=4))
def test_json_round_trips(t: Table) -> None:
    """P12: the file of moves, Kafka's format, and goals."""
    found = plan(t, repair=True, balance=BOTH)
    text = json.dumps(plan_json.file_of(found))
    assert plan_json.moves_of(json.loads(text)) == (found.moves, found.dir_moves)
    document = json.loads(json.dumps(kafka_json.reassignment(found.moves)))
    assert {(r[0], r[1]): r[2] for r in kafka_json.assignment(document)} == {
        tuple(m.tp): m.after for m in found.moves
    }
    back = kafka_json.reassignment(found.moves, back=True)
    assert [p["replicas"] for p in back["partitions"]] == [list(m.before) for m in found.moves]


@quick(60)
@given(clusters(partitions=4, a_rack=(2, 2)), st.data())
def test_what_cannot_be_has_a_witness(t: Table, data: st.DataObject) -> None:
    """P13: a plan, or numbers that contradict each other."""
    racks = racks_of(t)
    gone = tuple(data.draw(st.sets(st.sampled_from(sorted(racks)), max_size=len(racks) - 1)))
    shut = tuple(data.draw(st.sets(st.sampled_from(sorted(racks)))))
    rf = data.draw(st.integers(1, 4))
    asked = Goals(
        drain=gone,
        no_receive=shut,
        rf=(("t0", rf),),
        repair=data.draw(st.booleans()),
        shared_racks=True,
    )
    left = set(racks) - set(gone)
    topic = {k: row for k, row in held(t).items() if k[0] == "t0"}
    wants = {k: rf if k in topic else len(row) for k, row in held(t).items()}
    room = {k: len((left - set(shut)) | (left & set(row))) for k, row in held(t).items()}
    hopeless = [k for k in wants if wants[k] > room[k]]
    if hopeless:
        with pytest.raises(Infeasible) as refused:
            of_table(t, asked)
        witness = refused.value.witness
        assert witness.need > witness.room
        assert witness.relax
        assert any(f"{n}-{p}" in witness.partitions for n, p in hopeless)
        return
    found = of_table(t, asked)
    then = after(t, found)
    for key, row in then.items():
        assert len(row) == wants[key]
        assert not set(row) & set(gone)
        assert not (set(row) - set(held(t)[key])) & set(shut)
    assert found.gap == 0


def test_goals_round_trip() -> None:
    asked = Goals(
        (1,), (2,), ("a",), True, ((3, 4),), (("t*", 3),), True, tuple(Balance), (("x-1", (5, 6)),),
        ("__*",), (7,), ((8, Decimal("1.5")),), Decimal("0.1"), no_rack=("all",), shared_racks=True,
    )  # fmt: skip
    assert Goals.of_json(json.loads(json.dumps(asked.to_json()))) == asked
