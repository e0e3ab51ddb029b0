"""A min-cost flow on numpy arrays, with lower bounds on arcs, solved exactly by ortools.

Invariant: the same network gives the same flow, and an answer is an optimum or a minimum cut that
shows why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kafkaops.engine.errors import GuardRefused
from kafkaops.placement.planning.table import Bools, Ints


@dataclass
class Network:
    """Arcs gathered in blocks; nodes are numbers from `node()`. A flow goes from nodes of positive
    supply to those of negative supply."""

    nodes: int = 0
    tails: list[Ints] = field(default_factory=list)
    heads: list[Ints] = field(default_factory=list)
    lows: list[Ints] = field(default_factory=list)
    highs: list[Ints] = field(default_factory=list)
    costs: list[Ints] = field(default_factory=list)
    supplies: list[tuple[Ints, Ints]] = field(default_factory=list)
    arcs: int = 0

    def node(self, count: int = 1) -> int:
        """The first of that many new nodes."""
        self.nodes += count
        return self.nodes - count

    def supply(self, nodes: Ints, amount: Ints) -> None:
        self.supplies.append((nodes, np.broadcast_to(amount, nodes.shape)))

    def arc(
        self, tail: Ints, head: Ints, high: Ints, cost: Ints | int = 0, low: Ints | int = 0
    ) -> slice:
        """A block of arcs, flow within [low, high]; where their flows will be."""
        count = len(tail)
        wide = [np.broadcast_to(np.asarray(a, np.int64), (count,)) for a in (head, high, cost, low)]
        self.tails.append(np.asarray(tail, np.int64))
        for into, block in zip((self.heads, self.highs, self.costs, self.lows), wide, strict=True):
            into.append(block)
        self.arcs += count
        return slice(self.arcs - count, self.arcs)

    def solve(self) -> Ints | None:
        """The flow of every arc at least cost, None where there is none. GuardRefused: costs times
        nodes do not fit in the solver's 64 bits."""
        from ortools.graph.python import min_cost_flow

        tail, head, low, high, cost = self._joined()
        solver = min_cost_flow.SimpleMinCostFlow()
        solver.add_arcs_with_capacity_and_unit_cost(tail, head, high - low, cost)
        solver.set_nodes_supplies(np.arange(self.nodes), self._balance(tail, head, low))
        status = solver.solve()
        if status == solver.INFEASIBLE:
            return None
        if status != solver.OPTIMAL:
            raise GuardRefused(
                "KO-PLACEMENT-TOO-LARGE",
                f"the flow solver cannot count that far ({status.name}, {self.arcs} arcs, costs up"
                f" to {int(cost.max(initial=0))})",
                hint="--objective replicas, or a plan for some topics: --exclude GLOB",
            )
        return np.asarray(solver.flows(np.arange(self.arcs)), np.int64) + low

    def cut(self) -> tuple[Bools, int, int]:
        """Nodes on the supply's side of a minimum cut, what they supply together, and what can get
        out of them: less than that where there is no flow."""
        from ortools.graph.python import max_flow

        tail, head, low, high, _ = self._joined()
        balance = self._balance(tail, head, low)
        source, sink = self.nodes, self.nodes + 1
        ups, downs = np.flatnonzero(balance > 0), np.flatnonzero(balance < 0)
        solver = max_flow.SimpleMaxFlow()
        solver.add_arcs_with_capacity(
            np.concatenate((tail, np.full(len(ups), source), downs)),
            np.concatenate((head, ups, np.full(len(downs), sink))),
            np.concatenate((high - low, balance[ups], -balance[downs])),
        )
        solver.solve(source, sink)
        mask = np.zeros(self.nodes + 2, np.bool_)
        mask[np.asarray(solver.get_source_side_min_cut(), np.int64)] = True
        side = mask[: self.nodes]
        leaves = side[tail] & ~side[head]
        return side, int(balance[side].sum()), int((high - low)[leaves].sum())

    def _joined(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        blocks = (self.tails, self.heads, self.lows, self.highs, self.costs)
        tail, head, low, high, cost = (
            np.concatenate(b).astype(np.int64) if b else np.zeros(0, np.int64) for b in blocks
        )
        return tail, head, low, high, cost

    def _balance(self, tail: Ints, head: Ints, low: Ints) -> Ints:
        """Supplies, with what lower bounds take for certain already sent."""
        balance = np.zeros(self.nodes, np.int64)
        for nodes, amount in self.supplies:
            np.add.at(balance, nodes, amount)
        np.subtract.at(balance, tail, low)
        np.add.at(balance, head, low)
        return balance
