"""What an operator asks of features, and the levels that this means for one cluster. Pure.

Invariant: kraft.version is raised only by its name: with it a static quorum becomes a dynamic one,
for good (KAFKA-18979, KAFKA-21426: Kafka's own tool raises it unasked).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.features import levels
from kafkaops.features.levels import KRAFT, METADATA
from kafkaops.model.features import FeatureChange, FeatureNode, Features, Way

FINALIZE, DOWNGRADE = "finalize", "downgrade"


@dataclass(frozen=True)
class Asked:
    """`verb` is FINALIZE or DOWNGRADE, `to` a release, `features` levels by name, which come over
    those of the release."""

    verb: str
    cluster: str = "blue"
    to: str | None = None
    features: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "features": [list(pair) for pair in self.features]}

    @property
    def flags(self) -> str:
        """What the command was given, but for its verb."""
        to = "" if self.to is None else f" --to {self.to}"
        levels = "".join(f" --feature {name}={level}" for name, level in self.features)
        where = "" if self.cluster == "blue" else f" --cluster {self.cluster}"
        return to + levels + where

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Asked:
        pairs = tuple((str(name), int(level)) for name, level in kept["features"])
        return cls(**{**kept, "features": pairs})


@dataclass(frozen=True)
class Change:
    """One feature from level `old` to `new`."""

    feature: str
    old: int
    new: int

    @property
    def raises(self) -> bool:
        return self.new > self.old

    @property
    def way(self) -> FeatureChange:
        return FeatureChange(
            self.feature, self.new, Way.UPGRADE if self.raises else Way.SAFE_DOWNGRADE
        )

    @property
    def shut(self) -> levels.Level | None:
        """What shuts the way back from a raise; None where it stays open."""
        return levels.barrier(self.feature, self.new, self.old) if self.raises else None


def parse(pairs: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """`NAME=LEVEL`, the level as a number or, for metadata.version, by name. UsageFault."""
    found: dict[str, int] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        name, text = name.strip(), text.strip()
        if name not in levels.FEATURES:
            raise UsageFault(
                "KO-FEATURE-UNKNOWN",
                f"{pair!r}: there is no feature {name!r} that this kafkaops knows",
                hint=f"--feature NAME=LEVEL with one of: {', '.join(levels.FEATURES)}",
            )
        named = levels.of_release(text) if name == METADATA and not text.isdecimal() else None
        level = named.level if named else int(text) if text.isdecimal() else -1
        if not sign or levels.known(name, level) is None:
            there = [str(x) for x in levels.between(name, -1, 1 << 15)]
            there = there if name == METADATA else ["0", *there]
            raise UsageFault(
                "KO-FEATURE-LEVEL",
                f"{pair!r}: {name} has no level {text!r} that this kafkaops knows",
                hint=f"--feature {name}=LEVEL with one of: {', '.join(there)}",
            )
        if name in found:
            raise UsageFault("KO-FEATURE-TWICE", f"{name} is given twice", hint="give it once")
        found[name] = level
    return tuple(found.items())


def release_of(text: str) -> levels.Level:
    found = levels.of_release(text)
    if found is None:
        raise UsageFault(
            "KO-RELEASE-UNKNOWN",
            f"{text!r} is no release whose features this kafkaops knows",
            hint=f"--to with one of: {', '.join(levels.RELEASES)}",
        )
    return found


def refuse_without_features(features: Features, name: str) -> None:
    """GuardRefused for a cluster in ZooKeeper mode, or one whose brokers do not tell its levels."""
    if not features.kraft:
        raise GuardRefused(
            "KO-FEATURES-ZOOKEEPER",
            f"{name} runs with ZooKeeper, where the level is inter.broker.protocol.version in each"
            " broker's server.properties",
            where=name,
            hint="kafkaops upgrade protocol --to 3.9 raises that, broker by broker; to 4.x migrate"
            " it to KRaft on 3.9, or move: kafkaops upgrade --strategy blue-green",
        )
    if METADATA not in features.finalized:
        raise GuardRefused(
            "KO-FEATURES-NONE",
            f"no broker of {name} tells the finalized metadata.version",
            where=name,
            hint="it needs KRaft of 3.3 or later, and a broker that is up: kafkaops cluster health",
        )


def wanted(features: Features, asked: Asked) -> tuple[Change, ...]:
    """The changes, in the order in which they are made. GuardRefused for a level on the wrong side
    of what is finalized, or one that other features forbid."""
    upward = asked.verb == FINALIZE
    given = dict(asked.features)
    goals: dict[str, int] = {}
    if asked.to is not None:
        goals = _goals(release_of(asked.to))
        if upward:
            now = features.level(METADATA)
            if goals[METADATA] < now and METADATA not in given:
                raise _lower(METADATA, now, goals[METADATA])
    for feature, level in given.items():
        now = features.level(feature)
        if upward and level < now:
            raise _lower(feature, now, level)
        if not upward and level > now:
            raise GuardRefused(
                "KO-FEATURE-HIGHER",
                f"{feature} is at {levels.words(feature, now)}; {levels.words(feature, level)} is"
                " not lower",
                hint="kafkaops features finalize raises levels",
            )
    goals |= given
    found = [Change(f, features.level(f), goals[f]) for f in levels.FEATURES if f in goals]
    moves = [c for c in found if (c.raises if upward else c.new < c.old)]
    moves.sort(key=lambda c: levels.FEATURES.index(c.feature), reverse=not upward)
    _refuse_dependent(features, moves)
    return tuple(moves)


def raised(features: Features, release: levels.Level) -> tuple[Change, ...]:
    """What finalizing a release would raise, whatever its nodes support now."""
    found = [Change(f, features.level(f), level) for f, level in _goals(release).items()]
    return tuple(change for change in found if change.raises)


def common_release(features: Features) -> str | None:
    """The newest release whose levels every node that was asked supports."""
    asked = [n for n in features.nodes if n.supports is not None]
    for release in reversed(levels.RELEASES):
        goals = levels.sets(release_of(release))
        if asked and all(_supports(n, goals) for n in asked):
            return release
    return None


def too_much(features: Features, moves: Sequence[Change]) -> Iterator[tuple[Change, FeatureNode]]:
    """Which node does not support which change."""
    for change in moves:
        for node in features.nodes:
            found = node.range(change.feature)
            if found is not None and change.new not in found:
                yield change, node


def _goals(release: levels.Level) -> dict[str, int]:
    found = levels.sets(release)
    del found[KRAFT]
    return found


def _supports(node: FeatureNode, goals: Mapping[str, int]) -> bool:
    ranges = ((node.range(f), level) for f, level in goals.items() if level and f != KRAFT)
    return all(found is not None and level in found for found, level in ranges)


def _refuse_dependent(features: Features, moves: Sequence[Change]) -> None:
    after = {**features.finalized, **{c.feature: c.new for c in moves}}
    for feature, level in after.items():
        found = levels.known(feature, level)
        if found is not None and found.needs > after.get(METADATA, 0):
            raise GuardRefused(
                "KO-FEATURE-NEEDS",
                f"{feature} {level} needs metadata.version {levels.metadata(found.needs)} or later",
                hint=f"--to {levels.metadata(found.needs).release}, or --feature {feature}=0",
            )


def _lower(feature: str, now: int, level: int) -> GuardRefused:
    return GuardRefused(
        "KO-FEATURE-LOWER",
        f"{feature} is finalized at {levels.words(feature, now)}, which is above"
        f" {levels.words(feature, level)}",
        hint="kafkaops features show; kafkaops features downgrade lowers what can be lowered",
    )
