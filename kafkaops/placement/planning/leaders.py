"""Preferred leaders, evened out without moving a byte.

Every replica carries 1/RF of its partition's leadership, so that the even share of a broker, and of
a topic on a broker, is the sum over what it holds. Leader counts of floor or ceil of each share, on
all of them at once, exist because the fractions are a flow; the one with the fewest changes is
found by min-cost flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np

from kafkaops.placement.planning.layout import After, Layout
from kafkaops.placement.planning.network import Network
from kafkaops.placement.planning.table import Bools, Ints, Table


@dataclass(frozen=True)
class Shares:
    """Fewest and most leaders of each group (a broker, or a topic on a broker)."""

    groups: Ints
    low: Ints
    high: Ints


def candidates(layout: Layout, among: Bools, can: Bools) -> Ints:
    """Replicas [R] of these partitions [P] on brokers [B] that can lead."""
    return np.flatnonzero(among[layout.owner] & can[layout.holder])


def shares(layout: Layout, r: Ints, group: Ints) -> Shares:
    """Floor and ceil of each group's share of leadership; `group` names that of each replica r."""
    owner = layout.owner[r]
    of = np.bincount(owner, minlength=len(layout.start) - 1)[owner]
    sizes = np.unique(of)
    whole = lcm(*sizes.tolist()) if len(sizes) else 1
    groups, at = np.unique(group, return_inverse=True)
    total = np.zeros(len(groups), np.int64)
    np.add.at(total, at, whole // of)
    return Shares(groups, total // whole, -(-total // whole))


def even(table: Table, layout: Layout, among: Bools, can: Bools) -> After:
    """Replicas in a new order, of partitions whose preferred leader is to be another one than
    `layout` has; the others keep their order behind it."""
    r = candidates(layout, among, can)
    if not len(r):
        return {}
    brokers = len(table.brokers)
    owner, holder = layout.owner[r], layout.holder[r]
    slot = table.topic[owner] * brokers + holder
    by_broker, by_slot = shares(layout, r, holder), shares(layout, r, slot)
    counts = np.bincount(np.searchsorted(by_slot.groups, slot), minlength=len(by_slot.groups))
    held = by_slot.groups[counts > 1]  # the share of a single replica binds nobody
    low, high = by_slot.low[counts > 1], by_slot.high[counts > 1]
    net = Network()
    parts, part_at = np.unique(owner, return_inverse=True)
    p = net.node(len(parts))
    s = net.node(len(held))
    b = net.node(len(by_broker.groups))
    sink = net.node()
    net.supply(p + np.arange(len(parts)), np.ones(len(parts), np.int64))
    net.supply(np.array([sink]), np.array([-len(parts)]))
    net.arc(
        b + np.arange(len(by_broker.groups)),
        np.full(len(by_broker.groups), sink),
        by_broker.high,
        low=by_broker.low,
    )
    above = np.searchsorted(by_broker.groups, held % brokers)
    net.arc(s + np.arange(len(held)), b + above, high, low=low)
    alone = counts[np.searchsorted(by_slot.groups, slot)] == 1
    straight = b + np.searchsorted(by_broker.groups, holder)
    into = np.where(alone, straight, s + np.searchsorted(held, slot))
    block = net.arc(p + part_at, into, np.ones(len(r), np.int64), _price(table, layout, r))
    flow = net.solve()
    assert flow is not None, "every share is met by its fractions, so there is a flow"
    led = r[flow[block] > 0]
    anew = led[layout.start[layout.owner[led]] != led]
    found: After = {}
    for replica, one in zip(anew.tolist(), layout.owner[anew].tolist(), strict=True):
        leader = int(layout.holder[replica])
        found[one] = (leader, *(x for x in layout.of(one) if x != leader))
    return found


def _price(table: Table, layout: Layout, r: Ints) -> Ints:
    """1 for a change of the preferred leader that need not be."""
    owner = layout.owner[r]
    first = table.holder[np.minimum(table.start[:-1], len(table.holder) - 1)]
    here = np.zeros(table.partitions, np.bool_)
    here[layout.owner[layout.holder == first[layout.owner]]] = True
    price: Ints = (here[owner] & (layout.holder[r] != first[owner])).astype(np.int64)
    return price


def changed(table: Table, layout: Layout) -> int:
    """Partitions whose preferred leader is another one than now."""
    full = (np.diff(table.start) > 0) & (np.diff(layout.start) > 0)
    return int(
        (table.holder[table.start[:-1][full]] != layout.holder[layout.start[:-1][full]]).sum()
    )
