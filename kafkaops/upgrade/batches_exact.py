"""Fewest batches, proven: ortools' CP-SAT on what is small enough. Pure.

One worker, a fixed seed and limits in the solver's deterministic time: the same answer on every
machine. Imported only where it is needed, for the solver costs half a second to load.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from ortools.sat.python import cp_model

from kafkaops.upgrade.batches_bound import Bound
from kafkaops.upgrade.batches_graph import Classes, Graph

VARIABLES = 8_000  # brokers times batches: above, the solver gets nowhere in time


class Answer(Enum):
    YES, NO, UNKNOWN = range(3)


def close(graph: Graph, classes: Classes, low: Bound, time: float) -> tuple[Classes, Bound]:
    """Bring the number found and its bound together: from below, until a number of batches is
    possible; then from above, until one is not. `time` is for all tries (about seconds)."""
    at, clique = low, low.brokers if low.why == "clique" else ()
    while at.number < len(classes) and graph.size * at.number <= VARIABLES and time > 0:
        answer, found, used = possible(graph, at.number, clique, time / 2)
        time -= used
        if answer is Answer.YES:
            return found, at
        if answer is Answer.UNKNOWN:
            break
        at = Bound(at.number + 1, "search")
    while at.number < len(classes) and graph.size * (len(classes) - 1) <= VARIABLES and time > 0:
        answer, found, used = possible(graph, len(classes) - 1, clique, time)
        time -= used
        if answer is Answer.NO:
            return classes, Bound(len(classes), "search")
        if answer is Answer.UNKNOWN:
            break
        classes = found
    return classes, at


def possible(
    graph: Graph, count: int, clique: tuple[int, ...], time: float
) -> tuple[Answer, Classes, float]:
    """Whether `count` batches are enough, which they are, and the time it took. `clique` (brokers
    that pairwise exclude each other) is dealt out first: batches have no names."""
    if len(clique) > count:
        return Answer.NO, [], 0.0
    model = cp_model.CpModel()
    place = [[model.new_bool_var(f"{v} {b}") for b in range(count)] for v in range(graph.size)]
    for v in range(graph.size):
        model.add_exactly_one(place[v])
    cover = list(_clique_cover(graph))
    for batch in range(count):
        for members in cover:
            model.add_at_most_one(place[v][batch] for v in members)
        for some, allowed in graph.groups:
            model.add(sum(place[v][batch] for v in some) <= allowed)
        if graph.cap < graph.size:
            model.add(sum(place[v][batch] for v in range(graph.size)) <= graph.cap)
    for batch, v in enumerate(clique):
        model.add(place[v][batch] == 1)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = time
    status = solver.solve(model)
    used = float(solver.response_proto.deterministic_time)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        classes: Classes = [[] for _ in range(count)]
        for v in range(graph.size):
            [batch] = [b for b in range(count) if solver.boolean_value(place[v][b])]
            classes[batch].append(v)
        return Answer.YES, [found for found in classes if found], used
    return (Answer.NO if status == cp_model.INFEASIBLE else Answer.UNKNOWN), [], used


def _clique_cover(graph: Graph) -> Iterator[list[int]]:
    """Cliques that hold every pair: fewer and stronger rules than the pairs one by one."""
    missing = list(graph.near)
    for v in range(graph.size):
        while missing[v]:
            chosen, left = [v], graph.near[v]
            wanted = missing[v]
            while left:
                pool = wanted & left or left
                u = (pool & -pool).bit_length() - 1
                chosen.append(u)
                left &= graph.near[u]
            for u in chosen:
                for w in chosen:
                    missing[u] &= ~(1 << w)
            yield sorted(chosen)
