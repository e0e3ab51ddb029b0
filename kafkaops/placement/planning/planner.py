"""From a cluster and goals to a `Placement`: the fewest moves, proven where that is possible.

Invariant: the same state and goals give the same plan to the byte, and a plan's own result has
nothing left to do for the same goals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kafkaops.model.cluster import ClusterState
from kafkaops.placement.moves import Move
from kafkaops.placement.planning import bytes as sizes
from kafkaops.placement.planning import disks, leaders, problem, room, table
from kafkaops.placement.planning import layout as layouts
from kafkaops.placement.planning.goals import Balance, Goals, Objective
from kafkaops.placement.planning.layout import After, Layout
from kafkaops.placement.planning.plan import BrokerLoad, Load, Placement, Violations
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.search import search
from kafkaops.placement.planning.spread import over_racks
from kafkaops.placement.planning.table import Bools, Ints, Table
from kafkaops.placement.planning.witness import some

DEFAULT = Goals(repair=True, balance=(Balance.REPLICAS, Balance.LEADERS))
"""What is planned where nothing is asked for."""


def completed(goals: Goals) -> Goals:
    """The goals, and where they are to reach nothing, what is planned then."""
    if not goals.none:
        return goals
    return replace(goals, repair=DEFAULT.repair, balance=DEFAULT.balance)


def plan(state: ClusterState, goals: Goals) -> Placement:
    """The plan for a cluster. UsageFault: unknown names in the goals. GuardRefused (`Infeasible`
    with a witness): no placement reaches them."""
    found = of_table(table.of_state(state), goals)
    room.refuse_full(state, found)
    if not goals.evens(Balance.DISKS):
        return found
    up = [b.id for b in found.brokers if b.live and not b.emptied]
    evened = disks.even(state.log_dirs, found.moves, up, goals.tolerance)
    notes = (*found.notes, *_disk_notes(evened)) if evened.moves or evened.over else found.notes
    return replace(found, dir_moves=evened.moves, notes=notes)


def of_table(t: Table, goals: Goals) -> Placement:
    """The same for arrays, without log directories."""
    asked = problem.build(t, goals)
    if Balance.BYTES in goals.balance or goals.objective is Objective.BYTES:
        sizes.refuse_without_sizes(asked)
    found = search(asked)
    after = layouts.changed(asked, found.decision)
    laid = layouts.laid_out(t, after)
    evened = None
    if goals.evens(Balance.BYTES):
        evened = sizes.even(asked, laid, found.ranges if goals.evens(Balance.REPLICAS) else None)
        after = _merged(after, evened.after)
        laid = layouts.laid_out(t, after)
    if goals.evens(Balance.LEADERS):
        after = _merged(after, leaders.even(t, laid, asked.active, asked.usable))
        laid = layouts.laid_out(t, after)
    moves = _moves(t, after)
    copied = sum(len(m.adding) for m in moves)
    size = sum(m.copied for m in moves)
    cost, bound, closed, proof = found.cost, found.bound, found.closed, found.proof
    if evened is not None:  # what the flow proves holds for counts; bytes have a bound of their own
        mandatory = found.bound if goals.objective is Objective.BYTES else 0
        cost, proof = size, sizes.PROOF
        bound = closed = min(size, max(mandatory, sizes.bound(asked, layouts.now(t), laid)))
    else:
        assert cost == (size if goals.objective is Objective.BYTES else copied)
    over = {} if evened is None else evened.over
    return Placement(
        t.cluster_id, goals, moves, (), cost, bound, closed, proof,
        copied, size, leaders.changed(t, laid), _loads(t, asked, laid),
        violations(t, layouts.now(t), asked.rack, t.live),
        violations(t, laid, asked.rack, asked.usable),
        tuple(asked.notes + _notes(t, asked, laid) + _byte_notes(over)),
    )  # fmt: skip


def _merged(after: After, more: After) -> After:
    merged = {**after, **more}
    return {p: merged[p] for p in sorted(merged)}


def _byte_notes(over: Mapping[int, int]) -> list[str]:
    if not over:
        return []
    ids = some(sorted(over))
    return [
        f"{len(over)} brokers stay above their share of bytes, as no replica fits elsewhere ({ids})"
    ]


def _disk_notes(evened: disks.Evened) -> list[str]:
    found = [
        f"disks: {evened.bytes} bytes to other disks, at least {evened.bound} (bytes above each"
        f" disk's share; local search), gap {evened.bytes - evened.bound}"
    ]
    if evened.over:
        found.append(f"disks that stay above their share: {some(evened.over)}")
    return found


def _moves(t: Table, after: After) -> tuple[Move, ...]:
    ids = t.brokers.tolist()
    found = []
    for p in sorted(after):
        before, then = t.replicas(p), tuple(ids[b] for b in after[p])
        if before != then:
            found.append(Move(t.tp(p), before, then, int(t.size[p])))
    return tuple(found)


def _loads(t: Table, asked: Problem, laid: Layout) -> tuple[BrokerLoad, ...]:
    then = _load(t, laid)
    now = _load(t, layouts.now(t))
    return tuple(
        BrokerLoad(
            int(t.brokers[b]), t.rack_name(b), bool(t.live[b]),
            bool(t.live[b] and not asked.usable[b]), now[b], then[b],
        )
        for b in range(len(t.brokers))
    )  # fmt: skip


def _load(t: Table, laid: Layout) -> list[Load]:
    count = len(t.brokers)
    replicas = np.bincount(laid.holder, minlength=count)
    first = laid.holder[laid.start[:-1][np.diff(laid.start) > 0]]
    led = np.bincount(first, minlength=count)
    held = np.zeros(count, np.int64)
    np.add.at(held, laid.holder, t.size[laid.owner])
    triples = zip(replicas.tolist(), led.tolist(), held.tolist(), strict=True)
    return [Load(*three) for three in triples]


def violations(t: Table, laid: Layout, rack: Ints, usable: Bools) -> Violations:
    """Partitions that are not spread over the racks of usable brokers as evenly as can be. Where
    no broker names a rack there is nothing to judge."""
    k = int(rack.max(initial=-1)) + 1
    if not k:
        return Violations(0)
    placed = np.flatnonzero(rack[laid.holder] >= 0)
    at = laid.owner[placed] * k + rack[laid.holder[placed]]
    spread = np.bincount(at, minlength=t.partitions * k).reshape(t.partitions, k)
    in_rack = np.bincount(rack[usable & (rack >= 0)], minlength=k).tolist()
    total = spread.sum(axis=1)
    bad = np.zeros(t.partitions, np.bool_)
    for count in np.unique(total).tolist():
        low, high = over_racks(count, in_rack)
        rows = total == count
        bad[rows] = ((spread[rows] < low) | (spread[rows] > high)).any(axis=1)
    rows = np.flatnonzero(bad)
    return Violations(len(rows), tuple(str(t.tp(p)) for p in rows[:5].tolist()))


def _notes(t: Table, asked: Problem, laid: Layout) -> list[str]:
    found = []
    if t.busy.any():
        found.append(f"{int(t.busy.sum())} partitions are on the move already and left alone")
    ghosts = np.unique(t.owner[asked.ghosts])
    if len(ghosts):
        ids = np.unique(t.brokers[t.holder[asked.ghosts]]).tolist()
        found.append(
            f"{len(ghosts)} partitions have replicas on brokers that are not up ({some(ids)}), and"
            " these stay; --drain such a broker to replace them"
        )
    racks = len(np.unique(asked.rack[asked.usable]))
    tight = int((np.diff(laid.start)[asked.active] > racks).sum())
    if tight:
        found.append(
            f"{tight} partitions have more replicas than there are racks ({racks}): some share one"
        )
    return found
