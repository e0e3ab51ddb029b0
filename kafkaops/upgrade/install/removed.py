"""Settings that a release no longer knows, or no longer takes. Data, and the look for them. Pure.

An unknown setting is ignored by a broker with one line in its log, so the operator goes on
believing in it; one that is out of bounds keeps the broker from starting. Both are named before
the first stop. Sources: "Upgrading to 4.0" and "KRaft vs ZooKeeper" of Kafka's documentation,
KIP-724 (message formats), KIP-1030 (bounds of 4.0), KIP-653 (log4j2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kafkaops.upgrade.install.release import Release

MIB = 1024 * 1024


@dataclass(frozen=True)
class Removed:
    """`name` may be a glob; `since` is the first release line without it."""

    name: str
    since: tuple[int, int]
    instead: str


@dataclass(frozen=True)
class Bound:
    """From `since` on a broker does not start with less than `least`."""

    name: str
    since: tuple[int, int]
    least: int


@dataclass(frozen=True)
class Trouble:
    """`stops`: the broker would not start; otherwise it would ignore the setting."""

    setting: str
    words: str
    stops: bool


KRAFT = (4, 0)
REMOVED = (
    Removed("zookeeper.*", KRAFT, "nothing: KRaft has no ZooKeeper"),
    Removed("inter.broker.protocol.version", KRAFT, "the feature metadata.version"),
    Removed("log.message.format.version", KRAFT, "nothing: there is one format"),
    Removed(
        "log.message.timestamp.difference.max.ms",
        KRAFT,
        "log.message.timestamp.before.max.ms and .after.max.ms",
    ),
    Removed("log.message.downconversion.enable", KRAFT, "nothing: old formats are not served"),
    Removed("control.plane.listener.name", KRAFT, "controller.listener.names"),
    Removed("controlled.shutdown.max.retries", KRAFT, "nothing: the controllers lead a shutdown"),
    Removed("controlled.shutdown.retry.backoff.ms", KRAFT, "nothing: as above"),
    Removed("broker.id.generation.enable", KRAFT, "node.id"),
    Removed("reserved.broker.max.id", KRAFT, "node.id"),
    Removed("leader.imbalance.per.broker.percentage", KRAFT, "nothing"),
    Removed("password.encoder.*", KRAFT, "nothing: KRaft keeps passwords another way"),
    Removed("delegation.token.master.key", KRAFT, "delegation.token.secret.key"),
    Removed("offsets.commit.required.acks", KRAFT, "nothing: it is always all"),
    Removed("auto.include.jmx.reporter", KRAFT, "metric.reporters"),
    Removed("metrics.jmx.blacklist", KRAFT, "metrics.jmx.exclude"),
    Removed("metrics.jmx.whitelist", KRAFT, "metrics.jmx.include"),
)
BOUNDS = (
    Bound("log.segment.bytes", KRAFT, MIB),
    Bound("segment.bytes", KRAFT, MIB),
)


def troubles(known: Mapping[str, str], before: Release, to: Release) -> Iterator[Trouble]:
    """What of these settings changes on the way from one release to a newer one."""
    for rule in REMOVED:
        if not _crossed(rule.since, before, to):
            continue
        for name in sorted(known):
            if fnmatchcase(name, rule.name):
                yield Trouble(name, f"{to.line} no longer knows it; instead: {rule.instead}", False)
    for bound in BOUNDS:
        value = known.get(bound.name, "")
        if _crossed(bound.since, before, to) and value.isdecimal() and int(value) < bound.least:
            yield Trouble(bound.name, f"{value}, and {to.line} takes {bound.least} at least", True)


def _crossed(since: tuple[int, int], before: Release, to: Release) -> bool:
    return (before.major, before.minor) < since <= (to.major, to.minor)
