"""Every feature level of Kafka 3.3 to 4.3: its name, what it changes, whether it can be left.

Facts, not rules of ours. Sources in apache/kafka, directory
server-common/src/main/java/org/apache/kafka/server/common: MetadataVersion.java (numbers, names,
`didMetadataChange`), Feature.java and KRaftVersion, TransactionVersion, GroupVersion,
EligibleLeaderReplicasVersion, ShareVersion, StreamsVersion .java (from which metadata.version on a
release sets a level, what it depends on). The levels that a release sets are those of
`kafka-features.sh version-mapping` of 4.3.1. What can be lowered: FeatureControlManager.java in
metadata/src/main/java/org/apache/kafka/controller.
"""

from __future__ import annotations

from dataclasses import dataclass

METADATA = "metadata.version"
KRAFT = "kraft.version"
TRANSACTION = "transaction.version"
GROUP = "group.version"
ELR = "eligible.leader.replicas.version"
SHARE = "share.version"
STREAMS = "streams.version"
FEATURES = (METADATA, KRAFT, TRANSACTION, GROUP, ELR, SHARE, STREAMS)
"""In the order in which they are raised: others may depend on metadata.version."""


@dataclass(frozen=True)
class Level:
    """One level of one feature.

    `name` is Kafka's own where it has one. `since` is the metadata.version from which on a release
    sets this level, `needs` the one without which it is refused; `knows` the one of the release
    whose software first knows it, where that is before one sets it. `barrier`: once here, there is
    no way to a lower level (`didMetadataChange`, or the feature itself forbids it).
    """

    feature: str
    level: int
    what: str
    name: str = ""
    barrier: bool = False
    since: int = 0
    needs: int = 0
    knows: int = 0

    @property
    def release(self) -> str:
        """The release that brought it: `4.0` of `4.0-IV1`."""
        return self.name.partition("-")[0] if self.name else metadata(self.since).release

    def __str__(self) -> str:
        return f"{self.level} ({self.name})" if self.name else str(self.level)


def _metadata(level: int, name: str, what: str, *, barrier: bool = False) -> Level:
    return Level(METADATA, level, what, name, barrier, since=level)


_METADATA = (
    _metadata(7, "3.3-IV3", "brokers tell when they shut down in order (KIP-841)", barrier=True),
    _metadata(8, "3.4-IV0", "migration from ZooKeeper (KIP-866)", barrier=True),
    _metadata(9, "3.5-IV0", "requests of tiered storage (KIP-405)"),
    _metadata(10, "3.5-IV1", "fetches carry the replica's epoch (KIP-903)"),
    _metadata(11, "3.5-IV2", "SCRAM users kept by the controllers (KIP-900)", barrier=True),
    _metadata(12, "3.6-IV0", "no leader epoch bump when an ISR shrinks (KAFKA-15021)"),
    _metadata(13, "3.6-IV1", "transactions in the metadata log (KIP-868)", barrier=True),
    _metadata(14, "3.6-IV2", "delegation tokens kept by the controllers", barrier=True),
    _metadata(15, "3.7-IV0", "controllers register themselves (KIP-919)", barrier=True),
    _metadata(16, "3.7-IV1", "nothing: reserved"),
    _metadata(17, "3.7-IV2", "several log directories with KRaft (KIP-858)", barrier=True),
    _metadata(18, "3.7-IV3", "nothing: reserved"),
    _metadata(19, "3.7-IV4", "fetches tell clients the new leader (KIP-951)"),
    _metadata(20, "3.8-IV0", "nothing that is stored"),
    _metadata(21, "3.9-IV0", "quorums whose voters can change (KIP-853); tiered storage requests"),
    _metadata(22, "4.0-IV0", "ready for the consumer group protocol (KIP-848)"),
    _metadata(23, "4.0-IV1", "eligible leader replicas can be stored (KIP-966)", barrier=True),
    _metadata(24, "4.0-IV2", "ready for the new transactions (KIP-890)"),
    _metadata(25, "4.0-IV3", "newer requests for offsets"),
    _metadata(26, "4.1-IV0", "new clusters get eligible leader replicas"),
    _metadata(27, "4.1-IV1", "newer fetch requests between brokers"),
    _metadata(28, "4.2-IV0", "new clusters get share groups (KIP-932)"),
    _metadata(29, "4.2-IV1", "new clusters get streams groups (KIP-1071)"),
    _metadata(30, "4.3-IV0", "brokers tell which log directories are cordoned", barrier=True),
)

_OTHERS = (
    Level(
        KRAFT,
        1,
        "voters of the quorum can be added and removed at run time (KIP-853); the static"
        " controller.quorum.voters of the nodes no longer decides",
        barrier=True,
        since=21,
    ),
    Level(TRANSACTION, 1, "transaction records can grow by fields (KIP-890)", since=24),
    Level(TRANSACTION, 2, "producers get a new epoch for each transaction (KIP-890)", since=24),
    Level(GROUP, 1, "the new protocol of consumer groups (KIP-848)", since=22),
    Level(
        ELR,
        1,
        "replicas that left the ISR with all data may lead (KIP-966); deletes min.insync.replicas"
        " of single brokers, the cluster-wide value holds for all",
        since=26,
        needs=23,
        knows=23,  # 4.0 has it for those who ask
    ),
    Level(SHARE, 1, "share groups: queues (KIP-932)", since=28, knows=26),  # 4.1: a preview
    Level(STREAMS, 1, "streams groups: the brokers assign tasks (KIP-1071)", since=29),
)

_TABLE = {(found.feature, found.level): found for found in (*_METADATA, *_OTHERS)}
RELEASES = tuple(dict.fromkeys(found.release for found in _METADATA))
"""Oldest first: 3.3 to 4.3."""


def known(feature: str, level: int) -> Level | None:
    """What is known of a level; level 0 of a feature other than metadata.version is "off"."""
    if level == 0 and feature in FEATURES and feature != METADATA:
        return Level(feature, 0, "off")
    return _TABLE.get((feature, level))


def metadata(level: int) -> Level:
    """KeyError for a level that is not in the table."""
    return _TABLE[METADATA, level]


def words(feature: str, level: int) -> str:
    """`30 (4.3-IV0)`, `1`; a level that is not in the table shows its number alone."""
    found = known(feature, level)
    return str(found) if found is not None else str(level)


def short(feature: str, level: int) -> str:
    """The name where there is one: `4.3-IV0`, `1`."""
    found = known(feature, level)
    return found.name if found is not None and found.name else str(level)


def of_release(text: str) -> Level | None:
    """The metadata.version of a release (`4.3`, `4.3.1`) or by its own name (`4.0-IV1`)."""
    named = next((m for m in _METADATA if m.name == text), None)
    if named is not None:
        return named
    parts = text.split(".")
    if len(parts) > 3 or not all(part.isdecimal() for part in parts):
        return None
    release = ".".join(parts[:2])
    return next((m for m in reversed(_METADATA) if m.release == release), None)


def sets(release: Level) -> dict[str, int]:
    """What `kafka-features.sh upgrade --release-version` would set, level 0 (off) included."""
    found = {METADATA: release.level}
    for feature in FEATURES[1:]:
        reached = [x.level for x in _OTHERS if x.feature == feature and x.since <= release.level]
        found[feature] = max(reached, default=0)
    return found


def supports(release: Level) -> dict[str, int]:
    """The highest level of each feature that a release's software knows, 0 for one it does not.
    Previews count that a broker knows without `unstable.feature.versions.enable`."""
    found = sets(release)
    for level in _OTHERS:
        if level.knows and level.knows <= release.level:
            found[level.feature] = max(found[level.feature], level.level)
    return found


def between(feature: str, low: int, high: int) -> tuple[Level, ...]:
    """The known levels above `low` up to `high`."""
    return tuple(x for x in _TABLE.values() if x.feature == feature and low < x.level <= high)


def barrier(feature: str, high: int, low: int) -> Level | None:
    """Why `high` cannot be lowered to `low`: the first level on the way up after which the way down
    was shut. None where it can. A level that is not in the table is no barrier."""
    return next((x for x in between(feature, low, high) if x.barrier), None)


def floor(feature: str, high: int) -> int:
    """The lowest level that `high` can be lowered to."""
    shut = [x.level for x in between(feature, -1, high) if x.barrier]
    return max(shut, default=0 if feature != METADATA else _METADATA[0].level)
