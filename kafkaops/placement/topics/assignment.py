"""Replicas and leaders of a new topic, and of partitions that an existing one gets. Pure.

Three things are made even, each as far as the one before leaves room:

1. racks of a partition: each rack holds floor or ceil of RF / racks of its replicas, so that with
   RF <= racks they are all distinct (a rack with fewer brokers than that holds what it can);
2. the topic: brokers hold equal shares of its replicas and lead equal shares of its partitions,
   floor and ceil wherever racks are of equal size; leaders are even over racks too;
3. the cluster: what is left over goes to the brokers with the fewest replicas, or leaders, of all.

The counts of an existing topic go on from what is there, and so does its order: new partitions are
led round the brokers from where the last one stopped. Partitions that exist are never touched.

Invariant: the same brokers and the same wish give the same assignment, to the byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from kafkaops.placement.topics.leaders import Replicas, followed, in_turn, lead

CANDIDATES = 32
"""Of brokers that are equally good by count, so many are looked at for whom they have met."""


@dataclass(frozen=True)
class Place:
    """One broker that may hold replicas. `replicas` and `leaders` are what it has of all topics."""

    id: int
    rack: str
    replicas: int = 0
    leaders: int = 0


def assign(
    places: Sequence[Place], count: int, rf: int, existing: Mapping[int, Replicas] | None = None
) -> dict[int, Replicas]:
    """Replicas of `count` new partitions, by partition, the preferred leader first; their numbers
    follow those of `existing`.

    ValueError where there are fewer places than `rf`, or a place is there twice."""
    if len({p.id for p in places}) != len(places):
        raise ValueError("a broker is there twice")
    if not 0 < rf <= len(places):
        raise ValueError(f"RF {rf} on {len(places)} brokers")
    there = existing or {}
    ring = _from_here(ring_of(places), there)
    sets = _sets(ring, count, rf, quotas(ring, count, rf, there))
    leaders = lead(ring, sets, there)
    rows = in_turn([p.id for p in ring], sets, leaders)
    first = max(there, default=-1) + 1
    return {first + i: row for i, row in enumerate(followed(ring, rows, there))}


def ring_of(places: Iterable[Place]) -> list[Place]:
    """The brokers in the order in which they lead: racks in turn, then by id. The rack of the
    lowest id begins."""
    rows = list(_racks(sorted(places, key=lambda p: p.id)).values())
    longest = max(map(len, rows), default=0)
    return [row[i] for i in range(longest) for row in rows if i < len(row)]


def spread(sizes: Mapping[str, int], rf: int) -> tuple[dict[str, int], int]:
    """How many replicas of a partition each rack holds at least, given the brokers it has, and how
    many racks hold one more; those have a broker left for it."""
    level = 0
    while level < max(sizes.values()) and sum(min(n, level + 1) for n in sizes.values()) <= rf:
        level += 1
    base = {rack: min(n, level) for rack, n in sizes.items()}
    return base, rf - sum(base.values())


def quotas(
    ring: Sequence[Place], count: int, rf: int, there: Mapping[int, Replicas]
) -> dict[int, int]:
    """How many of the new partitions each broker gets, by id: always one more for whoever has the
    fewest of the topic; of equals, whose rack has, then who leads the fewest of it, then who has
    the fewest of all topics.

    What every rack must hold is given out first and the rest over all racks, which is optimal: the
    bounds of racks and brokers are nested."""
    racks = _racks(ring)
    base, extra = spread({rack: len(row) for rack, row in racks.items()}, rf)
    held = Counter({p.id: 0 for p in ring})
    held.update(b for row in there.values() for b in row if b in held)
    led = Counter(row[0] for row in there.values())
    of_rack = {rack: sum(held[p.id] for p in row) for rack, row in racks.items()}
    turn = {p.id: i for i, p in enumerate(ring)}
    got = dict.fromkeys(turn, 0)

    def key(p: Place) -> tuple[int, float, int, int, int]:
        new = got[p.id]
        share = of_rack[p.rack] / len(racks[p.rack])
        return held[p.id] + new, share, led[p.id], p.replicas + new, turn[p.id]

    def give(row: Iterable[Place], pieces: int, most: Mapping[str, int]) -> None:
        given: Counter[str] = Counter()
        heap = [(key(p), p.id, p) for p in row if got[p.id] < count]
        heapify(heap)
        while pieces:
            at, _, place = heappop(heap)
            if given[place.rack] == most[place.rack]:
                continue
            if at != key(place):  # its rack has got more since: keys only grow
                heappush(heap, (key(place), place.id, place))
                continue
            given[place.rack] += 1
            of_rack[place.rack] += 1
            got[place.id] += 1
            pieces -= 1
            if got[place.id] < count:
                heappush(heap, (key(place), place.id, place))

    for rack, row in racks.items():
        give(row, count * base[rack], {rack: count * base[rack]})
    roomy = {rack: count for rack, row in racks.items() if len(row) > base[rack]}
    give((p for p in ring if p.rack in roomy), count * extra, roomy)
    return got


def _sets(
    ring: Sequence[Place], count: int, rf: int, quota: Mapping[int, int]
) -> list[tuple[int, ...]]:
    """The brokers of each new partition, in no order of preference, each broker as often as its
    quota says.

    Whoever has the most left to get comes first, among racks and then in a rack; that never runs
    into a dead end, because partitions want almost equally much of a rack (Gale and Ryser)."""
    racks = _racks(ring)
    base, extra = spread({rack: len(row) for rack, row in racks.items()}, rf)
    left = dict(quota)
    more = {rack: sum(left[p.id] for p in row) - count * base[rack] for rack, row in racks.items()}
    names = list(racks)
    met: Counter[tuple[int, int]] = Counter()
    sets: list[tuple[int, ...]] = []
    for number in range(count):
        shifted = names[number % len(names) :] + names[: number % len(names)]
        plus = set(sorted(shifted, key=lambda rack: -more[rack])[:extra])
        chosen: list[int] = []
        for rack in shifted:
            more[rack] -= rack in plus
            for _ in range(base[rack] + (rack in plus)):
                chosen.append(_next(racks[rack], chosen, left, met, number))
        for broker in chosen:
            left[broker] -= 1
            met.update((broker, other) for other in chosen if other != broker)
        sets.append(tuple(chosen))
    return sets


def _next(
    row: Sequence[Place],
    chosen: Sequence[int],
    left: Mapping[int, int],
    met: Mapping[tuple[int, int], int],
    number: int,
) -> int:
    """Of those with the most left, who has met the chosen ones the least."""
    free = [p.id for p in row if p.id not in chosen]
    most = max(left[b] for b in free)
    equals = [b for b in free if left[b] == most]
    at = number % len(equals)
    tried = (equals[at:] + equals[:at])[:CANDIDATES]
    return min(tried, key=lambda b: sum(met.get((b, other), 0) for other in chosen))


def _racks(places: Iterable[Place]) -> dict[str, list[Place]]:
    racks: dict[str, list[Place]] = {}
    for place in places:
        racks.setdefault(place.rack, []).append(place)
    return racks


def _from_here(ring: list[Place], there: Mapping[int, Replicas]) -> list[Place]:
    """The ring from after the leader of the last partition, if that one is in it."""
    last = there[max(there)][0] if there else None
    at = next((i + 1 for i, p in enumerate(ring) if p.id == last), 0)
    return ring[at:] + ring[:at]
