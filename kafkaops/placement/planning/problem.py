"""Goals laid over a cluster: which replicas may stay, which brokers may get some, and how many
replicas of each partition each rack must and may hold.

Invariant: whatever satisfies a `Problem` reaches its goals; what contradicts itself before any
search is refused here with a witness.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from kafkaops.placement.planning import refusals
from kafkaops.placement.planning.goals import Goals
from kafkaops.placement.planning.spread import over_racks
from kafkaops.placement.planning.table import Bools, Ints, Table, matches, topics_named
from kafkaops.placement.planning.witness import Infeasible, Witness


@dataclass
class Problem:
    """P partitions, B brokers, R replicas, K racks (the last one of brokers without a rack, where
    there are such). `need` [P] replicas are to be found in racks within [`least`, `most`] [P, K],
    besides those that are certain: `forced` pairs (partition, broker), of which `arriving` are not
    held yet, replicas on absent brokers, and everything of partitions that are not `active`.
    `stays` [R] may stay. `certain` [B] counts what is certain on each broker."""

    table: Table
    goals: Goals
    rf: Ints
    active: Bools
    rack: Ints
    racks: tuple[str, ...]
    usable: Bools
    receives: Bools
    weight: list[Fraction]
    stays: Bools
    need: Ints
    least: Ints
    most: Ints
    certain: Ints
    forced: dict[int, dict[int, int]]  # partition -> broker -> the broker that it replaces, or -1
    ghosts: Bools  # [R] on an absent broker, and stays there
    arriving: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def kept(self) -> Ints:
        """Replicas that may stay, by partition and rack [P, K]."""
        return self.by_rack(self.stays)

    def by_rack(self, which: Bools) -> Ints:
        """These replicas counted by partition and rack [P, K]."""
        t, k = self.table, len(self.racks)
        chosen = np.flatnonzero(which & (self.rack[t.holder] >= 0))
        at = t.owner[chosen] * k + self.rack[t.holder[chosen]]
        return np.bincount(at, minlength=t.partitions * k).reshape(t.partitions, k)

    def settled(self) -> Bools:
        """Partitions [P] that can stay exactly as they are."""
        kept = self.kept
        inside = ((kept >= self.least) & (kept <= self.most)).all(axis=1)
        found: Bools = inside & (kept.sum(axis=1) == self.need)
        return found


def build(table: Table, goals: Goals) -> Problem:
    """UsageFault: unknown names. Infeasible, GuardRefused: see the message."""
    refusals.unknown(table, goals)
    at = table.index()
    drained = _mask(table, goals.drain, at)
    for name in goals.drain_racks:
        drained |= table.rack == table.racks.index(name)
    for old, _ in goals.replace:
        drained[at[old]] = True
    absent = ~table.live
    if goals.drain_absent:
        drained |= absent
    refusals.contradictions(table, goals, drained)
    usable = table.live & ~drained
    refusals.rackless(table, usable, goals)
    receives = usable & ~_mask(table, goals.no_receive, at)
    rack, racks = _racks(table, usable)
    active = ~_matching(table, goals.exclude) & ~table.busy
    owner = table.owner
    refusals.left_behind(table, active, drained, goals)
    rf = _wanted(table, goals, active)
    ghosts = (absent & ~drained)[table.holder] & active[owner]
    ghosts = _without_dropped(table, ghosts, rf)
    need = np.where(active, rf - np.bincount(owner[ghosts], minlength=table.partitions), 0)
    refusals.too_few_brokers(table, need, usable, goals)
    refusals.too_few_racks(table, rf, active, usable, goals)
    forced = _forced(table, goals, at, active, usable, receives, rack, need)
    stays = active[owner] & usable[table.holder]
    held_forced = np.zeros(len(owner), np.bool_)
    arriving = 0
    for p, wanted in forced.items():
        row = slice(table.start[p], table.start[p + 1])
        here = np.isin(table.holder[row], list(wanted))
        held_forced[row] = here
        arriving += len(wanted) - int(here.sum())
    certain = np.bincount(
        table.holder[~active[owner] | ghosts], minlength=len(table.brokers)
    ).astype(np.int64)
    for wanted in forced.values():
        for b in wanted:
            certain[b] += 1
    weight = [Fraction(1)] * len(table.brokers)
    for broker, factor in goals.capacity:
        weight[at[broker]] = Fraction(factor)
    found = Problem(
        table, goals, rf, active, rack, racks, usable, receives, weight, stays, need,
        np.zeros(0, np.int64), np.zeros(0, np.int64), certain, forced, ghosts, arriving,
    )  # fmt: skip
    _bound_racks(found)
    found.stays &= ~held_forced & (found.need > 0)[owner]  # pins may leave no place for the rest
    return found


def _mask(table: Table, ids: tuple[int, ...], at: dict[int, int]) -> Bools:
    mask = np.zeros(len(table.brokers), np.bool_)
    mask[[at[b] for b in ids]] = True
    return mask


def _racks(table: Table, usable: Bools) -> tuple[Ints, tuple[str, ...]]:
    """Brokers without a rack are together in one: where they are is not known."""
    loose = table.live & (table.rack < 0)
    if not (loose & usable).any():
        return table.rack, table.racks
    return np.where(loose, len(table.racks), table.rack), (*table.racks, "(no rack)")


def _matching(table: Table, globs: tuple[str, ...]) -> Bools:
    mask = np.zeros(table.partitions, np.bool_)
    for glob in globs:
        mask |= topics_named(table, glob)
    return mask


def _wanted(table: Table, goals: Goals, active: Bools) -> Ints:
    rf = table.rf.copy()
    for glob, count in goals.rf:
        rf[topics_named(table, glob) & active] = count
    return rf


def _without_dropped(table: Table, ghosts: Bools, rf: Ints) -> Bools:
    """Where fewer replicas are wanted, those on absent brokers go first."""
    ghosts = ghosts.copy()
    owner = table.owner
    for p in np.unique(owner[ghosts]):
        row = range(int(table.start[p]), int(table.start[p + 1]))
        drop = len(row) - int(rf[p])
        for r in reversed(row):
            if drop > 0 and ghosts[r]:
                ghosts[r] = False
                drop -= 1
    return ghosts


def _forced(
    table: Table, goals: Goals, at: dict[int, int], active: Bools, usable: Bools,
    receives: Bools, rack: Ints, need: Ints,
) -> dict[int, dict[int, int]]:  # fmt: skip
    forced: dict[int, dict[int, int]] = {}
    owner = table.owner
    for glob, brokers in goals.pins:
        for p in np.flatnonzero(matches(table, glob) & active):
            held = table.holder[table.start[p] : table.start[p + 1]]
            for broker in brokers:
                b = at[broker]
                takes = receives | np.isin(b, held)
                refusals.pin_refused(table, int(p), b, usable, takes, goals)
                forced.setdefault(int(p), {})[b] = -1
    for old_id, new_id in goals.replace:
        old, new = at[old_id], at[new_id]
        for p in owner[(table.holder == old) & active[owner]].tolist():
            held = table.holder[table.start[p] : table.start[p + 1]]
            beside = held[held != old]
            crowded = rack[new] != rack[old] and (rack[beside] == rack[new]).any()
            full = len(forced.get(p, ())) >= need[p]  # of pins, which come first
            if new not in held and not (crowded or full) and new not in forced.get(p, {}):
                forced.setdefault(p, {})[new] = old
    return {p: forced[p] for p in sorted(forced)}


def _bound_racks(problem: Problem) -> None:
    """Sets `need`, `least` and `most`: what each rack holds besides what is certain."""
    t, goals = problem.table, problem.goals
    k = len(problem.racks)
    kept = problem.by_rack(problem.stays)
    current = problem.by_rack(problem.active[t.owner])
    takers = problem.receives[t.holder] & problem.active[t.owner]
    in_rack = np.bincount(problem.rack[problem.usable], minlength=k)
    getting = np.bincount(problem.rack[problem.receives], minlength=k)
    reach = kept + getting[None, :] - problem.by_rack(takers)
    least, most = np.zeros_like(kept), np.zeros_like(kept)
    for count in np.unique(problem.need[problem.active]).tolist():
        low, high = over_racks(count, in_rack.tolist())
        rows = problem.active & (problem.need == count)
        least[rows], most[rows] = low, high
    if not goals.repair:
        free = np.minimum(kept, most).sum(axis=1) >= problem.need
        most = np.where(free[:, None], most, np.maximum(most, kept))
        least = np.minimum(least, current)
    most = np.minimum(most, reach)
    least = np.minimum(least, most)
    pinned, pins = _pinned(problem)
    need = problem.need - pins
    least, most = np.maximum(least - pinned, 0), np.maximum(most - pinned, 0)
    crowded = problem.active & ((most.sum(axis=1) < need) | (least.sum(axis=1) > need) | (need < 0))
    for p in np.flatnonzero(crowded).tolist():
        if need[p] < 0:
            raise _more_pins(problem, p, int(pins[p]))
        room = np.maximum(reach[p] - pinned[p], 0).tolist()
        low, high = over_racks(int(need[p]), room)
        if sum(high) < need[p]:
            raise refusals.no_room(t, p, int(need[p]), sum(high), problem.racks)
        least[p], most[p] = low, high
    if crowded.any():
        problem.notes.append(
            f"{int(crowded.sum())} partitions cannot be spread evenly over racks with the brokers"
            " that may take replicas; they are spread as evenly as those allow"
        )
    idle = ~problem.active
    least[idle], most[idle], need[idle] = 0, 0, 0
    problem.need, problem.least, problem.most = need, least, most


def _pinned(problem: Problem) -> tuple[Ints, Ints]:
    """Forced replicas by partition and rack [P, K], and by partition [P]."""
    by_rack = np.zeros((problem.table.partitions, len(problem.racks)), np.int64)
    for p, wanted in problem.forced.items():
        for b in wanted:
            by_rack[p, problem.rack[b]] += 1
    return by_rack, by_rack.sum(axis=1)


def _more_pins(problem: Problem, p: int, pins: int) -> Infeasible:
    tp = str(problem.table.tp(p))
    brokers = tuple(int(problem.table.brokers[b]) for b in problem.forced[p])
    room, away = int(problem.need[p]), int(problem.rf[p] - problem.need[p])
    return Infeasible(
        "KO-PLACEMENT-PINS",
        f"{tp} is pinned to {pins} brokers and has {room + away} replicas"
        + (f", {away} of them on brokers that are not up" if away else ""),
        Witness("pins", pins, room, ("--pin", "--rf"), (tp,), brokers),
    )
