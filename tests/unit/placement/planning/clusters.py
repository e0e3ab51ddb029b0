"""Clusters by rows, and the rules of a placement written down a second time, slowly."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from hypothesis import strategies as st

from kafkaops.model.partition import TopicPartition
from kafkaops.placement.planning import table
from kafkaops.placement.planning.goals import Goals
from kafkaops.placement.planning.plan import Placement
from kafkaops.placement.planning.planner import of_table
from kafkaops.placement.planning.table import Row, Table

Racks = Mapping[int, str | None]
Replicas = dict[tuple[str, int], tuple[int, ...]]

SIX: Racks = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
EVEN = [(1, 2, 3), (4, 5, 6), (2, 3, 4), (5, 6, 1)]


def rows(replicas: Mapping[str, Sequence[Sequence[int]]]) -> list[Row]:
    return [
        (name, i, tuple(held), tuple(held))
        for name, parts in replicas.items()
        for i, held in enumerate(parts)
    ]


def made(
    racks: Racks,
    replicas: Mapping[str, Sequence[Sequence[int]]],
    sizes: Mapping[str, int] | None = None,
) -> Table:
    """`sizes` by topic, for each of its partitions."""
    every = rows(replicas)
    known = {TopicPartition(r[0], r[1]): sizes[r[0]] for r in every} if sizes else None
    return table.of_rows(every, racks, sizes=known)


def plan(t: Table, **goals: object) -> Placement:
    return of_table(t, Goals(**goals))  # type: ignore[arg-type]


def held(t: Table) -> Replicas:
    return {(t.tp(p).topic, t.tp(p).partition): t.replicas(p) for p in range(t.partitions)}


def after(t: Table, placement: Placement) -> Replicas:
    """The assignment once every move is made; asserts that each begins where the cluster is."""
    found = held(t)
    for move in placement.moves:
        assert found[tuple(move.tp)] == move.before  # type: ignore[index]
        found[tuple(move.tp)] = move.after  # type: ignore[index]
    return found


def counts(replicas: Iterable[Sequence[int]]) -> Counter[int]:
    return Counter(itertools.chain.from_iterable(replicas))


def spread(replicas: Sequence[int], racks: Racks) -> Counter[str | None]:
    return Counter(racks[b] for b in replicas if b in racks)


def uneven(replicas: Sequence[int], racks: Racks) -> int:
    """How far the racks are from floor and ceil of RF over the racks, in replicas."""
    names = set(racks.values())
    found = spread(replicas, racks)
    low, high = len(replicas) // len(names), -(-len(replicas) // len(names))
    over = sum(max(0, found[r] - high) for r in names)
    return max(over, sum(max(0, low - found[r]) for r in names))


def leaders_share(replicas: Iterable[Sequence[int]]) -> dict[int, Fraction]:
    share: dict[int, Fraction] = {}
    for row in replicas:
        for b in row:
            share[b] = share.get(b, Fraction(0)) + Fraction(1, len(row))
    return share


def fewest(
    t: Table, low: Mapping[int, int], high: Mapping[int, int], racks: Racks, rf: Mapping[str, int]
) -> int | None:
    """By trying every assignment: the fewest new replicas such that brokers are within [low, high]
    and racks within floor and ceil. None where there is none. Partition by partition, keeping the
    cheapest way to each vector of counts."""
    ids = sorted(high)
    names = sorted({racks[b] for b in ids}, key=str)
    best: dict[tuple[int, ...], int] = {tuple(0 for _ in ids): 0}
    for (topic, _), now in held(t).items():
        wanted = rf.get(topic, len(now))
        least, most = wanted // len(names), -(-wanted // len(names))
        ways = []
        for chosen in itertools.combinations(range(len(ids)), wanted):
            in_rack = Counter(racks[ids[i]] for i in chosen)
            if all(least <= in_rack[r] <= most for r in names):
                ways.append((chosen, sum(ids[i] not in now for i in chosen)))
        then: dict[tuple[int, ...], int] = {}
        for vector, cost in best.items():
            for chosen, more in ways:
                filled = list(vector)
                for i in chosen:
                    filled[i] += 1
                if any(filled[i] > high[ids[i]] for i in chosen):
                    continue
                key = tuple(filled)
                if cost + more < then.get(key, 1 << 30):
                    then[key] = cost + more
        best = then
    fits = [
        cost
        for vector, cost in best.items()
        if all(n >= low[b] for n, b in zip(vector, ids, strict=True))
    ]
    return min(fits, default=None)


def ranges(total: int, racks: Racks) -> tuple[dict[int, int], dict[int, int]]:
    """Floor and ceil for brokers of racks of equal size."""
    share = total / len(racks)
    return dict.fromkeys(racks, math.floor(share)), dict.fromkeys(racks, math.ceil(share))


@st.composite
def clusters(
    draw: st.DrawFn,
    *,
    racks: tuple[int, int] = (1, 3),
    a_rack: tuple[int, int] = (2, 2),
    partitions: int = 5,
    rf: tuple[int, int] = (1, 3),
    aware: bool = False,
    fresh: int = 0,
) -> Table:
    """Brokers 0.. in turns over the racks; the last `fresh` hold nothing. With `aware` every
    partition keeps floor and ceil."""
    k = draw(st.integers(*racks))
    count = k * draw(st.integers(*a_rack))
    named: dict[int, str | None] = {b: f"r{b % k}" for b in range(count)}
    full = [b for b in range(count) if b < count - fresh * k] or list(range(count))
    topics: dict[str, list[list[int]]] = {}
    for i in range(draw(st.integers(1, 2))):
        wanted = min(draw(st.integers(*rf)), len(full))
        parts = []
        for _ in range(draw(st.integers(1, partitions))):
            row = draw(st.permutations(full))[:wanted]
            if aware:
                mixed = draw(st.permutations(full))
                start = draw(st.integers(0, k - 1))
                by = {r: [b for b in mixed if b % k == r] for r in range(k)}
                row = [by[(start + j) % k][j // k] for j in range(wanted)]
            parts.append(row)
        topics[f"t{i}"] = parts
    return made(named, topics)
