"""No fewer batches than this, and why. Pure.

Each bound is true by itself, so the highest holds: the cap, brokers that exclude each other
pairwise, a single partition, and the share of a batch that each broker takes at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from kafkaops.upgrade.batches_graph import Graph, members_of

_WORK = 2_000_000  # brokers looked at by the clique search; it ends with the best so far


@dataclass(frozen=True)
class Bound:
    """At least `number` batches. `why` is a word for the reason: cap, clique, partition, share,
    search (all other ways were tried). `brokers` are the clique's or the partition's."""

    number: int
    why: str
    brokers: tuple[int, ...] = ()


def bound(graph: Graph) -> Bound:
    """The highest of the cheap bounds of a graph that is not empty."""
    return max(_bounds(graph), key=lambda b: b.number)


def _bounds(graph: Graph) -> Iterator[Bound]:
    yield Bound(-(-graph.size // graph.cap), "cap")
    group = max(graph.groups, key=lambda g: -(-len(g[0]) // g[1]), default=None)
    if group is not None:
        yield Bound(-(-len(group[0]) // group[1]), "partition", group[0])
    clique = largest_clique(graph)
    yield Bound(len(clique), "clique", tuple(clique))
    yield Bound(_shares(graph), "share")


def largest_clique(graph: Graph) -> list[int]:
    """A large set of brokers that pairwise exclude each other; the largest where the search ends
    in time (branch and bound, pruned by colouring: Tomita and Seki 2003)."""
    near = graph.near
    best = _greedy_clique(graph)
    budget = [_WORK // max(1, graph.size)]

    def grow(chosen: list[int], left: int) -> None:
        nonlocal best
        order, limit = _coloured(near, left)
        for v, most in zip(reversed(order), reversed(limit), strict=True):
            if len(chosen) + most <= len(best) or budget[0] <= 0:
                return
            budget[0] -= 1
            inner = left & near[v]
            if inner:
                grow([*chosen, v], inner)
            elif len(chosen) + 1 > len(best):
                best = [*chosen, v]
            left &= ~(1 << v)

    grow([], (1 << graph.size) - 1)
    return sorted(best)


def _greedy_clique(graph: Graph) -> list[int]:
    near = graph.near
    best: list[int] = []
    for seed in range(graph.size):
        chosen, left = [seed], near[seed]
        while left:
            v = max(members_of(left), key=lambda u: ((near[u] & left).bit_count(), -u))
            chosen.append(v)
            left &= near[v]
        if len(chosen) > len(best):
            best = chosen
        if seed >= 8 and graph.size > 200:
            break
    return best


def _coloured(near: tuple[int, ...], left: int) -> tuple[list[int], list[int]]:
    """Brokers by a greedy colouring, and for each how large a clique of it and those before it
    can be at most."""
    order, limit, colour = [], [], 0
    while left:
        colour += 1
        free = left
        while free:
            low = free & -free
            v = low.bit_length() - 1
            free &= ~(near[v] | low)
            left ^= low
            order.append(v)
            limit.append(colour)
    return order, limit


def _shares(graph: Graph) -> int:
    """Each broker takes at least 1/u of its batch, u being the most brokers that any batch with it
    can hold: the cap, or one more than the cliques that cover all who may go with it."""
    everyone = (1 << graph.size) - 1
    total = Fraction(0)
    for v in range(graph.size):
        total += Fraction(1, min(graph.cap, 1 + _cover(graph, everyone & ~graph.near[v], v)))
    return ceil(total)


def _cover(graph: Graph, among: int, v: int) -> int:
    """Cliques that cover these brokers (but v), taken greedily; at most the cap are counted."""
    left, count = among & ~(1 << v), 0
    while left and count < graph.cap:
        count += 1
        clique = left
        while clique:
            low = clique & -clique
            left ^= low
            clique &= graph.near[low.bit_length() - 1]
    return count
