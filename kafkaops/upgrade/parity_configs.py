"""What green's topic configs must be: blue's effective values, whatever their source. Pure.

Invariant: every difference is either a change, deferred to the cut, or skipped with a reason.
Timestamps stay open on green until the cut: a copied LogAppendTime would rewrite them, and
4.x rejects records dated over an hour ahead, which kills the mirror (reference/cutover.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import Topic, TopicConfig, is_carried

OPEN = str(2**63 - 1)
TYPE = "message.timestamp.type"
AFTER, BEFORE = "message.timestamp.after.max.ms", "message.timestamp.before.max.ms"
_DIFFERENCE = "message.timestamp.difference.max.ms"
_UNTIL_CUT = {TYPE: "CreateTime", AFTER: OPEN, BEFORE: OPEN}
_NOT_COPIED = frozenset(
    {"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"}
)
_GONE_IN_4 = frozenset({"message.format.version", "message.downconversion.enable", _DIFFERENCE})
_MIN_SEGMENT_4 = 1_048_576


class Deferred(NamedTuple):
    """A config that differs from blue until the cut: what it is until then, and from then on."""

    topic: str
    name: str
    until: str
    at_cut: str


@dataclass(frozen=True)
class ConfigChange:
    """One value to set on green; `source` says where blue has it from, `was` what green has."""

    topic: str
    name: str
    value: str
    was: str | None
    source: str


@dataclass(frozen=True)
class Skipped:
    topic: str
    name: str
    reason: str


@dataclass(frozen=True)
class Wanted:
    """What one topic must be on green: values now, those of them to give when it is created,
    what waits for the cut, what cannot be carried."""

    values: Mapping[str, str]
    explicit: Mapping[str, str]
    deferred: tuple[Deferred, ...]
    skipped: tuple[Skipped, ...]


def major(cluster: ClusterState) -> int:
    """The lowest major version of the brokers, 0 when unknown."""
    heads = [b.version.split(".")[0] for b in cluster.brokers if b.version]
    return min((int(h) for h in heads if h.isdigit()), default=0)


def known_names(green: ClusterState) -> frozenset[str] | None:
    """Topic configs that green knows, None while it has no topic to learn them from."""
    for topic in green.topics.values():
        if topic.config.values:
            return frozenset(topic.config.values)
    return None


def wanted(topic: Topic, *, target_major: int, known: frozenset[str] | None) -> Wanted:
    """Values for green by name. `known` limits them to what green has."""
    values: dict[str, str] = {}
    explicit: dict[str, str] = {}
    deferred: list[Deferred] = []
    skipped: list[Skipped] = []
    for name, value in sorted(_effective(topic.config).items()):
        source = topic.config.sources.get(name, "")
        own = source not in ("default", "")
        if name in _NOT_COPIED:
            continue
        if value is None:
            if own:
                skipped.append(Skipped(topic.name, name, "its value is secret or empty"))
            continue
        if (known is not None and name not in known) or (
            known is None and target_major >= 4 and name in _GONE_IN_4
        ):
            if own:
                skipped.append(
                    Skipped(topic.name, name, f"unknown to the target's version ({value} here)")
                )
            continue
        if name == "segment.bytes" and target_major >= 4 and int(value) < _MIN_SEGMENT_4:
            skipped.append(
                Skipped(topic.name, name, f"{value} is below 4.x's minimum, {_MIN_SEGMENT_4} set")
            )
            value = str(_MIN_SEGMENT_4)
        until = _UNTIL_CUT.get(name)
        if until is not None and value != until:
            deferred.append(Deferred(topic.name, name, until, value))
            value = until
        values[name] = value
        if own:
            explicit[name] = value
    return Wanted(values, explicit, tuple(deferred), tuple(skipped))


def _effective(config: TopicConfig) -> dict[str, str | None]:
    """Values as the broker applies them: the old difference bound stands for both new ones."""
    values = dict(config.values)
    bound = values.get(_DIFFERENCE)
    if bound is not None and bound != OPEN:
        for name in (AFTER, BEFORE):
            if values.get(name) == OPEN:
                values[name] = bound
    return values


def changes(topic: str, wish: Wanted, source: TopicConfig, have: TopicConfig) -> list[ConfigChange]:
    """What differs on green now."""
    return [
        ConfigChange(topic, name, value, have.values.get(name), source.sources.get(name, ""))
        for name, value in sorted(wish.values.items())
        if name in have.values and not same(name, value, have.values[name])
    ]


def same(name: str, wish: str, have: str | None) -> bool:
    """Equal in effect; the order of a list does not count."""
    if have is None:
        return False
    if name == "cleanup.policy":
        return {v.strip() for v in wish.split(",")} == {v.strip() for v in have.split(",")}
    return wish == have


def closed(topics: Iterable[Topic]) -> tuple[Deferred, ...]:
    """Carried topics whose timestamp settings would change or refuse copied records."""
    return tuple(
        Deferred(topic.name, name, until, value)
        for topic in topics
        if is_carried(topic)
        for name, until in _UNTIL_CUT.items()
        if (value := topic.config.values.get(name)) is not None and value != until
    )
