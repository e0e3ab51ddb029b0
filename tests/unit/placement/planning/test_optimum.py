"""The optimum on clusters too large to try everything, against a linear program written apart from
the flow; and what a flow says where there is none."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest
from ortools.linear_solver import pywraplp

from kafkaops.placement.planning import bounds, flow, layout, problem
from kafkaops.placement.planning.atoms import classes
from kafkaops.placement.planning.flow import Ranges
from kafkaops.placement.planning.goals import Balance, Goals
from kafkaops.placement.planning.ranges import even
from kafkaops.placement.planning.search import search
from kafkaops.placement.planning.spread import Taker, around, over_racks, shares
from kafkaops.placement.planning.table import Table
from tests.unit.placement.planning.clusters import after, counts, held, made, plan


def random(brokers: int, racks: int, partitions: int, rf: int, *, aware: bool, full: int) -> Table:
    """Replicas on the first `full` brokers."""
    chance = np.random.default_rng(5)
    rows = []
    for _ in range(partitions):
        if aware:
            chosen = chance.permutation(racks)[:rf]
            rows.append([int(r + racks * chance.integers(full // racks)) for r in chosen])
        else:
            rows.append(chance.choice(full, rf, replace=False).tolist())
    names = {b: f"r{b % racks}" for b in range(brokers)}
    return made(names, {"t": rows[: partitions // 2], "u": rows[partitions // 2 :]})


def optimum(t: Table, *, by_topic: bool) -> float:
    """x[p, b] as they stand in the formulation, all of them, as a linear program (GLOP)."""
    solver = pywraplp.Solver.CreateSolver("GLOP")
    brokers, now = t.brokers.tolist(), held(t)
    racks = {b: t.rack_name(i) for i, b in enumerate(brokers)}
    names = sorted({str(r) for r in racks.values()})
    x = {(key, b): solver.NumVar(0, 1, "") for key in now for b in brokers}
    for key, row in now.items():
        solver.Add(sum(x[key, b] for b in brokers) == len(row))
        for name in names:
            inside = sum(x[key, b] for b in brokers if racks[b] == name)
            solver.Add(inside >= len(row) // len(names))
            solver.Add(inside <= -(-len(row) // len(names)))
    groups = [list(now)]
    if by_topic:
        groups += [[key for key in now if key[0] == topic] for topic in t.topics]
    for keys in groups:
        share = sum(len(now[key]) for key in keys) / len(brokers)
        for b in brokers:
            solver.Add(sum(x[key, b] for key in keys) >= floor(share))
            solver.Add(sum(x[key, b] for key in keys) <= ceil(share))
    solver.Minimize(sum(v for (key, b), v in x.items() if b not in now[key]))
    assert solver.Solve() == pywraplp.Solver.OPTIMAL
    return float(solver.Objective().Value())


@pytest.mark.parametrize("by_topic", [False, True])
@pytest.mark.parametrize(
    ("brokers", "racks", "partitions", "rf", "aware", "full"),
    [
        (12, 3, 80, 3, True, 9),
        (12, 3, 80, 3, False, 12),
        (12, 4, 80, 2, False, 8),
        (10, 2, 60, 3, False, 10),
        (12, 4, 60, 3, True, 8),
        (12, 3, 40, 4, False, 12),
        (6, 1, 40, 2, False, 4),
    ],
)
def test_the_flow_and_the_linear_program_agree(
    brokers: int, racks: int, partitions: int, rf: int, aware: bool, full: int, by_topic: bool
) -> None:
    t = random(brokers, racks, partitions, rf, aware=aware, full=full)
    balance = (Balance.REPLICAS, *((Balance.TOPICS,) if by_topic else ()))
    found = plan(t, repair=True, balance=balance)
    assert found.cost == found.bound == pytest.approx(optimum(t, by_topic=by_topic))
    assert found.closed_form <= found.cost
    load = counts(after(t, found).values()).values()
    assert max(load) - min(load) <= 1


def test_a_first_search_over_few_partitions_finds_what_all_of_them_do() -> None:
    t = random(24, 4, 600, 3, aware=True, full=20)
    asked = problem.build(t, Goals(add=tuple(range(20, 24))))
    whole, some = search(asked), search(asked, wide=10)
    assert (some.cost, some.bound, some.proof) == (whole.cost, whole.bound, "closed form")
    laid = layout.laid_out(t, layout.changed(asked, some.decision))
    load = np.bincount(laid.holder, minlength=24)
    assert load.max() - load.min() <= 1


@pytest.mark.parametrize(("partitions", "stray"), [(60, 4), (60, 60), (200, 30)])
def test_a_small_flow_bounds_what_all_partitions_need(partitions: int, stray: int) -> None:
    """Broken partitions among many that are well: more is known than what can be counted."""
    well = random(24, 4, partitions, 3, aware=True, full=24)
    broken = random(24, 4, stray, 3, aware=False, full=24)
    rows = [well.replicas(p) for p in range(partitions)]
    t = made(
        {b: f"r{b % 4}" for b in range(24)},
        {"t": rows, "u": [broken.replicas(p) for p in range(stray)]},
    )
    asked = problem.build(t, Goals(repair=True, balance=(Balance.REPLICAS,)))
    ranges = even(asked, by_topic=False)
    bound = bounds.relaxed(asked, ranges)
    assert bounds.closed_form(asked, ranges, by_bytes=False) <= bound == search(asked).cost
    hungry = Ranges(np.full(24, 10**6), np.full(24, 10**6))
    assert bounds.relaxed(asked, hungry) == 0


def test_where_there_is_no_flow_the_cut_says_so_in_numbers() -> None:
    t = made({1: "a", 2: "b", 3: "a"}, {"t": [(1, 2), (3, 2)]})
    asked = problem.build(t, Goals(repair=True))
    of = classes(asked, asked.active, by_topic=False, by_bytes=False)
    tight = flow.blocked(asked, of, Ranges(np.zeros(3, np.int64), np.array([0, 2, 1])))
    assert tight is not None
    assert (tight.need, tight.room) == (2, 1)
    hungry = Ranges(np.array([0, 0, 3]), np.array([9, 9, 9]))
    assert flow.solve(asked, of, hungry) is None
    block = flow.blocked(asked, of, hungry)
    assert block is not None
    assert block.need > block.room
    assert block.starved.tolist() == [2]


@pytest.mark.parametrize(
    ("replicas", "brokers", "least", "most"),
    [
        (3, [2, 2, 2], [1, 1, 1], [1, 1, 1]),
        (2, [2, 2, 2], [0, 0, 0], [1, 1, 1]),
        (4, [2, 2, 2], [1, 1, 1], [2, 2, 2]),
        (3, [5, 1], [2, 1], [2, 1]),
        (4, [5, 1], [3, 1], [3, 1]),
        (3, [0, 5, 5], [0, 1, 1], [0, 2, 2]),
        (3, [1, 1], [1, 1], [1, 1]),
    ],
)
def test_replicas_over_racks(
    replicas: int, brokers: list[int], least: list[int], most: list[int]
) -> None:
    assert over_racks(replicas, brokers) == (least, most)


def test_shares_are_exact_fractions() -> None:
    from fractions import Fraction as F

    three = [Taker(F(1), 0, 99, r) for r in (0, 0, 1)]
    assert shares(three, 10, [(0, 99), (0, 99)]) == [F(10, 3)] * 3
    assert shares(three, 10, [(0, 99), (5, 5)]) == [F(5, 2), F(5, 2), F(5)]
    weighed = [Taker(F(2), 0, 99, 0), Taker(F(1), 0, 99, 0), Taker(F(1), 4, 99, 0)]
    assert shares(weighed, 10, [(0, 99)]) == [F(4), F(2), F(4)]
    assert around(F(10, 3), F(0)) == (3, 4)
    assert around(F(4), F(0)) == (4, 4)
    assert around(F(10), F(1, 20)) == (9, 11)
