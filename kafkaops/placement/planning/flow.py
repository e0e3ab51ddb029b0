"""The fewest moves that reach a problem's bounds, by min-cost flow.

A kept replica costs nothing, a new one its price. Arcs are compressed: what is new goes through a
pool of its rack, so that there is no arc for every pair of partition and broker. The pools forget
who is on their way; where a rack may hold only one new replica of a partition that is no loss
(whoever came back to a broker that it left would rather have stayed), elsewhere `spelled` keeps
an arc for every pair. Between plans of equal cost the one that keeps more preferred leaders wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kafkaops.placement.planning.atoms import LAGGING, LEADER, Classes
from kafkaops.placement.planning.goals import Balance, Objective
from kafkaops.placement.planning.network import Network
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.table import Bools, Ints

Nodes = Callable[[Ints, Ints], Ints]
_SAFE = 1 << 60  # the solver multiplies costs by nodes, in 64 bits


@dataclass(frozen=True)
class Ranges:
    """How many of the replicas in question each broker holds, [B] each; `by_topic` maps a topic
    to the same within it."""

    low: Ints
    high: Ints
    by_topic: dict[int, tuple[Ints, Ints]] | None = None


@dataclass(frozen=True)
class Flow:
    """`keep` counts members that keep each entry, `new` [C, K] new replicas by class and rack.
    `pools` lists (rack, topic or 0, brokers, how many each gets). Spelled out, `pairs` lists
    (class, broker) of every new replica instead."""

    keep: Ints
    new: Ints
    pools: tuple[tuple[int, int, Ints, Ints], ...]
    pairs: tuple[Ints, Ints] | None = None


@dataclass
class Built:
    """A network with where to find its parts: slices of arcs, and first nodes."""

    net: Network
    keeps: slice
    news: list[tuple[slice, Ints, Ints]]
    pools: list[tuple[int, int, slice, Ints]]
    pairs: tuple[slice, Ints, Ints] | None
    class_at: int
    broker_at: int
    sink: int
    step: int  # what a new replica costs at the most


def solve(problem: Problem, of: Classes, ranges: Ranges, *, spelled: bool = False) -> Flow | None:
    """None where the bounds contradict each other; `blocked` then says which."""
    built = build(problem, of, ranges, spelled)
    flow = built.net.solve()
    if flow is None:
        return None
    new = np.zeros(of.most.shape, np.int64)
    for block, c, r in built.news:
        np.add.at(new, (c, r), flow[block])
    pairs = None
    if built.pairs is not None:
        block, c, b = built.pairs
        taken = np.flatnonzero(flow[block])
        times = flow[block][taken]
        pairs = (np.repeat(c[taken], times), np.repeat(b[taken], times))
        np.add.at(new, (pairs[0], problem.rack[pairs[1]]), 1)
    pools = tuple((r, topic, b, flow[block]) for r, topic, block, b in built.pools)
    return Flow(flow[built.keeps], new, pools, pairs)


@dataclass(frozen=True)
class Block:
    """Why there is no flow, by a minimum cut: the classes on its side that cannot get out, brokers
    that are full there, brokers beyond it that must get more than comes, and the two numbers."""

    classes: Ints
    full: Ints
    starved: Ints
    need: int
    room: int


def blocked(
    problem: Problem, of: Classes, ranges: Ranges, *, spelled: bool = False
) -> Block | None:
    """Where no flow gets through; None where one does."""
    built = build(problem, of, ranges, spelled)
    side, need, room = built.net.cut()
    if need <= room:
        return None
    brokers = len(problem.table.brokers)
    inside = side[built.broker_at : built.broker_at + brokers]
    return Block(
        np.flatnonzero(side[built.class_at : built.class_at + len(of.count)]),
        np.flatnonzero(inside),
        np.flatnonzero(~inside & (ranges.low > 0)),
        need,
        room,
    )


def build(problem: Problem, of: Classes, ranges: Ranges, spelled: bool) -> Built:
    """The network of these classes within these ranges."""
    net = Network()
    brokers, k = len(problem.table.brokers), len(problem.racks)
    count = len(of.count)
    class_at = net.node(count)
    broker_at = net.node(brokers)
    sink = net.node()
    units = of.count * of.need
    net.supply(class_at + np.arange(count), units)
    net.supply(np.array([sink]), np.array([-units.sum()]))
    every = broker_at + np.arange(brokers)
    net.arc(every, np.full(brokers, sink), ranges.high, low=np.minimum(ranges.low, ranges.high))
    step, marks = _costs(problem, of, units, net)

    # From a class to its racks: a node of its own where something can be kept in the rack.
    of_entry = np.repeat(np.arange(count), np.diff(of.entry))
    rack_of_entry = problem.rack[of.keep]
    held = np.zeros((count, k), np.bool_)
    held[of_entry, rack_of_entry] = True
    single = (of.most > 0).sum(axis=1) == 1
    own = held & ~single[:, None] & (of.most > 0)
    at = np.full((count, k), -1, np.int64)
    at[single] = (class_at + np.flatnonzero(single))[:, None]
    c, r = np.nonzero(own)
    at[c, r] = net.node(len(c)) + np.arange(len(c))
    n = of.count
    net.arc(class_at + c, at[c, r], n[c] * of.most[c, r], low=n[c] * of.least[c, r])

    # Slots: brokers, or topics on brokers.
    slot = _slots(problem, of, ranges, net, broker_at)
    usable = of.most[of_entry, rack_of_entry] > 0
    high = np.where(usable, n[of_entry], 0)
    tail = np.where(usable, at[of_entry, rack_of_entry], class_at + of_entry)
    keeps = net.arc(tail, slot(of.topic[of_entry], of.keep), high, marks[of.mark])

    news: list[tuple[slice, Ints, Ints]] = []
    pools: list[tuple[int, int, slice, Ints]] = []
    c, r = np.nonzero((of.most > 0) & _gets(problem)[None, :])
    direct = at[c, r] < 0
    tail = np.where(direct, class_at + c, at[c, r])
    low = np.where(direct, n[c] * of.least[c, r], 0)
    high = n[c] * of.most[c, r]
    if spelled:
        return Built(
            net, keeps, news, pools, _spell(problem, of, net, slot, tail, c, r, low, high, step),
            class_at, broker_at, sink, int(step.max(initial=1)),
        )  # fmt: skip
    pool, made = _pools(problem, of, ranges, net)
    news.append((net.arc(tail, pool(of.topic[c], r), high, step[c], low), c, r))
    for (rack, topic), node in made.items():
        b = np.flatnonzero(problem.receives & (problem.rack == rack))
        into = slot(np.full(len(b), topic), b)
        block = net.arc(np.full(len(b), node), into, units.sum())
        pools.append((rack, topic, block, b))
    top = int(step.max(initial=1))
    return Built(net, keeps, news, pools, None, class_at, broker_at, sink, top)


def _gets(problem: Problem) -> Bools:
    """Racks [K] with a broker that may receive."""
    gets = np.zeros(len(problem.racks), np.bool_)
    gets[problem.rack[problem.receives]] = True
    return gets


def _costs(problem: Problem, of: Classes, units: Ints, net: Network) -> tuple[Ints, Ints]:
    """What a new replica costs by class, and a kept one by its mark. Of plans that copy equally
    many bytes the one with fewer replicas is taken. Kept ones differ by less in all than one
    replica costs, so that they only decide between equals; they do not differ where leaders are
    evened out afterwards anyway, as wide costs are slow."""
    count = int(units.sum())
    price = of.price
    if problem.goals.objective is Objective.BYTES and _safe(price, count + 1, net):
        price = price * (count + 1) + 1
    rest = 3 * count + 1
    plain = problem.goals.evens(Balance.LEADERS) and not (of.mark == LAGGING).any()
    if plain or not _safe(price, rest, net):
        return price, np.zeros(LAGGING + 1, np.int64)
    marks = np.array([0, 1, 3], np.int64)
    assert marks[LEADER] == 0
    return price * rest, marks


def _safe(price: Ints, times: int, net: Network) -> bool:
    """Whether the solver can take prices that many times as high."""
    return int(price.max(initial=1)) * times * 8 * (net.nodes + 1) < _SAFE


def _slots(problem: Problem, of: Classes, ranges: Ranges, net: Network, broker_at: int) -> Nodes:
    """The node that a topic's replica on a broker goes to: the broker's, or one of both."""
    if ranges.by_topic is None:
        return lambda topic, broker: broker_at + broker
    brokers = len(problem.table.brokers)
    topics = np.array(sorted(ranges.by_topic), np.int64)
    base = net.node(len(topics) * brokers)
    for i, topic in enumerate(topics.tolist()):
        low, high = ranges.by_topic[topic]
        b = np.arange(brokers)
        net.arc(base + i * brokers + b, broker_at + b, high, low=low)
    return lambda topic, broker: base + np.searchsorted(topics, topic) * brokers + broker


def _pools(
    problem: Problem, of: Classes, ranges: Ranges, net: Network
) -> tuple[Nodes, dict[tuple[int, int], int]]:
    """The node of a rack's pool (of a topic's, where topics are evened out), and all there are."""
    k = len(problem.racks)
    racks = np.flatnonzero(_gets(problem)).tolist()
    topics = np.zeros(1, np.int64) if ranges.by_topic is None else np.unique(of.topic)
    base = net.node(len(topics) * k)
    made = {(r, t): base + i * k + r for i, t in enumerate(topics.tolist()) for r in racks}
    if ranges.by_topic is None:
        return (lambda topic, rack: base + rack), made
    return (lambda topic, rack: base + np.searchsorted(topics, topic) * k + rack), made


def _spell(
    problem: Problem, of: Classes, net: Network, slot: Nodes, tail: Ints, c: Ints, r: Ints,
    low: Ints, high: Ints, step: Ints,
) -> tuple[slice, Ints, Ints]:  # fmt: skip
    """A node for each class and rack, and an arc to every broker that the class does not hold."""
    mid = net.node(len(c)) + np.arange(len(c))
    net.arc(tail, mid, high, low=low)
    b = np.flatnonzero(problem.receives)
    which, b_at = np.nonzero(r[:, None] == problem.rack[b][None, :])
    broker, cls = b[b_at], c[which]
    banned: set[tuple[int, int]] = set()
    t = problem.table
    entries = np.repeat(np.arange(len(of.count)), np.diff(of.entry))
    banned.update(zip(entries.tolist(), of.keep.tolist(), strict=True))
    for one in range(len(of.count)):
        for b_forced in problem.forced.get(int(of.member[of.first[one]]), ()):
            banned.add((one, b_forced))
    free = np.fromiter(
        ((x, y) not in banned for x, y in zip(cls.tolist(), broker.tolist(), strict=True)),
        np.bool_, len(cls),
    )  # fmt: skip
    cls, broker, which = cls[free], broker[free], which[free]
    block = net.arc(
        mid[which], slot(t.topic[of.member[of.first[cls]]], broker), of.count[cls], step[cls]
    )
    return block, cls, broker
