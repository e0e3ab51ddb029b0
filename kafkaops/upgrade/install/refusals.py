"""Every reason against installing a release on these hosts, all at once. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence

from kafkaops.config.accepting import GHOST
from kafkaops.features import asking, levels
from kafkaops.features import ghosts as ghost_nodes
from kafkaops.model.cluster import ClusterState
from kafkaops.model.features import Features
from kafkaops.ports.versions import Tarball
from kafkaops.upgrade.install.looks import Look
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.release import Release
from kafkaops.upgrade.install.removed import MIB, troubles
from kafkaops.upgrade.protocol.setting import NAME as PROTOCOL
from kafkaops.upgrade.protocol.setting import Protocol, told
from kafkaops.upgrade.refusals_codes import Finding

KRAFT_ONLY = Release(4, 0, 0)
OLDEST = Release(3, 3, 0)
"""The oldest software, and the oldest metadata.version, from which 4.x may be reached ("Upgrading
to 4.0" of Kafka's documentation)."""
KAFKAS_OWN = "kafka-features.sh --bootstrap-server HOST:PORT downgrade"
UNPACKED = 3
"""A tarball, and what comes out of it, for as long as both are there: this many times its size."""
UNKNOWN_SIZE = 150 * MIB


def find(
    state: ClusterState,
    looks: Sequence[Look],
    place: Place,
    to: Release,
    tarball: Tarball | None,
    flag: str = "",
) -> Iterator[Finding]:
    """`tarball` is None where there is none to be had: what it needs of a host is then not told.
    `flag` is what names the cluster in commands (` --cluster green`)."""
    yield from zookeeper(state, to)
    yield from _cluster(state, to, flag)
    for one in looks:
        yield from _way(one, place, to)
        if tarball is not None and not one.runs(str(to), place):
            yield from _room(one, place, to, tarball)
        yield from _settings(one, to)
        if state.quorum is None and to < KRAFT_ONLY:
            yield from _protocol(one, to, flag)
    yield from _topics(state, looks, to)


def _protocol(one: Look, to: Release, flag: str) -> Iterator[Finding]:
    """In ZooKeeper mode a broker without a pinned protocol speaks the newest it knows, and there is
    no way back from that ("Upgrading to 3.9" of Kafka's documentation)."""
    if one.running is not None and PROTOCOL not in one.known:
        yield Finding(
            "KO-PROTOCOL-NOT-PINNED",
            one.host,
            f"{PROTOCOL} is not set: on {to} this broker would speak {to.line} at once, and not go"
            " back",
            f"set {PROTOCOL}={one.running.release.line} on every host, and kafkaops restart"
            f"{flag} --changed-config; once all run the new version: kafkaops upgrade protocol --to"
            f" {to.line}{flag}",
        )
    pinned = told(one.known)
    if pinned is not None and pinned > Protocol(to.major, to.minor):
        yield Finding(
            "KO-PROTOCOL-NEWER",
            one.host,
            f"{PROTOCOL} is {pinned}, which {to} does not know: its brokers would not start",
            f"stay on {pinned} or later: what was written with a protocol, an older one may not"
            " read",
        )


def zookeeper(state: ClusterState, to: Release) -> Iterator[Finding]:
    """What no tarball changes."""
    if state.quorum is None and to >= KRAFT_ONLY:
        yield Finding(
            "KO-ZOOKEEPER",
            str(to),
            f"the cluster uses ZooKeeper, which Kafka {to.line} does not know",
            "migrate it to KRaft on 3.9 in place, then upgrade; or build a KRaft cluster beside it:"
            " kafkaops upgrade --strategy blue-green",
        )


def _cluster(state: ClusterState, to: Release, flag: str) -> Iterator[Finding]:
    now, most = state.features.get(levels.METADATA), levels.of_release(str(to))
    if most is None:
        yield Finding(
            "KO-RELEASE-UNKNOWN",
            str(to),
            "which features this release knows is not known here: finalising is up to you",
            note=True,
        )
    else:
        yield from _unknown(state, to, levels.supports(most), flag)
    least = levels.of_release(OLDEST.line)
    if now is not None and to >= KRAFT_ONLY and least is not None and now < least.level:
        yield Finding(
            "KO-FEATURES-OLDER",
            levels.METADATA,
            f"metadata.version is {levels.words(levels.METADATA, now)}, and {to.line} needs"
            f" {least} at least",
            "upgrade to 3.9 and finalise first",
        )


def _unknown(
    state: ClusterState, to: Release, supports: Mapping[str, int], flag: str
) -> Iterator[Finding]:
    """Features at a level that the target does not know: it would not register, nor start as a
    controller. A feature that is in no table came after every release that is."""
    for feature, now in sorted(state.features.items()):
        most = supports.get(feature, 0)
        if now <= most:
            continue
        known = f"{levels.words(feature, most)} at most" if most else "no level of it"
        shut = levels.barrier(feature, now, most)
        # `features downgrade` takes only what is in the table
        tool = f"kafkaops features downgrade{flag}" if feature in levels.FEATURES else KAFKAS_OWN
        yield Finding(
            "KO-FEATURES-NEWER",
            feature,
            f"{feature} is {levels.words(feature, now)}, and {to} knows {known}: its nodes would"
            " not start",
            f"it cannot be lowered any more, because of {shut} of release {shut.release}: stay on a"
            " release that knows it"
            if shut is not None
            else f"lower it first: {tool} --feature {feature}={most}",
        )


def ghosts(
    features: Features, voters: Collection[int], to: Release, *, older: bool
) -> Iterator[Finding]:
    """Who is registered and gone, as `features` finds them. The roll does not need them, and what
    comes after it does: the features of the new release are raised by nobody while a controller of
    the old one is registered, which cannot be undone before 4.4. So that is accepted by name or
    refused; a broker can be unregistered at any time, and to an `older` release nothing is raised.
    One of the `voters` that is down is none: it comes back with the new version."""
    release = levels.of_release(str(to))
    for ghost in features.ghosts:
        blocks = release is None or ghost_nodes.blocks(ghost, asking.raised(features, release))
        asks = blocks and ghost.controller and not older and ghost.id not in voters
        yield Finding(
            GHOST,
            ghost.name,
            ghost_nodes.words(ghost)
            + (f"; {to} could not be finalised for it" if blocks and not older else ""),
            ghost_nodes.cure(ghost),
            acceptable=asks,
            note=not asks,
        )


def _way(one: Look, place: Place, to: Release) -> Iterator[Finding]:
    if one.link is None:
        yield Finding(
            "KO-LINK-NONE",
            one.host,
            f"there is no link {place.link}",
            "lay Kafka out as DIRECTORY/versions/RELEASE with a link `current`, and let the unit"
            " start it by the link; see docs/rolling.md",
        )
        return
    if posixpath.isabs(one.link):
        yield Finding(
            "KO-NOT-BY-LINK",
            one.host,
            f"{place.link} points to {one.link}, which is not below {place.directory}: it could not"
            " be turned back",
            f"move that version to {place.directory}/versions, and point the link there",
        )
        return
    if not one.unit.pid:
        return  # down: what it ran cannot be told, and what it starts next is what we give it
    if one.running is None:
        yield Finding(
            "KO-RUNNING-UNKNOWN",
            one.host,
            f"the unit {one.unit.name} (process {one.unit.pid}) holds no Kafka server jar open",
            "is `service` of the config the broker's own unit?",
        )
        return
    if one.running.root != place.pointed(one.link):
        yield Finding(
            "KO-NOT-BY-LINK",
            one.host,
            f"it runs from {one.running.root}, and {place.link} points to"
            f" {place.pointed(one.link)}: a turned link would change nothing",
            "let ExecStart of the unit go through the link, and restart it once",
        )
    if to >= KRAFT_ONLY and one.running.release < OLDEST:
        yield Finding(
            "KO-UPGRADE-PATH",
            one.host,
            f"it runs {one.running.release}, and {to.line} is reached from {OLDEST.line} or later",
            "upgrade to 3.9 first",
        )


def _room(one: Look, place: Place, to: Release, tarball: Tarball) -> Iterator[Finding]:
    if one.mark == "":
        yield Finding(
            "KO-VERSION-FOREIGN",
            one.host,
            f"{place.home(str(to))} was not unpacked by kafkaops: nobody knows what is in it",
            "move it away; it is unpacked anew from the tarball",
        )
    elif one.mark is not None and one.mark != tarball.sha512:
        yield Finding(
            "KO-VERSION-FOREIGN",
            one.host,
            f"{place.home(str(to))} came from another tarball than the config's",
            "move it away, or correct `sha512`",
        )
    elif one.mark is None:
        need = UNPACKED * (tarball.size or UNKNOWN_SIZE)
        if one.free < need:
            yield Finding(
                "KO-DISK-ROOM",
                one.host,
                f"{one.free // MIB} MiB are free at {place.directory}, {need // MIB} are needed",
                "make room there: old versions may go",
            )


def _settings(one: Look, to: Release) -> Iterator[Finding]:
    if one.running is None:
        return
    for trouble in troubles(one.known, one.running.release, to):
        yield Finding(
            "KO-SETTING-REFUSED" if trouble.stops else "KO-SETTING-REMOVED",
            f"{one.host}:{trouble.setting}",
            trouble.words,
            "correct it in that host's server.properties",
            note=not trouble.stops,
        )


def _topics(state: ClusterState, looks: Sequence[Look], to: Release) -> Iterator[Finding]:
    """A topic's own segment.bytes below the new bound (KIP-1030)."""
    before = min((one.running.release for one in looks if one.running), default=to)
    if not before < KRAFT_ONLY <= to:
        return
    for name, topic in sorted(state.topics.items()):
        value = topic.config.values.get("segment.bytes") or ""
        if value.isdecimal() and int(value) < MIB:
            yield Finding(
                "KO-SETTING-REFUSED",
                f"{name}:segment.bytes",
                f"the topic has {value}, and {to.line} takes {MIB} at least",
                f"raise it: kafka-configs.sh --alter --topic {name}"
                f" --add-config segment.bytes={MIB}",
            )
