"""Replication throttles: what to set over what is there, and how to give it back. Pure.

Invariant: what somebody else set is never narrowed: a list is only added to, `*` stays `*`, and
what is taken away in the end is what was added here, no more. A rate is told by its value: one that
nobody here set is an operator's, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkaops.placement.moves import DirMove, Move

LEADER_RATE = "leader.replication.throttled.rate"
FOLLOWER_RATE = "follower.replication.throttled.rate"
DIRS_RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
LEADER_LIST = "leader.replication.throttled.replicas"
FOLLOWER_LIST = "follower.replication.throttled.replicas"
RATES = (LEADER_RATE, FOLLOWER_RATE, DIRS_RATE)
LISTS = (LEADER_LIST, FOLLOWER_LIST)
ALL = "*"

Own = Mapping[str, str]
"""What is set on one broker or topic, by name; nothing where it is not set."""


@dataclass(frozen=True)
class Throttles:
    """What is set on brokers and topics: all of it, or what is to be."""

    brokers: Mapping[int, Own] = field(default_factory=dict)
    topics: Mapping[str, Own] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "brokers": {str(b): dict(own) for b, own in sorted(self.brokers.items())},
            "topics": {t: dict(own) for t, own in sorted(self.topics.items())},
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Throttles:
        return cls(
            {int(b): dict(own) for b, own in kept["brokers"].items()},
            {str(t): dict(own) for t, own in kept["topics"].items()},
        )


def wanted(
    moves: Iterable[Move], dirs: Iterable[DirMove], rate: int, before: Throttles
) -> Throttles:
    """What holds these moves to `rate` bytes/s for each broker and direction, over what is set
    `before`: rates on the brokers that send and receive, and the replicas that do, by topic."""
    brokers: dict[int, dict[str, str]] = {}
    sending: dict[str, list[str]] = {}
    receiving: dict[str, list[str]] = {}
    for move in moves:
        if not move.adding:
            continue
        topic, partition = move.tp
        for broker in move.before:
            brokers.setdefault(broker, {})[LEADER_RATE] = str(rate)
            sending.setdefault(topic, []).append(f"{partition}:{broker}")
        for broker in move.adding:
            brokers.setdefault(broker, {})[FOLLOWER_RATE] = str(rate)
            receiving.setdefault(topic, []).append(f"{partition}:{broker}")
    for one in dirs:
        brokers.setdefault(one.broker, {})[DIRS_RATE] = str(rate)
    topics = {
        topic: {
            LEADER_LIST: merged(before.topics.get(topic, {}).get(LEADER_LIST), sending[topic]),
            FOLLOWER_LIST: merged(
                before.topics.get(topic, {}).get(FOLLOWER_LIST), receiving[topic]
            ),
        }
        for topic in sorted(sending)
    }
    return Throttles(dict(sorted(brokers.items())), topics)


def merged(held: str | None, more: Iterable[str]) -> str:
    """A list of throttled replicas with these added; `*` holds all of them already."""
    if (held or "").strip() == ALL:
        return ALL
    return ",".join(dict.fromkeys((*_entries(held), *more)))


def missing(now: Throttles, wish: Throttles) -> Throttles:
    """What to set so that all of the wish holds, on what `now` knows: a broker that is down, or a
    topic that is gone, is not in it."""
    brokers = {
        b: {n: v for n, v in own.items() if now.brokers[b].get(n) != v}
        for b, own in wish.brokers.items()
        if b in now.brokers
    }
    topics = {
        t: {n: merged(now.topics[t].get(n), _entries(v)) if v != ALL else v for n, v in own.items()}
        for t, own in wish.topics.items()
        if t in now.topics
    }
    topics = {
        t: {n: v for n, v in own.items() if not _covers(now.topics[t].get(n), v)}
        for t, own in topics.items()
    }
    return Throttles(
        {b: own for b, own in brokers.items() if own}, {t: own for t, own in topics.items() if own}
    )


def of_those(ours: Throttles, before: Throttles) -> Throttles:
    """Ours on the brokers of which it is known what was set before: whatever a broker that is down
    holds could not be given back."""
    brokers = {b: own for b, own in ours.brokers.items() if b in before.brokers}
    return Throttles(brokers, ours.topics)


Change = tuple[dict[int, dict[str, str | None]], dict[str, dict[str, str | None]]]
"""What to change of brokers and topics; None deletes."""


def given_back(
    now: Throttles, ours: Throttles, before: Throttles, rates: Collection[str] = ()
) -> Change:
    """What to change so that nothing of ours is left, on what `now` knows; nothing where it is so.
    `rates` are the values that were set since, besides those of `ours`. A rate that somebody else
    set meanwhile stays, and a list loses what is ours and nothing else."""
    brokers: dict[int, dict[str, str | None]] = {}
    for broker, own in ours.brokers.items():
        for name, value in own.items():
            held = now.brokers.get(broker, {}).get(name)
            old = before.brokers.get(broker, {}).get(name)
            if held != old and held in (value, *rates):
                brokers.setdefault(broker, {})[name] = old
    topics: dict[str, dict[str, str | None]] = {}
    for topic, own in ours.topics.items():
        for name, value in own.items():
            if topic not in now.topics:
                continue
            held = now.topics[topic].get(name)
            old = before.topics.get(topic, {}).get(name)
            back = _without(held, value, old)
            if back != held:
                topics.setdefault(topic, {})[name] = back
    return brokers, topics


def others(
    now: Throttles, ours: Throttles, before: Throttles, rates: Collection[str] = ()
) -> dict[int, dict[str, str | None]]:
    """Rates that are neither ours nor as they were before: somebody set them meanwhile (None:
    deleted)."""
    found: dict[int, dict[str, str | None]] = {}
    for broker, own in ours.brokers.items():
        for name, value in own.items():
            held = now.brokers.get(broker, {}).get(name)
            old = before.brokers.get(broker, {}).get(name)
            if broker in now.brokers and held not in (old, value, *rates):
                found.setdefault(broker, {})[name] = held
    return found


def restored(
    now: Throttles, ours: Throttles, before: Throttles, rates: Collection[str] = ()
) -> Throttles:
    """What is set now, as it is once ours is given back: what a broker that was down then still has
    of ours is not taken for an operator's."""
    brokers, topics = given_back(now, ours, before, rates)
    return Throttles(
        {b: _changed(own, brokers.get(b, {})) for b, own in now.brokers.items()},
        {t: _changed(own, topics.get(t, {})) for t, own in now.topics.items()},
    )


def _changed(own: Own, change: Mapping[str, str | None]) -> dict[str, str]:
    return {n: v for n, v in {**own, **change}.items() if v is not None}


def _without(held: str | None, ours: str, before: str | None) -> str | None:
    if held is None or held == before or (held == ALL != ours):
        return held if held is not None or before is None else before
    if held == ours:
        return before
    added = set(_entries(ours)) - set(_entries(before))
    rest = [entry for entry in _entries(held) if entry not in added]
    if set(rest) == set(_entries(before)):
        return before
    return ",".join(rest) or before


def _covers(held: str | None, wish: str) -> bool:
    if (held or "").strip() == ALL:
        return True
    return wish != ALL and set(_entries(wish)) <= set(_entries(held))


def _entries(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
