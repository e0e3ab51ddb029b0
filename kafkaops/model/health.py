"""Is a cluster healthy: each check as data, with what it found. Pure.

A check is `ok`, `warn` (worth knowing, nothing is at risk now) or `bad` (records or service
are at risk, or one failure away from it).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import Partition, Topic
from kafkaops.model.words import counted

VOTER_LAG = 1000
"""Records that a voter may be behind the leader of the metadata log before it is named."""
VOTER_SILENCE = 10_000
"""Milliseconds for which a voter may lack what the leader has. An idle log grows by two records a
second: by its records alone a controller that is dead would be fine for minutes."""


class Level(Enum):
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One check. `items` are what it found (partitions as `topic-0`, node ids, ...), all of them;
    `text` is one sentence."""

    name: str
    level: Level
    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Health:
    cluster_id: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Level:
        levels = {c.level for c in self.checks}
        return next((lv for lv in (Level.BAD, Level.WARN) if lv in levels), Level.OK)


def judge(state: ClusterState, expected: Collection[int] = ()) -> Health:
    """Every check that the snapshot holds enough for. `expected` are the node ids that should be
    there; without them those of all replicas are."""
    return Health(state.cluster_id, tuple(_checks(state, expected)))


def _checks(state: ClusterState, expected: Collection[int]) -> Iterator[Check]:
    yield _brokers(state, expected)
    yield _controller(state)
    if state.quorum is not None:
        yield _quorum(state)
    parts = [(topic, p) for topic in state.topics.values() for p in topic.partitions]
    yield _partitions("offline partitions", [p for _, p in parts if p.leader < 0], Level.BAD)
    yield _partitions(
        "under min ISR", [p for topic, p in parts if under_min_isr(topic, p)], Level.BAD
    )
    yield _partitions("under-replicated", [p for _, p in parts if under_replicated(p)], Level.BAD)
    moving = tuple(str(tp) for tp in state.reassigning)
    yield _found("reassignments", moving, Level.WARN, "partitions on the move")
    if any(topic.config.values for topic in state.topics.values()):
        yield _unclean(state)


def under_replicated(partition: Partition) -> bool:
    return len(partition.isr) < len(partition.replicas)


def under_min_isr(topic: Topic, partition: Partition) -> bool:
    """Fewer in sync than acks=all needs. The broker caps the setting at the replica count, so a
    partition that is fully in sync never is; an unknown setting counts as 1."""
    wanted = int(topic.config.values.get("min.insync.replicas") or 1)
    return len(partition.isr) < min(wanted, len(partition.replicas))


def _brokers(state: ClusterState, expected: Collection[int]) -> Check:
    up = {b.id for b in state.brokers}
    wanted = set(expected)
    if not wanted:
        wanted = {r for t in state.topics.values() for p in t.partitions for r in p.replicas}
    voters = set(state.quorum.voters) if state.quorum else set()
    # Where none of the voters is a broker, controllers are nodes of their own.
    down = sorted(wanted - up - (set() if voters & up else voters))
    if down:
        names = tuple(str(n) for n in down)
        return Check("brokers", Level.BAD, f"{len(up)} up, not up: {', '.join(names)}", names)
    return Check("brokers", Level.OK, f"{len(up)} up")


def _controller(state: ClusterState) -> Check:
    if state.controller < 0:
        return Check("controller", Level.BAD, "there is none")
    return Check("controller", Level.OK, f"node {state.controller}")


def _quorum(state: ClusterState) -> Check:
    quorum = state.quorum
    assert quorum is not None
    if quorum.leader < 0:
        return Check("quorum", Level.BAD, "no leader")
    end = max(quorum.voters.values(), default=0)
    lags = {n: end - at for n, at in sorted(quorum.voters.items())}
    silent = {n for n in lags if (quorum.silence(n) or 0) > VOTER_SILENCE}
    behind = {n: lag for n, lag in lags.items() if lag > VOTER_LAG or n in silent}
    count = len(quorum.voters)
    if behind:
        level = Level.BAD if count - len(behind) <= count // 2 else Level.WARN
        words = ", ".join(f"{n} by {counted(lag, 'record')}" for n, lag in behind.items())
        names = tuple(str(n) for n in behind)
        return Check("quorum", level, f"{len(behind)} of {count} voters behind: {words}", names)
    return Check("quorum", Level.OK, f"{count} voters, leader {quorum.leader}")


def _partitions(name: str, found: list[Partition], level: Level) -> Check:
    return _found(name, tuple(str(p.tp) for p in found), level, "partitions")


def _unclean(state: ClusterState) -> Check:
    found = tuple(
        name
        for name, topic in sorted(state.topics.items())
        if topic.config.values.get("unclean.leader.election.enable") == "true"
    )
    return _found("unclean election", found, Level.WARN, "topics allow it")


def _found(name: str, found: tuple[str, ...], level: Level, what: str) -> Check:
    if not found:
        return Check(name, Level.OK, "none")
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return Check(name, level, f"{len(found)} {what}: {shown}", found)
