"""The fewest batches for a set of rules, and how few there could be. Pure.

Brokers fall into islands that no batch can bridge; each is solved by itself, exactly where it is
small, and numbers and bounds add up.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkaops.upgrade.batches_bound import Bound, bound
from kafkaops.upgrade.batches_graph import Classes, Graph
from kafkaops.upgrade.batches_search import search

_LARGE = 300


@dataclass(frozen=True)
class Effort:
    """`steps` of local search for up to 300 brokers (fewer for more: each costs more), and `proof`
    time of the exact solver (about seconds); both for the whole cluster."""

    steps: int = 40_000
    proof: float = 3.0


@dataclass(frozen=True)
class Colouring:
    """Batches as indices of the graph, largest first, and the bounds whose sum is theirs."""

    classes: tuple[tuple[int, ...], ...]
    bounds: tuple[Bound, ...]

    @property
    def bound(self) -> int:
        return sum(b.number for b in self.bounds)


def colour(graph: Graph, effort: Effort | None = None) -> Colouring:
    """Raises nothing: where time runs out, the bound stays below the number found."""
    effort = effort or Effort()
    classes: Classes = []
    bounds: list[Bound] = []
    islands = graph.islands()
    for island in islands:
        share = len(island) / graph.size
        part = graph.part(island)
        steps = int(effort.steps * share * min(1.0, _LARGE / graph.size))
        found, low = _solve(part, Effort(steps, effort.proof * share))
        classes += [[island[i] for i in batch] for batch in found]
        bounds.append(Bound(low.number, low.why, tuple(island[i] for i in low.brokers)))
    ordered = sorted((tuple(sorted(c)) for c in classes), key=lambda c: (-len(c), c))
    return Colouring(tuple(ordered), tuple(bounds))


def _solve(graph: Graph, effort: Effort) -> tuple[Classes, Bound]:
    low = bound(graph)
    found = search(graph, low.number, effort.steps)
    if len(found) > low.number and effort.proof > 0:
        from kafkaops.upgrade import batches_exact

        found, low = batches_exact.close(graph, found, low, effort.proof)
    return found, low
