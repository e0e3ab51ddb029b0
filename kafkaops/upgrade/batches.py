"""Which brokers may go down together: the fewest safe batches of a cluster, and their order. Pure.

Invariant: no batch breaks the rule of `batches_rows` for any partition that can be held to it,
and that is checked again on the finished batches. The bound is shown beside the number found:
where they are equal, nobody can do it in fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

import numpy as np

from kafkaops.engine.errors import UsageFault
from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade.batches_bound import Bound
from kafkaops.upgrade.batches_colouring import Colouring, Effort, colour
from kafkaops.upgrade.batches_graph import graph_of
from kafkaops.upgrade.batches_moves import Advice, advise
from kafkaops.upgrade.batches_rows import Rows, rows_of
from kafkaops.upgrade.gate_quorum import caught_up

MAX_BATCH = 3
"""Low, for a batch of a whole rack leaves every partition of the cluster at its min ISR."""


class Role(Enum):
    """`CONTROLLER` is a quorum voter that is no broker, `COMBINED` is both; each goes alone."""

    CONTROLLER = "controller"
    COMBINED = "combined"
    CANARY = "canary"
    BROKERS = "brokers"


@dataclass(frozen=True)
class Limits:
    """`max_batch` brokers at most in a batch, or as many as the largest rack holds; `accept` are
    globs of topics or partitions that may be unavailable. `among` are the nodes to roll; None
    is all of them."""

    max_batch: int = MAX_BATCH
    whole_racks: bool = False
    canary: bool = True
    accept: tuple[str, ...] = ()
    among: frozenset[int] | None = None

    def wants(self, node: int) -> bool:
        return self.among is None or node in self.among


@dataclass(frozen=True)
class Batch:
    """`leaders` they lead now; `at_minimum` is how many partitions have nothing to spare while
    they are down."""

    nodes: tuple[int, ...]
    role: Role
    racks: tuple[str, ...] = ()
    leaders: int = 0
    at_minimum: int = 0


@dataclass(frozen=True)
class Never:
    """A partition that no roll can keep writable (RF 1: not even readable)."""

    tp: TopicPartition
    rf: int
    min_isr: int
    accepted: bool


@dataclass(frozen=True)
class Batches:
    """All batches in order. `bound` is the fewest there can be, `bounds` its parts for brokers.
    `short` are partitions that are at or under min ISR now: the gate waits for them. `absent` are
    replicas' brokers that are not up, and in no batch. `advice` saves batches by moves."""

    cluster_id: str
    cap: int
    batches: tuple[Batch, ...]
    bound: int
    bounds: tuple[Bound, ...]
    never: tuple[Never, ...]
    short: tuple[TopicPartition, ...]
    absent: tuple[int, ...]
    advice: Advice | None

    @property
    def proven(self) -> bool:
        """Whether fewer batches are impossible."""
        return len(self.batches) == self.bound

    @property
    def advised(self) -> int:
        """How many batches there would be once the advice is followed; as many as now without."""
        less = self.advice.now - self.advice.batches if self.advice else 0
        return len(self.batches) - less

    @property
    def unaccepted(self) -> tuple[Never, ...]:
        return tuple(n for n in self.never if not n.accepted)


def plan(
    state: ClusterState, limits: Limits | None = None, effort: Effort | None = None
) -> Batches:
    """The batches of a cluster. UsageFault: limits that make no sense here; GuardRefused: no
    brokers, or min.insync.replicas unknown."""
    limits = limits or Limits()
    rows = rows_of(state)
    cap = _cap(rows, limits)
    voters = set(state.quorum.voters) if state.quorum else set()
    first = [b for b in _combined(state, rows) if limits.wants(rows.brokers[b[1][0]])]
    rest = [i for i, n in enumerate(rows.brokers) if n not in voters and limits.wants(n)]
    canary = _canary(state, rows, rest) if limits.canary else None
    if canary is not None:
        rest.remove(canary)
        first.append((Role.CANARY, [canary]))
    members, allowed, _ = rows.rules()
    found = Colouring((), ())
    advice = None
    if rest:
        found = colour(graph_of(members, allowed, rows.racks, cap).part(rest), effort)
        advice = advise(rows, rest, cap, len(found.classes))
    tail = [(Role.BROKERS, [rest[i] for i in batch]) for batch in found.classes]
    if state.quorum is None:  # ZooKeeper mode: the controller last, for it moves at each stop
        tail.sort(key=lambda b: state.controller in [rows.brokers[i] for i in b[1]])
    alone = [
        Batch((node,), Role.CONTROLLER) for node in _isolated(state, rows) if limits.wants(node)
    ]
    batches = (*alone, *_described(rows, [*first, *tail]))
    return Batches(
        state.cluster_id,
        cap,
        batches,
        len(alone) + len(first) + found.bound,
        tuple(_by_id(b, rows, rest) for b in found.bounds),
        _never(rows, limits.accept),
        tuple(rows.names[i] for i in np.flatnonzero(rows.weak)),
        _absent(state),
        advice,
    )


def _cap(rows: Rows, limits: Limits) -> int:
    if limits.max_batch < 1:
        raise UsageFault(
            "KO-MAX-BATCH", f"a batch of {limits.max_batch} brokers is none", hint="--max-batch 1"
        )
    if not limits.whole_racks:
        return limits.max_batch
    racks = [rack for rack in rows.racks if rack is not None]
    if not racks:
        raise UsageFault(
            "KO-NO-RACKS",
            "no broker has a rack, so there are no whole racks to take down",
            hint="set broker.rack, or use --max-batch",
        )
    return max(racks.count(rack) for rack in set(racks))


def _isolated(state: ClusterState, rows: Rows) -> list[int]:
    """Voters that are no brokers: those that lag first, for the gate lets none of the others go
    while one does, and a restart may be what cures it; the active one last."""
    quorum = state.quorum
    if quorum is None:
        return []
    alone = set(quorum.voters) - set(rows.brokers)
    return sorted(alone, key=lambda n: (n == quorum.leader, caught_up(quorum, n), n))


def _combined(state: ClusterState, rows: Rows) -> list[tuple[Role, list[int]]]:
    """Voters that are brokers: those that lag first as above, then by how many partitions they
    lead; the active one last."""
    if state.quorum is None:
        return []
    led, quorum = rows.led(), state.quorum
    both = [i for i, node in enumerate(rows.brokers) if node in quorum.voters]

    def turn(i: int) -> tuple[bool, bool, int, int]:
        node = rows.brokers[i]
        return node == quorum.leader, caught_up(quorum, node), int(led[i]), i

    both.sort(key=turn)
    return [(Role.COMBINED, [i]) for i in both]


def _canary(state: ClusterState, rows: Rows, among: Sequence[int]) -> int | None:
    """The broker with the fewest leaders: what goes wrong there is noticed by the fewest."""
    led = rows.led()
    able = [i for i in among if rows.brokers[i] != state.controller] or list(among)
    return min(able, key=lambda i: (led[i], i), default=None)


def _described(rows: Rows, batches: Sequence[tuple[Role, Sequence[int]]]) -> list[Batch]:
    at_minimum, broken = rows.judged([indices for _, indices in batches])
    assert not len(broken), f"the batches break the rule for {rows.names[broken[0]]}"
    led = rows.led()
    return [
        Batch(
            tuple(rows.brokers[i] for i in sorted(indices)),
            role,
            tuple(sorted({rack for i in indices if (rack := rows.racks[i]) is not None})),
            int(led[list(indices)].sum()),
            int(least),
        )
        for (role, indices), least in zip(batches, at_minimum, strict=True)
    ]


def _by_id(bound: Bound, rows: Rows, rest: Sequence[int]) -> Bound:
    return Bound(bound.number, bound.why, tuple(rows.brokers[rest[i]] for i in bound.brokers))


def _never(rows: Rows, accept: Sequence[str]) -> tuple[Never, ...]:
    found = []
    for i in np.flatnonzero(rows.never).tolist():
        tp = rows.names[i]
        named = any(fnmatchcase(name, g) for name in (tp.topic, str(tp)) for g in accept)
        found.append(Never(tp, int(rows.rf[i]), int(rows.minimum[i]), named))
    return tuple(found)


def _absent(state: ClusterState) -> tuple[int, ...]:
    up = {b.id for b in state.brokers}
    held = {r for t in state.topics.values() for p in t.partitions for r in p.replicas}
    return tuple(sorted(held - up))
