"""What each goal does, with the numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.placement.planning import planner, table
from kafkaops.placement.planning.goals import Balance, Goals, Objective
from kafkaops.placement.planning.witness import Infeasible
from tests.unit.placement.planning.clusters import (
    EVEN,
    SIX,
    after,
    counts,
    made,
    plan,
    uneven,
)


def test_replace_puts_the_new_broker_in_every_place_of_the_old() -> None:
    t = made({**SIX, 7: "a"}, {"t": EVEN})
    found = plan(t, replace=((1, 7),))
    assert [(m.before, m.after) for m in found.moves] == [
        ((1, 2, 3), (7, 2, 3)), ((5, 6, 1), (5, 6, 7)),
    ]  # fmt: skip
    assert (found.cost, found.bound, found.leaders_changed) == (2, 2, 1)


def test_replace_by_a_broker_that_holds_it_already_or_of_a_full_rack_goes_elsewhere() -> None:
    t = made({**SIX, 7: "b"}, {"t": [(1, 2, 3), (1, 7, 3)]})
    found = plan(t, replace=((1, 7),))
    assert after(t, found) == {("t", 0): (4, 2, 3), ("t", 1): (4, 7, 3)}
    assert (found.cost, found.bound) == (2, 2)


def test_a_drained_broker_is_spread_evenly_over_those_that_have_least() -> None:
    t = made({**SIX, 7: "a"}, {"t": [(1, 2, 3)] * 8, "u": [(4, 5, 6)] * 2})
    found = plan(t, drain=(1,))
    load = counts(after(t, found).values())
    assert (load[4], load[7]) == (5, 5)
    assert [load[b] for b in (2, 3, 5, 6)] == [8, 8, 2, 2]
    assert (found.cost, found.bound) == (8, 8)


def test_more_replicas_go_last_into_racks_that_have_none() -> None:
    t = made(SIX, {"t": [(1, 2), (5, 4)], "u": [(1, 2)]})
    found = plan(t, rf=(("t", 3),))
    then = after(t, found)
    assert [then["t", 0][:2], then["t", 1][:2], then["u", 0]] == [(1, 2), (5, 4), (1, 2)]
    assert {then["t", 0][2], then["t", 1][2]} == {3, 6}
    assert (found.cost, found.bound, found.leaders_changed) == (2, 2, 0)


def test_fewer_replicas_drop_what_is_not_in_sync_and_keep_the_leader() -> None:
    both = (1, 2, 3)
    rows = [("t", 0, both, (1, 3)), ("t", 1, both, (1, 2)), ("t", 2, (4, 5, 6), (4, 5, 6))]
    found = planner.of_table(table.of_rows(rows, SIX), Goals(rf=(("t", 2),)))
    assert [m.after for m in found.moves[:2]] == [(1, 3), (1, 2)]
    assert found.moves[2].after[0] == 4
    assert (found.cost, found.leaders_changed) == (0, 0)


def test_fewer_replicas_drop_the_one_that_crowds_a_rack() -> None:
    crowded = [(1, 4, 2), (2, 1, 4), (4, 2, 1), (5, 6, 3), (6, 3, 5), (3, 5, 6)]
    t = made(SIX, {"t": crowded})
    for row in after(t, plan(t, rf=(("t", 2),))).values():
        assert uneven(row, SIX) == 0


def test_several_new_replicas_stand_where_those_of_their_racks_stood() -> None:
    [move] = plan(made(SIX, {"t": [(1, 5, 3)]}), drain=(1, 5)).moves
    assert move.after == (4, 2, 3)


def test_pins_and_exclusions() -> None:
    t = made(SIX, {"t": EVEN, "__x": [(1, 2, 3)]})
    found = plan(t, pins=(("t-1", (1,)),), exclude=("__*",), balance=(Balance.REPLICAS,))
    then = after(t, found)
    assert then["t", 1] == (1, 5, 6)
    assert then["__x", 0] == (1, 2, 3)
    load = counts(row for (topic, _), row in then.items() if topic == "t")
    assert set(load.values()) == {2}
    assert (found.cost, found.bound) == (2, 2)


@pytest.mark.parametrize("more", [{}, {"repair": True}, {"balance": (Balance.REPLICAS,)}])
def test_pins_that_fill_a_partition_leave_no_place_for_what_was_there(more: dict[str, Any]) -> None:
    t = made({1: "a", 2: "b", 3: "c"}, {"t": [(1,), (1, 2)]})
    found = plan(t, pins=(("t-0", (3,)), ("t-1", (2, 3))), **more)
    then = after(t, found)
    assert (then["t", 0], set(then["t", 1])) == ((3,), {2, 3})
    assert (found.cost, found.bound) == (2, 2)


def test_pins_come_before_a_replacement() -> None:
    t = made(SIX, {"t": [(1,)]})
    assert [m.after for m in plan(t, pins=(("t", (5,)),), replace=((1, 4),)).moves] == [(5,)]


def test_a_broker_that_must_not_receive_keeps_what_it_has() -> None:
    t = made(SIX, {"t": [(1, 2, 3)] * 6})
    found = plan(t, no_receive=(4,), balance=(Balance.REPLICAS,))
    load = counts(after(t, found).values())
    assert load == {1: 6, 2: 3, 5: 3, 3: 3, 6: 3}


def test_capacity_weighs_shares() -> None:
    t = made(SIX, {"t": [(1, 2, 3)] * 6})
    found = plan(t, capacity=((4, Decimal(2)),), balance=(Balance.REPLICAS,))
    load = counts(after(t, found).values())
    assert (load[1], load[4], load[2], load[5]) == (2, 4, 3, 3)
    assert found.cost == found.bound == 10


def test_why_no_shares_can_be_given_is_counted_and_names_what_was_asked_for() -> None:
    """A partition needs every broker; and shares within a topic on a broker full of another one."""
    t = made(
        dict.fromkeys((2, 6, 23, 30), "a"), {"a": [(2,), (6,)], "b": [(2,), (2, 6, 23)]}
    )  # fmt: skip
    with pytest.raises(Infeasible, match="1 partitions bring 3 replicas, and 2 can go") as refused:
        plan(t, replace=((2, 6),), balance=(Balance.REPLICAS,))
    assert refused.value.witness.partitions == ("b-1",)
    assert refused.value.witness.relax == ("--tolerance", "--replace")
    t = made({1: "a", 2: "a"}, {"x": [(1,)] * 3, "y": [(1,), (2,)]})
    with pytest.raises(Infeasible, match=r"topics put 1 replicas on brokers \(1\) that have room"):
        plan(t, exclude=("x",), balance=(Balance.TOPICS,))


def test_balance_within_topics() -> None:
    t = made({1: "a", 2: "b", 3: "a", 4: "b"}, {"t": [(1, 2)] * 2, "u": [(3, 4)] * 2})
    assert plan(t, balance=(Balance.REPLICAS,)).cost == 0
    found = plan(t, balance=(Balance.REPLICAS, Balance.TOPICS))
    then = after(t, found)
    for name in ("t", "u"):
        assert set(counts(r for k, r in then.items() if k[0] == name).values()) == {1}
    assert (found.cost, found.bound) == (4, 4)


def test_bytes_as_what_is_moved_least() -> None:
    t = made(
        {1: "a", 2: "a"},
        {"big": [(1,)], "mid": [(1,)], "low": [(1,)]},
        {"big": 9, "mid": 5, "low": 2},
    )
    found = plan(t, balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert [(str(m.tp), m.after) for m in found.moves] == [("low-0", (2,))]
    assert (found.cost, found.bound, found.gap) == (2, 2, 0)


def test_what_has_no_bytes_does_not_move_for_nothing() -> None:
    t = made(
        {**SIX, 7: "a", 8: "b"},
        {"t": [(1, 2, 3), (4, 5, 6)], "u": [(7, 8, 6)], "v": [(2, 3, 1)]},
        {"t": 0, "u": 5, "v": 0},
    )
    found = plan(t, balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert (found.cost, found.replicas_moved) == (0, 0)
    moved = plan(t, drain=(6,), balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert (moved.cost, moved.bound, moved.replicas_moved) == (5, 5, 2)


def test_bytes_that_the_solver_cannot_count_are_refused() -> None:
    t = made({1: "a", 2: "b"}, {"t": [(1,), (1,)]}, {"t": 1 << 59})
    with pytest.raises(GuardRefused, match="cannot count that far") as refused:
        plan(t, balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert "--objective replicas" in refused.value.hint


def test_bytes_evened_out_with_the_bound_it_is_compared_to() -> None:
    sizes = {"a": 60, "b": 30, "c": 10}
    t = made({1: "a", 2: "a"}, {n: [(1,)] for n in sizes}, sizes)
    found = plan(t, balance=(Balance.BYTES,), tolerance=Decimal("0.2"))
    assert [(str(m.tp), m.after) for m in found.moves] == [("a-0", (2,))]
    # The share is 50 and 60 at most: 40 are above it on broker 1, and 60 is the least that fits.
    assert (found.cost, found.bound, found.gap) == (60, 40, 20)
    assert "local search" in found.proof
    [note] = plan(t, balance=(Balance.BYTES,), tolerance=Decimal(0)).notes
    assert "stay above their share" in note


def test_bytes_and_counts_together_exchange() -> None:
    sizes = {"a": 50, "b": 50, "c": 10, "d": 10}
    t = made({1: "a", 2: "a"}, {n: [(1,) if n < "c" else (2,)] for n in sizes}, sizes)
    found = plan(t, balance=(Balance.REPLICAS, Balance.BYTES))
    assert [b.after.bytes for b in found.brokers] == [60, 60]
    assert [b.after.replicas for b in found.brokers] == [2, 2]
    assert (found.cost, found.bound) == (60, 37)  # 100 - ceil(60 * 1.05)
