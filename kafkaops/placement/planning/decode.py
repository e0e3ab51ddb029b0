"""From a flow to replicas of partitions: who keeps what, and who gets which broker.

Members of a class take turns around the class's flow, entry by entry: each then has its number of
replicas, and in each rack floor or ceil of the class's share, which its bounds hold.
Invariant: no partition gets a broker twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kafkaops.placement.planning.atoms import Classes
from kafkaops.placement.planning.flow import Flow
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.table import Bools, Ints


@dataclass(frozen=True)
class Decision:
    """Of the partitions in question: which of their replicas are kept [R], and (partition, broker)
    of every new one."""

    kept: Bools
    parts: Ints
    brokers: Ints


def decide(problem: Problem, of: Classes, flow: Flow) -> Decision | None:
    """None where the pools put two replicas of a partition on one broker and no exchange helps."""
    kept = np.zeros(len(problem.table.holder), np.bool_)
    owed: dict[tuple[int, int], list[int]] = {}
    n = of.count
    full = np.repeat(n, np.diff(of.entry)) == flow.keep
    some = np.bincount(np.repeat(np.arange(len(n)), np.diff(of.entry))[~full], minlength=len(n)) > 0
    changed = some | (flow.new > 0).any(axis=1)
    for c in np.flatnonzero(~changed).tolist():
        at = int(of.replica_at[c])
        kept[of.replica[at : at + int(n[c]) * int(of.entry[c + 1] - of.entry[c])]] = True
    for c in np.flatnonzero(changed).tolist():
        _turns(problem, of, flow, c, kept, owed)
    if flow.pairs is not None:
        parts, brokers = _paired(of, flow, owed)
        return Decision(kept, parts, brokers)
    all_parts: list[int] = []
    all_brokers: list[int] = []
    for rack, topic, b, quota in flow.pools:
        units = owed.get((rack, topic), [])
        given = _share_out(problem, kept, units, b, quota)
        if given is None:
            return None
        all_parts += units
        all_brokers += given
    return Decision(kept, np.array(all_parts, np.int64), np.array(all_brokers, np.int64))


def _turns(
    problem: Problem,
    of: Classes,
    flow: Flow,
    c: int,
    kept: Bools,
    owed: dict[tuple[int, int], list[int]],
) -> None:
    count = int(of.count[c])
    members = of.member[of.first[c] : of.first[c + 1]]
    order = _shuffled(count)
    turn = 0
    entries = range(int(of.entry[c]), int(of.entry[c + 1]))
    by_rack: dict[int, list[int]] = {}
    for e in entries:
        by_rack.setdefault(int(problem.rack[of.keep[e]]), []).append(e)
    topic = int(of.topic[c])
    for r in range(of.most.shape[1]):
        for e in by_rack.get(r, ()):
            amount = int(flow.keep[e])
            picked = order[(turn + np.arange(amount)) % count]
            kept[of.replica_of(c, e)[picked]] = True
            turn += amount
        amount = int(flow.new[c, r])
        if amount:
            picked = order[(turn + np.arange(amount)) % count]
            key = (r, topic) if flow.pairs is None else (c, r)
            owed.setdefault(key, []).extend(members[np.sort(picked)].tolist())
            turn += amount


def _shuffled(count: int) -> Ints:
    """0..count-1 so that any run of it is spread over the whole (Fibonacci hashing)."""
    return np.argsort((np.arange(count, dtype=np.int64) * 2654435769) % (1 << 32), kind="stable")


def _paired(of: Classes, flow: Flow, owed: dict[tuple[int, int], list[int]]) -> tuple[Ints, Ints]:
    assert flow.pairs is not None
    parts: list[int] = []
    for c in flow.pairs[0].tolist():
        parts.append(int(of.member[of.first[c]]))
    return np.array(parts, np.int64), flow.pairs[1]


def _share_out(
    problem: Problem, kept: Bools, units: list[int], brokers: Ints, quota: Ints
) -> list[int] | None:
    """A broker for each unit, round by round; exchanges where a partition has it already."""
    most = int(quota.max(initial=0))
    rounds = [brokers[quota > i] for i in range(most)]
    order = sorted(range(len(units)), key=lambda i: units[i])
    line = np.concatenate(rounds).tolist() if rounds else []
    t = problem.table
    taken: dict[int, set[int]] = {}
    for p in units:
        if p not in taken:
            row = slice(int(t.start[p]), int(t.start[p + 1]))
            taken[p] = set(t.holder[row][kept[row] | problem.ghosts[row]].tolist())
            taken[p].update(problem.forced.get(p, ()))
    given = [-1] * len(units)
    for place, i in enumerate(order):
        p = units[i]
        if line[place] in taken[p]:
            later = next((j for j in range(place + 1, len(line)) if line[j] not in taken[p]), None)
            if later is not None:
                line[place], line[later] = line[later], line[place]
            elif not _exchange(place, line, order, units, taken):
                return None
        given[i] = line[place]
        taken[p].add(line[place])
    for place, i in enumerate(order):  # exchanges changed earlier ones
        given[i] = line[place]
    return given


def _exchange(
    place: int, line: list[int], order: list[int], units: list[int], taken: dict[int, set[int]]
) -> bool:
    mine, p = line[place], units[order[place]]
    for before in range(place):
        theirs, q = line[before], units[order[before]]
        if q != p and theirs not in taken[p] and mine not in taken[q]:
            line[before], line[place] = mine, theirs
            taken[q].discard(theirs)
            taken[q].add(mine)
            return True
    return False
