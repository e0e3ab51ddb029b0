"""Which brokers exclude each other: pairs that never go down together, and groups of which only
some may. Pure.

A rule that lets one member down makes every two of its members a pair. One that lets more down
is a group, unless its pairs say as much already. Sets of brokers are Python integers, bit i for
broker i: a thousand brokers are one machine operation wide enough to matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kafkaops.upgrade.batches_rows import NOBODY, Bools, Ints

Classes = list[list[int]]


@dataclass(frozen=True, eq=False)
class Graph:
    """`pairs` is symmetric with an empty diagonal. `groups` are (members, how many may be down).
    `cap` bounds a batch. `racks` numbers each broker's rack, -1 for none."""

    pairs: Bools
    groups: tuple[tuple[tuple[int, ...], int], ...]
    cap: int
    racks: tuple[int, ...]
    near: tuple[int, ...] = field(init=False)  # neighbours as bits
    groups_of: tuple[tuple[int, ...], ...] = field(init=False)
    masks: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        of: list[list[int]] = [[] for _ in range(self.size)]
        for number, (members, _) in enumerate(self.groups):
            for member in members:
                of[member].append(number)
        object.__setattr__(self, "near", bits_of_rows(self.pairs))
        object.__setattr__(self, "groups_of", tuple(map(tuple, of)))
        object.__setattr__(self, "masks", tuple(bits(members) for members, _ in self.groups))

    @property
    def size(self) -> int:
        return len(self.racks)

    def part(self, keep: Sequence[int]) -> Graph:
        """The same rules among these brokers only, renumbered in the order given."""
        place = {old: new for new, old in enumerate(keep)}
        groups = []
        for members, allowed in self.groups:
            left = tuple(place[m] for m in members if m in place)
            if len(left) > allowed:
                groups.append((left, allowed))
        return Graph(
            self.pairs[np.ix_(keep, keep)],
            tuple(sorted(set(groups))),
            self.cap,
            tuple(self.racks[i] for i in keep),
        )

    def holds(self, batch: Sequence[int]) -> bool:
        """Whether these brokers may be down together."""
        down = bits(batch)
        return (
            len(batch) <= self.cap
            and not any(self.near[v] & down for v in batch)
            and all(
                (mask & down).bit_count() <= allowed
                for mask, (_, allowed) in zip(self.masks, self.groups, strict=True)
            )
        )

    def first_fit(self, order: Iterable[int]) -> Classes:
        """Batches by taking each broker in order into the first batch that allows it.

        An order that keeps the batches of an earlier answer together never gives more of them
        (Culberson's iterated greedy): each broker fits its old batch at the latest.
        """
        left, classes = list(order), []
        while left:
            taken: list[int] = []
            later: list[int] = []
            forbidden = 0
            counts: dict[int, int] = {}
            for at, v in enumerate(left):
                if len(taken) == self.cap:
                    later.extend(left[at:])
                    break
                if forbidden >> v & 1:
                    later.append(v)
                    continue
                taken.append(v)
                forbidden |= self.near[v]
                for g in self.groups_of[v]:
                    counts[g] = counts.get(g, 0) + 1
                    if counts[g] == self.groups[g][1]:
                        forbidden |= self.masks[g]
            classes.append(taken)
            left = later
        return classes

    def islands(self) -> list[list[int]]:
        """Brokers split so that no batch can hold two of different islands (the connected parts
        of "may go together"): the fewest batches in all are the sum over the islands."""
        left, found = (1 << self.size) - 1, []
        while left:
            seed = left & -left
            island, edge = seed, seed
            while edge:
                reach = 0
                for v in members_of(edge):
                    reach |= ~self.near[v]
                edge = reach & left & ~island
                island |= edge
            found.append(list(members_of(island)))
            left &= ~island
        return found


def graph_of(members: Ints, allowed: Ints, racks: Sequence[str | None], cap: int) -> Graph:
    """The graph of rules as `Rows.rules` gives them."""
    size = len(racks)
    single = members[allowed == 1]
    pairs = pair_counts(single, size) > 0
    groups = tuple(_groups(members[allowed > 1], allowed[allowed > 1], pairs))
    known = {rack: i for i, rack in enumerate(sorted({r for r in racks if r is not None}))}
    numbers = tuple(NOBODY if rack is None else known[rack] for rack in racks)
    return Graph(pairs, groups, max(1, min(cap, size)), numbers)


def pair_counts(members: Ints, size: int) -> NDArray[np.int64]:
    """How many rows hold both brokers, for every two of them; the diagonal is 0."""
    total = np.zeros(size * size, np.int64)
    for i, j in combinations(range(members.shape[1]), 2):
        one, two = members[:, i].astype(np.int64), members[:, j].astype(np.int64)
        both = (one != NOBODY) & (two != NOBODY)
        total += np.bincount(one[both] * size + two[both], minlength=size * size)
    square = total.reshape(size, size)
    return square + square.T


def _groups(members: Ints, allowed: Ints, pairs: Bools) -> Iterator[tuple[tuple[int, ...], int]]:
    """The groups that say more than the pairs do, each once."""
    if not len(members):
        return
    table = np.unique(np.column_stack([np.sort(members, 1), allowed]), axis=0)
    for row in table.tolist():
        some, limit = tuple(m for m in row[:-1] if m != NOBODY), row[-1]
        if len(some) > limit and _independent(some, pairs) > limit:
            yield some, limit


def _independent(members: tuple[int, ...], pairs: Bools) -> int:
    """An upper bound of how many of them the pairs let go together."""
    left, most = list(members), 0
    while left:
        first = left.pop(0)
        other = next((m for m in left if pairs[first, m]), None)
        if other is not None:
            left.remove(other)
        most += 1
    return most


def bits(members: Iterable[int]) -> int:
    total = 0
    for member in members:
        total |= 1 << member
    return total


def bits_of_rows(matrix: Bools) -> tuple[int, ...]:
    packed = np.packbits(matrix, axis=1, bitorder="little")
    return tuple(int.from_bytes(row.tobytes(), "little") for row in packed)


def members_of(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
