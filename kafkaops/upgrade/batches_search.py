"""Few batches for many brokers: good starts, then local search with one batch fewer. Pure.

Everything is counted in steps, never in seconds, and chance comes from a fixed seed: the same
cluster gives the same batches on every machine.
Sources: DSATUR (Brelaz 1979), iterated greedy (Culberson 1992), PartialCol (Bloechliger and
Zufferey 2008), the last one given a cap.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kafkaops.upgrade.batches_graph import Classes, Graph

_SEED = 20
_TENURE = 0.6  # PartialCol's: how long a move stays forbidden, for each broker without a batch
_NEVER = np.iinfo(np.int32).max // 2


def search(graph: Graph, enough: int, steps: int) -> Classes:
    """The fewest batches found; `enough` is a lower bound, at which the search ends. `steps`
    bounds the local search."""
    best = min(_starts(graph), key=len)
    rounds = max(4, min(60, steps // max(1, graph.size)))
    best = _reorder(graph, best, enough, rounds)
    while len(best) > enough and not graph.groups and steps > 0:
        better = _one_fewer(graph, best, steps)
        if better is None:
            break
        best = _reorder(graph, better, enough, 2)
    return best


def _starts(graph: Graph) -> Iterable[Classes]:
    """Rack by rack (a rack-aware cluster's answer), and hardest first over all."""
    by_rack: dict[int, list[int]] = {}
    for v, rack in enumerate(graph.racks):
        by_rack.setdefault(rack, []).append(v)
    order = [v for _, members in sorted(by_rack.items()) for v in saturation_order(graph, members)]
    yield graph.first_fit(order)
    classes: Classes = []
    for _, members in sorted(by_rack.items()):
        part = graph.part(members)
        classes += [[members[i] for i in found] for found in part.first_fit(range(part.size))]
    yield _packed(graph, classes)
    yield graph.first_fit(saturation_order(graph, range(graph.size)))


def _packed(graph: Graph, classes: Classes) -> Classes:
    """The same batches gone through again, so that small ones fill up."""
    return graph.first_fit(v for found in sorted(classes, key=len, reverse=True) for v in found)


def saturation_order(graph: Graph, among: Sequence[int]) -> list[int]:
    """DSATUR's order: the broker with the most batches already forbidden to it comes next, the
    one with more neighbours first."""
    members = np.array(among, np.intp)
    pairs = graph.pairs[np.ix_(members, members)]
    degree = pairs.sum(1).astype(np.int64)
    size = len(members)
    forbidden = np.zeros((size, size), bool)  # broker, batch
    room = np.full(size, graph.cap)
    key = degree.copy()
    order: list[int] = []
    for _ in range(size):
        v = int(key.argmax())
        free = ~forbidden[v] & (room > 0)
        batch = int(free.argmax())
        room[batch] -= 1
        fresh = pairs[v] & ~forbidden[:, batch]
        forbidden[fresh, batch] = True
        key[fresh] += size
        key[v] = -_NEVER
        order.append(int(members[v]))
    return order


def _reorder(graph: Graph, best: Classes, enough: int, rounds: int) -> Classes:
    """Iterated greedy: the batches in another order, and through first fit again."""
    chance = random.Random(_SEED)
    current = best
    for turn in range(rounds):
        if len(best) <= enough:
            break
        order = [sorted(c) for c in current]
        if turn % 4 == 0:
            order.reverse()
        elif turn % 4 == 1:
            order.sort(key=len, reverse=True)
        else:
            chance.shuffle(order)
        current = graph.first_fit(v for found in order for v in found)
        if len(current) < len(best):
            best = current
    return best


def _one_fewer(graph: Graph, classes: Classes, steps: int) -> Classes | None:
    """The same brokers in one batch fewer, or None. The smallest batch is dissolved; a broker
    without a batch takes the place where it pushes out the fewest, until nobody is left."""
    keep = sorted(classes, key=len, reverse=True)
    size, count = graph.size, len(keep) - 1
    where = np.full(size, -1, np.int64)
    for number, found in enumerate(keep[:-1]):
        where[found] = number
    homeless = sorted(keep[-1])
    clashes = np.zeros((count, size), np.int32)  # pairs of each broker in each batch
    fill = np.zeros(count, np.int32)
    for number, found in enumerate(keep[:-1]):
        clashes[number] = graph.pairs[found].sum(0)
        fill[number] = len(found)
    until = np.zeros((size, count), np.int64)
    chance = random.Random(_SEED)
    fewest = len(homeless)
    pairs = graph.pairs.astype(np.int32)
    for step in range(steps):
        some = np.array(homeless, np.intp)
        cost = clashes[:, some].T
        cost = cost + np.maximum(0, fill[None, :] - cost + 1 - graph.cap)
        allowed = (until[some] <= step) | (len(homeless) - 1 + cost < fewest)
        flat = np.where(allowed, cost, _NEVER).ravel()
        ties = np.flatnonzero(flat == flat.min())
        at = int(ties[chance.randrange(len(ties))])
        v, batch = int(some[at // count]), at % count
        out = _pushed_out(graph, where, v, batch, int(cost.ravel()[at]), chance)
        homeless.remove(v)
        where[v] = batch
        fill[batch] += 1 - len(out)
        clashes[batch] += pairs[v]
        for w in out:
            clashes[batch] -= pairs[w]
            where[w] = -1
            homeless.append(w)
            until[w, batch] = step + int(_TENURE * len(homeless)) + 1 + chance.randrange(10)
        if not homeless:
            return [np.flatnonzero(where == number).tolist() for number in range(count)]
        fewest = min(fewest, len(homeless))
    return None


def _pushed_out(
    graph: Graph, where: NDArray[np.int64], v: int, batch: int, cost: int, chance: random.Random
) -> list[int]:
    """Who leaves the batch for `v`: all that exclude it, and one more where it is full."""
    inside = where == batch
    out: list[int] = np.flatnonzero(inside & graph.pairs[v]).tolist()
    while len(out) < cost:
        others = [w for w in np.flatnonzero(inside).tolist() if w not in out]
        out.append(others[chance.randrange(len(others))])
    return out
