"""Finds replicas that reach a problem's bounds with the fewest moves, and says how that is known.

A search over few partitions whose cost meets the closed-form bound, or that of a smaller flow, is
proven by it; else more partitions are taken in, and with all of them the flow's own optimum is the
proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kafkaops.placement.planning import bounds, decode, flow
from kafkaops.placement.planning.atoms import Classes, classes
from kafkaops.placement.planning.decode import Decision
from kafkaops.placement.planning.flow import Ranges
from kafkaops.placement.planning.goals import Balance, Objective
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.ranges import even, gentle
from kafkaops.placement.planning.table import Bools
from kafkaops.placement.planning.witness import Infeasible, Witness, some

CLOSED, FLOW = "closed form", "min-cost flow"

WIDE = 20_000
"""Partitions whose racks are not apart that a first search takes whole."""


@dataclass(frozen=True)
class Found:
    """What is kept and new, what it costs (replicas or bytes), the least that any plan costs, the
    bound counted without a search, and what proves the least."""

    decision: Decision
    cost: int
    bound: int
    closed: int
    proof: str
    ranges: Ranges


def search(problem: Problem, *, wide: int = WIDE) -> Found:
    """Infeasible: no replicas lie within all bounds. Beyond `wide` partitions whose racks are not
    apart, a few of them are tried first."""
    by_bytes = problem.goals.objective is Objective.BYTES
    by_topic = problem.goals.evens(Balance.TOPICS)
    if problem.goals.evens(Balance.REPLICAS) or by_topic:
        return _even(problem, wide, by_bytes=by_bytes, by_topic=by_topic)
    return _gentle(problem, by_bytes=by_bytes)


def _even(problem: Problem, wide: int, *, by_bytes: bool, by_topic: bool) -> Found:
    ranges = even(problem, by_topic=by_topic)
    closed = bounds.closed_form(problem, ranges, by_bytes=by_bytes)
    everything = problem.active & (problem.need > 0)
    for chosen in _choices(problem, ranges, everything, by_bytes, wide):
        last = bool((chosen == everything).all())
        decision = _solved(problem, ranges, chosen, by_bytes=by_bytes, by_topic=by_topic)
        if decision is None:
            if last:
                raise _infeasible(problem, ranges, chosen, by_topic)
            continue
        cost = _cost(problem, decision, by_bytes)
        if last or cost == closed or cost == bounds.relaxed(problem, ranges):
            proof = CLOSED if cost == closed else FLOW
            return Found(decision, cost, cost, closed, proof, ranges)
    raise AssertionError("the last choice is everything")


def _gentle(problem: Problem, *, by_bytes: bool) -> Found:
    """Only what must move; each partition by itself, so its own least is the bound."""
    single = bounds.mandatory(problem)
    moves = int(single.sum())
    chosen = problem.active & (problem.need > 0) & ~problem.settled()
    closed = int((single * problem.table.size).sum()) if by_bytes else moves
    closed += bounds.arriving_bytes(problem) if by_bytes else problem.arriving
    slack = 0
    while True:
        ranges = gentle(problem, moves, slack)
        decision = _solved(problem, ranges, chosen, by_bytes=by_bytes, by_topic=False)
        cost = None if decision is None else _cost(problem, decision, by_bytes)
        if decision is not None and cost == closed:
            return Found(decision, closed, closed, closed, CLOSED, ranges)
        if slack > problem.table.partitions:  # nothing but the partitions themselves binds any more
            if decision is None or cost is None:
                raise _infeasible(problem, ranges, chosen, False)
            return Found(decision, cost, cost, closed, FLOW, ranges)
        slack = 2 * slack + 1


def _choices(
    problem: Problem, ranges: Ranges, everything: Bools, by_bytes: bool, wide: int
) -> list[Bools]:
    """Sets of partitions to search over, the last one all."""
    tied = everything & ~bounds.separable(problem)
    if by_bytes or int(tied.sum()) <= wide:
        return [everything]
    first = everything & (~tied | ~problem.settled())
    choices = [first | _donated(problem, ranges, tied, share) for share in (2, 8)]
    return [*(c for c in choices if c.sum() < 0.7 * everything.sum()), everything]


def _donated(problem: Problem, ranges: Ranges, tied: Bools, share: int) -> Bools:
    """Partitions [P] with a replica on a broker that has too many, `share` times as many of them
    as it must give away, followers first; and if brokers lack more than that, of all above their
    least."""
    t = problem.table
    mask = np.zeros(t.partitions, np.bool_)
    r = np.flatnonzero(problem.stays & tied[t.owner])
    lead = t.start[t.owner[r]] == r
    spread = (t.owner[r] * 2654435769) % (1 << 32)
    r = r[np.lexsort((spread, lead, t.holder[r]))]
    stay = np.bincount(t.holder[problem.stays], minlength=len(t.brokers))
    over = np.maximum(stay - ranges.high, 0)
    lacks = int(np.maximum(ranges.low - stay, 0).sum())
    give = over * share
    if lacks > over.sum():
        give = np.maximum(stay - ranges.low, 0) * share
    edges = np.searchsorted(t.holder[r], np.arange(len(t.brokers) + 1))
    nth = np.arange(len(r)) - edges[t.holder[r]]
    mask[t.owner[r[nth < give[t.holder[r]]]]] = True
    return mask


def _solved(
    problem: Problem, ranges: Ranges, chosen: Bools, *, by_bytes: bool, by_topic: bool
) -> Decision | None:
    """A decision on all partitions: those not chosen stay. None where that cannot be."""
    frozen = problem.stays & ~chosen[problem.table.owner]
    left = _without(problem, ranges, frozen)
    if left is None:
        return None
    of = classes(problem, chosen, by_topic=by_topic, by_bytes=by_bytes)
    found = flow.solve(problem, of, left)
    if found is None:
        return None
    decision = decode.decide(problem, of, found)
    if decision is None:
        of = classes(problem, chosen, by_topic=by_topic, by_bytes=by_bytes, apart=True)
        found = flow.solve(problem, of, left, spelled=True)
        decision = None if found is None else decode.decide(problem, of, found)
    return None if decision is None else replace(decision, kept=decision.kept | frozen)


def _without(problem: Problem, ranges: Ranges, frozen: Bools) -> Ranges | None:
    held = np.bincount(problem.table.holder[frozen], minlength=len(ranges.low))
    low, high = np.maximum(ranges.low - held, 0), ranges.high - held
    if (high < 0).any():
        return None
    return replace(ranges, low=low, high=high)


def _cost(problem: Problem, decision: Decision, by_bytes: bool) -> int:
    if by_bytes:
        return int(problem.table.size[decision.parts].sum()) + bounds.arriving_bytes(problem)
    return len(decision.parts) + problem.arriving


def _infeasible(problem: Problem, ranges: Ranges, chosen: Bools, by_topic: bool) -> Infeasible:
    """Reads a minimum cut: partitions that may only lie on brokers that take less, or brokers that
    must get more than may come to them."""
    t, goals = problem.table, problem.goals
    left = _without(problem, ranges, problem.stays & ~chosen[t.owner]) or ranges
    of: Classes = classes(problem, chosen, by_topic=by_topic, by_bytes=False)
    found = flow.blocked(problem, of, left)
    if found is None:  # a pool lets a partition have a broker twice: every pair by itself, then
        of = classes(problem, chosen, by_topic=by_topic, by_bytes=False, apart=True)
        found = flow.blocked(problem, of, left, spelled=True)
    assert found is not None, "there is no flow, so there is a cut"
    members = [of.member[of.first[i] : of.first[i + 1]] for i in found.classes.tolist()]
    parts = np.unique(np.concatenate([*members, np.zeros(0, np.int64)])).astype(np.int64)
    brokers = found.full if len(found.full) else found.starved
    ids = tuple(t.brokers[brokers].tolist())
    given = {
        "--tolerance": True,
        "--balance topics": by_topic,
        "--exclude": goals.exclude,
        "--pin": goals.pins,
        "--replace": goals.replace,
        "--no-receive": goals.no_receive,
        "--capacity": goals.capacity,
    }
    words = (
        f"{len(parts)} partitions bring {found.need} replicas, and {found.room} can go where they"
        " must"
        if len(parts)
        else f"shares within topics put {found.need} replicas on brokers ({some(ids)}) that have"
        f" room for {found.room}"
    )
    return Infeasible(
        "KO-PLACEMENT-INFEASIBLE",
        f"no placement gives every broker its share: {words}",
        Witness(
            "shares of brokers",
            found.need,
            found.room,
            tuple(flag for flag, is_given in given.items() if is_given),
            tuple(str(t.tp(p)) for p in parts.tolist()),
            ids,
        ),
    )
