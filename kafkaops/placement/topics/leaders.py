"""Who leads each new partition, and in which order the others follow. Pure.

Leaders are chosen after replicas. Leadership is moved along chains of partitions (u hands one to w,
w another one to v) until no chain makes it more even: over the brokers, then over racks, then over
what brokers lead of all topics. For the brokers alone that is the optimum: the counts of leaders
that given replicas allow are the bases of a matroid (Murota, Discrete Convex Analysis, 2003). With
racks it need not be; where racks differ by more than one a min-cost flow has the last word, whose
costs are convex in the leaders of each broker and of each rack.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Protocol

Replicas = tuple[int, ...]
"""Node ids of one partition, the preferred leader first."""


class Led(Protocol):
    """A broker as this file needs it: `leaders` are what it leads of all topics."""

    @property
    def id(self) -> int: ...
    @property
    def rack(self) -> str: ...
    @property
    def leaders(self) -> int: ...


class Leadership:
    """Leaders of `sets`, by position, and how many each broker and rack leads of the topic. They
    begin as `given`, or each with the replica that leads the least so far."""

    def __init__(
        self,
        ring: Sequence[Led],
        sets: Sequence[Sequence[int]],
        there: Mapping[int, Replicas],
        given: Sequence[int] | None = None,
    ) -> None:
        self.sets = sets
        self.order = {p.id: i for i, p in enumerate(ring)}
        self.rack = {p.id: p.rack for p in ring}
        before = Counter(row[0] for row in there.values())
        self.count = {b: before[b] for b in self.order}
        self.of_rack = Counter({rack: 0 for rack in self.rack.values()})
        for broker, led in self.count.items():
            self.of_rack[self.rack[broker]] += led
        self.of_all = {p.id: p.leaders for p in ring}
        self.leader: list[int] = []
        self.leads: dict[int, set[int]] = {b: set() for b in self.order}
        for i, brokers in enumerate(sets):
            best = min(brokers, key=self._burden) if given is None else given[i]
            self.leader.append(best)
            self.leads[best].add(i)
            self._count(best, 1)

    def _burden(self, broker: int) -> tuple[int, int, int, int]:
        rack = self.of_rack[self.rack[broker]]
        return self.count[broker], rack, self.of_all[broker], self.order[broker]

    def _count(self, broker: int, by: int) -> None:
        self.count[broker] += by
        self.of_rack[self.rack[broker]] += by
        self.of_all[broker] += by

    @property
    def unevenness(self) -> tuple[int, int]:
        """Sums of squares of what brokers, and racks, lead of the topic."""
        brokers, racks = self.count.values(), self.of_rack.values()
        return sum(c * c for c in brokers), sum(c * c for c in racks)

    def gain(self, giver: int, taker: int) -> tuple[int, int, int]:
        """Change of the sums of squares, halved, if one more is led by `taker` and one less by
        `giver`: below (0, 0, 0) it gets more even."""
        racks = self.rack[giver], self.rack[taker]
        return (
            self.count[taker] - self.count[giver] + 1,
            0 if racks[0] == racks[1] else self.of_rack[racks[1]] - self.of_rack[racks[0]] + 1,
            self.of_all[taker] - self.of_all[giver] + 1,
        )

    def improve(self) -> bool:
        """Move leadership along the best chain from the first broker that has one; False: none."""
        lightest = sorted(self.order, key=self._burden)
        for giver in reversed(lightest):
            if all(self.gain(giver, taker) >= (0, 0, 0) for taker in lightest):
                continue
            came = self._reach(giver)
            taker = min(came, key=lambda b: (self.gain(giver, b), self.order[b]), default=giver)
            if taker != giver and self.gain(giver, taker) < (0, 0, 0):
                self._hand_over(giver, taker, came)
                return True
        return False

    def _reach(self, giver: int) -> dict[int, tuple[int, int]]:
        """Each broker that a chain from `giver` comes to, with the last partition of the chain and
        the broker that hands it on."""
        came: dict[int, tuple[int, int]] = {}
        queue = deque([giver])
        while queue:
            at = queue.popleft()
            for i in sorted(self.leads[at]):
                for broker in self.sets[i]:
                    if broker != giver and broker not in came:
                        came[broker] = (i, at)
                        queue.append(broker)
        return came

    def _hand_over(self, giver: int, taker: int, came: Mapping[int, tuple[int, int]]) -> None:
        at = taker
        while at != giver:
            i, before = came[at]
            self.leads[before].discard(i)
            self.leads[at].add(i)
            self.leader[i] = at
            at = before
        self._count(giver, -1)
        self._count(taker, 1)


def lead(
    ring: Sequence[Led], sets: Sequence[Sequence[int]], there: Mapping[int, Replicas]
) -> list[int]:
    """The leader of each set; `there` are the partitions that the topic has already."""
    found = Leadership(ring, sets, there)
    while found.improve():
        pass
    if max(found.of_rack.values()) - min(found.of_rack.values()) > 1:
        exact = Leadership(ring, sets, there, _exact(ring, sets, there))
        if exact.unevenness < found.unevenness:
            found = exact
            while found.improve():
                pass
    return found.leader


def _exact(
    ring: Sequence[Led], sets: Sequence[Sequence[int]], there: Mapping[int, Replicas]
) -> list[int]:
    """Leaders with the least sum of squares over brokers and, of those, over racks."""
    from ortools.graph.python import min_cost_flow

    empty = Leadership(ring, (), there)
    racks = list(empty.of_rack)
    broker_node = {b: len(sets) + i for i, b in enumerate(empty.order)}
    rack_node = {rack: len(sets) + len(broker_node) + i for i, rack in enumerate(racks)}
    sink = len(sets) + len(broker_node) + len(rack_node)
    most = max(empty.of_rack.values()) + len(sets)
    weight = len(sets) * (2 * most + 1) + 1  # one step of a broker outweighs all steps of racks
    flow = min_cost_flow.SimpleMinCostFlow()
    arcs: list[tuple[int, int, int]] = []
    for i, brokers in enumerate(sets):
        flow.set_node_supply(i, 1)
        for b in brokers:
            arc = flow.add_arc_with_capacity_and_unit_cost(i, broker_node[b], 1, 0)
            arcs.append((arc, i, b))
    flow.set_node_supply(sink, -len(sets))
    wanted = Counter(b for brokers in sets for b in brokers)
    for b, node in broker_node.items():
        for more in range(wanted[b]):
            cost = weight * (2 * (empty.count[b] + more) + 1)
            flow.add_arc_with_capacity_and_unit_cost(node, rack_node[empty.rack[b]], 1, cost)
    for rack, node in rack_node.items():
        for more in range(len(sets)):
            cost = 2 * (empty.of_rack[rack] + more) + 1
            flow.add_arc_with_capacity_and_unit_cost(node, sink, 1, cost)
    status = flow.solve()
    assert status == flow.OPTIMAL, status
    leaders = {i: b for arc, i, b in arcs if flow.flow(arc)}
    return [leaders[i] for i in range(len(sets))]


def in_turn(
    ring: Sequence[int], sets: Sequence[Sequence[int]], leaders: Sequence[int]
) -> list[Replicas]:
    """The sets, leader first, in such an order that they are led round the ring."""
    waiting: dict[int, deque[Replicas]] = {b: deque() for b in ring}
    for brokers, leader in zip(sets, leaders, strict=True):
        waiting[leader].append((leader, *(b for b in brokers if b != leader)))
    rows: list[Replicas] = []
    while len(rows) < len(sets):
        rows.extend(waiting[b].popleft() for b in ring if waiting[b])
    return rows


def followed(
    ring: Sequence[Led], rows: Sequence[Replicas], there: Mapping[int, Replicas]
) -> list[Replicas]:
    """The rows with their followers in order: the next to lead is in another rack if it can be,
    and what a leader leaves behind is spread over as many brokers as there are."""
    rack = {p.id: p.rack for p in ring}
    order = {p.id: i for i, p in enumerate(ring)}
    pairs: Counter[tuple[int, int]] = Counter((r[0], r[1]) for r in there.values() if len(r) > 1)
    second = Counter(r[1] for r in there.values() if len(r) > 1)
    done: list[Replicas] = []
    for leader, *rest in rows:

        def key(b: int, leader: int = leader) -> tuple[bool, int, int, int]:
            turn = (order[b] - order[leader]) % len(order)
            return rack[b] == rack[leader], pairs[leader, b], second[b], turn

        rest.sort(key=key)
        if rest:
            pairs[leader, rest[0]] += 1
            second[rest[0]] += 1
        done.append((leader, *rest))
    return done
