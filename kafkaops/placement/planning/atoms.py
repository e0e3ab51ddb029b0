"""What a flow decides on, and no more of it than there is: alike replicas counted together.

An atom is what can be decided by itself: a partition, or, where every rack must hold an exact
number of its replicas, the partition in one rack. Atoms that look the same form a class with a
count, and a flow for the class falls apart into flows for its members: the matrix is totally
unimodular, and such polytopes have the integer decomposition property (Baum and Trotter 1977).
Invariant: members of a class are interchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.table import Bools, Ints


@dataclass(frozen=True)
class Classes:
    """C classes. `count` [C] members; each needs `need` [C] replicas, `least` and `most` [C, K] of
    them in each rack. Members of class c are `member[first[c]:first[c + 1]]`, partitions. A class
    may keep entries `entry[c]:entry[c + 1]` of `keep` (broker) and `mark`, and the replica of its
    i-th member is `replica[:, i]` of those entries, found by `replica_of`. `price` [C] is the cost
    of one new replica, `topic` [C] the topic, or 0 where it does not matter."""

    count: Ints
    need: Ints
    least: Ints
    most: Ints
    price: Ints
    topic: Ints
    first: Ints
    member: Ints
    entry: Ints
    keep: Ints
    mark: Ints
    replica: Ints
    replica_at: Ints

    def replica_of(self, c: int, e: int) -> Ints:
        """The replicas [R] that entry e of class c means, member by member."""
        n = int(self.count[c])
        at = int(self.replica_at[c]) + (e - int(self.entry[c])) * n
        return self.replica[at : at + n]


LEADER, IN_SYNC, LAGGING = 0, 1, 2
"""What a kept replica is: given up last, sooner, first."""


def classes(
    problem: Problem, chosen: Bools, *, by_topic: bool, by_bytes: bool, apart: bool = False
) -> Classes:
    """The classes of the chosen partitions [P]; `apart` gives every atom its own."""
    t, k = problem.table, len(problem.racks)
    split = chosen & (problem.least == problem.most).all(axis=1)
    whole = np.flatnonzero(chosen & ~split & (problem.need > 0))
    parts, racks = np.nonzero((problem.least > 0) & split[:, None])
    part = np.concatenate((whole, parts))
    rack = np.concatenate((np.full(len(whole), -1), racks))
    need = np.concatenate((problem.need[whole], problem.least[parts, racks]))
    atoms = len(part)
    # Which atom each replica that may stay belongs to.
    r = np.flatnonzero(problem.stays & chosen[t.owner])
    atom_of = np.full((t.partitions, k + 1), -1, np.int64)
    atom_of[part, rack] = np.arange(atoms)  # rack -1 is the last column
    owner, at_rack = t.owner[r], problem.rack[t.holder[r]]
    atom = np.where(split[owner], atom_of[owner, at_rack], atom_of[owner, k])
    r, atom = r[atom >= 0], atom[atom >= 0]
    order = np.lexsort((t.holder[r], atom))
    r, atom = r[order], atom[order]
    width = np.bincount(atom, minlength=atoms)
    begins = np.concatenate(([0], np.cumsum(width)))
    lead = t.start[t.owner[r]] == r
    dropping = (problem.rf < t.rf)[t.owner[r]] & ~t.in_sync[r]
    mark = np.where(dropping, LAGGING, np.where(lead, LEADER, IN_SYNC))
    word = t.holder[r] * 3 + mark + 1
    profile = _profile(problem, part, rack)
    key = [rack + 1, need, profile]
    if by_topic:
        key.append(t.topic[part])
    if by_bytes:
        key.append(t.size[part])
    column = np.arange(len(r)) - begins[atom]
    for i in range(int(width.max(initial=0))):
        words = np.zeros(atoms, np.int64)
        here = column == i
        words[atom[here]] = word[here]
        key.append(words)
    label = np.arange(atoms) if apart else _labels(key, atoms)
    return _gather(problem, part, rack, need, label, begins, width, r, mark, by_topic, by_bytes)


def _profile(problem: Problem, part: Ints, rack: Ints) -> Ints:
    """One number for equal bounds on racks; atoms of one rack need none."""
    k = len(problem.racks)
    whole = rack < 0
    found = np.zeros(len(part), np.int64)
    rows = part[whole]
    for r in range(k):
        pair = problem.least[rows, r] * 1024 + problem.most[rows, r]
        found[whole] = _labels([found[whole], pair], len(rows))
    return found


def _labels(key: list[Ints], rows: int) -> Ints:
    """One number for rows that are equal in every column."""
    label = np.zeros(rows, np.int64)
    for column in key:
        if rows and (column != column[0]).any():
            _, small = np.unique(column, return_inverse=True)
            _, label = np.unique(label * (int(small.max()) + 1) + small, return_inverse=True)
    return label


def _gather(
    problem: Problem, part: Ints, rack: Ints, need: Ints, label: Ints, begins: Ints, width: Ints,
    r: Ints, mark: Ints, by_topic: bool, by_bytes: bool,
) -> Classes:  # fmt: skip
    t, k = problem.table, len(problem.racks)
    members = np.argsort(label, kind="stable")
    count = np.bincount(label) if len(label) else np.zeros(0, np.int64)
    first = np.concatenate(([0], np.cumsum(count)))
    model = members[first[:-1]]  # the first member stands for its class
    one = np.zeros((len(model), k), np.int64)
    single = rack[model] >= 0
    one[single, rack[model][single]] = need[model][single]
    least = np.where(single[:, None], one, problem.least[part[model]])
    most = np.where(single[:, None], one, problem.most[part[model]])
    entry = np.concatenate(([0], np.cumsum(width[model])))
    total = int(entry[-1])
    of_class = np.repeat(np.arange(len(model)), width[model])
    nth = np.arange(total) - entry[of_class]
    source = begins[model[of_class]] + nth
    block = width[model] * count
    replica_at = np.concatenate(([0], np.cumsum(block)))[:-1]
    # Replica of member m at its i-th entry: blocks entry by entry, members within.
    atom_class = label
    within = np.empty(len(label), np.int64)
    within[members] = np.arange(len(label)) - first[label[members]]
    atom = np.repeat(np.arange(len(width)), width)
    column = np.arange(len(r)) - begins[atom]
    where = replica_at[atom_class[atom]] + column * count[atom_class[atom]] + within[atom]
    replica = np.empty(len(r), np.int64)
    replica[where] = r
    return Classes(
        count, need[model], least, most,
        t.size[part[model]] if by_bytes else np.ones(len(model), np.int64),
        t.topic[part[model]] if by_topic else np.zeros(len(model), np.int64),
        first, part[members], entry, t.holder[r[source]], mark[source], replica, replica_at,
    )  # fmt: skip
