"""What speaks against the two clusters as they are: versions, health, topics, disks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase

from kafkaops.config.schema import Config
from kafkaops.mirror import config as mirroring
from kafkaops.model.cluster import Broker, ClusterState, ProducerState
from kafkaops.model.partition import Ends, Topic, TopicPartition, is_carried
from kafkaops.upgrade.parity_diff import ParityDiff, acl_text
from kafkaops.upgrade.refusals_codes import Finding, finding

OLDEST = (2, 8)  # DescribeProducers, without which producer ids cannot be compared
_ROOM = 1.1
_DEFAULTS = ("log.", "min.insync.replicas", "message.max.bytes", "compression.type")
_OWN = frozenset({"log.dir", "log.dirs"})
_SHOWN = 5


def versions(blue: ClusterState, green: ClusterState) -> Iterator[Finding]:
    for colour, state in (("blue", blue), ("green", green)):
        for broker in state.brokers:
            if not broker.version:
                yield finding("KO-VERSION-UNKNOWN", f"{colour}-{broker.id}", "it did not say")
    old, new = _oldest(blue.brokers), _oldest(green.brokers)
    newest = max((v for b in blue.brokers if (v := _version(b))), default=None)
    if old and old < OLDEST:
        yield finding("KO-VERSION-TOO-OLD", "blue", f"blue runs {_text(old)}")
    if newest and new and new < newest:
        yield finding("KO-VERSION-OLDER", "green", f"green runs {_text(new)}, blue {_text(newest)}")
    if blue.cluster_id == green.cluster_id:
        yield finding("KO-SAME-CLUSTER", blue.cluster_id, "both have this cluster id")


def _version(broker: Broker) -> tuple[int, ...] | None:
    parts = broker.version.split(".")
    return tuple(int(p) for p in parts) if all(p.isdigit() for p in parts) else None


def _oldest(brokers: Collection[Broker]) -> tuple[int, ...] | None:
    return min((v for b in brokers if (v := _version(b))), default=None)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def health(blue: ClusterState, green: ClusterState) -> Iterator[Finding]:
    """Reassignments, offline and under-min-ISR partitions on both sides."""
    for colour, state in (("blue", blue), ("green", green)):
        if state.reassigning:
            yield finding("KO-REASSIGNING", colour, f"moving: {_some(state.reassigning)}")
        lagging: list[TopicPartition] = []
        for topic in state.topics.values():
            minimum = _min_isr(topic)
            for p in topic.partitions:
                if p.leader < 0:
                    yield finding("KO-PARTITION-OFFLINE", f"{colour}/{p.tp}", "it has no leader")
                elif len(p.isr) < min(minimum, len(p.replicas)):
                    yield finding(
                        "KO-UNDER-MIN-ISR",
                        f"{colour}/{p.tp}",
                        f"{len(p.isr)} of {len(p.replicas)} replicas in sync,"
                        f" min.insync.replicas is {minimum}",
                    )
                elif len(p.isr) < len(p.replicas):
                    lagging.append(p.tp)
        if lagging:
            yield finding("KO-UNDER-REPLICATED", colour, f"not in sync: {_some(lagging)}")


def _min_isr(topic: Topic) -> int:
    value = topic.config.values.get("min.insync.replicas") or "1"
    return int(value) if value.isdigit() else 1


def replication(blue: ClusterState) -> Iterator[Finding]:
    """Topics that one failed or fenced host stops."""
    for topic in _carried(blue):
        if topic.rf == 1:
            yield finding("KO-RF-ONE", topic.name, "its replication factor is 1")
        elif topic.rf <= _min_isr(topic):
            yield finding(
                "KO-RF-MIN-ISR",
                topic.name,
                f"its replication factor {topic.rf} is not above"
                f" min.insync.replicas {_min_isr(topic)}",
            )


def green_topics(
    blue: ClusterState,
    green: ClusterState,
    ends: Mapping[TopicPartition, Ends],
    producers: Collection[ProducerState],
) -> Iterator[Finding]:
    """Topics to be carried that are not fresh on green."""
    for topic in _carried(green):
        if topic.name not in blue.topics:
            continue
        mine = {p.tp for p in topic.partitions}
        held = sum(ends[tp].high_watermark - ends[tp].start for tp in mine if tp in ends)
        used = [tp for tp in mine if tp in ends and ends[tp].high_watermark > 0]
        if used:
            yield finding(
                "KO-GREEN-RECORDS",
                topic.name,
                f"green has offsets in {len(used)} of its partitions ({held} now held)",
            )
        known = {p.producer_id for p in producers if p.tp in mine}
        if known:
            yield finding(
                "KO-GREEN-PRODUCERS", topic.name, f"green remembers {len(known)} producers of it"
            )


def parity(diff: ParityDiff, blue: ClusterState, green: ClusterState) -> Iterator[Finding]:
    """What settings alone cannot make equal, and what should be known."""
    for why in diff.impossible:
        name = why.split(" has ")[0].removeprefix("topic ") if why.startswith("topic ") else ""
        yield finding("KO-PARITY", name or "green", why)
    for acl in diff.surplus_acls:
        yield finding("KO-ACL-SURPLUS", acl.resource_name, f"only on green: {acl_text(acl)}")
    for skipped in diff.skipped:
        yield finding("KO-CONFIG-NOT-CARRIED", f"{skipped.topic}/{skipped.name}", skipped.reason)
    for name in diff.left_out:
        yield finding("KO-TOPIC-LEFT-OUT", name, "it stays on blue only")
    for topic in _carried(blue):
        if topic.config.values.get("remote.storage.enable") == "true":
            yield finding("KO-TIERED", topic.name, "part of its log lies in remote storage")
    for broker, config in sorted(green.broker_config.items()):
        if (config.get("auto.create.topics.enable") or "").lower() == "true":
            yield finding(
                "KO-GREEN-AUTO-CREATE", f"green-{broker}", "a client could create a topic there"
            )
    yield from _brokers_differ(blue)


def _brokers_differ(blue: ClusterState) -> Iterator[Finding]:
    configs = blue.broker_config
    names = {n for c in configs.values() for n in c if n.startswith(_DEFAULTS) and n not in _OWN}
    for name in sorted(names):
        values = {node: config.get(name) for node, config in sorted(configs.items())}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{node}: {value}" for node, value in values.items())
            yield finding("KO-BROKERS-DIFFER", name, told)


def unmirrored(blue: ClusterState, config: Config) -> Iterator[Finding]:
    """Topics that we would carry and the mirror would leave behind."""
    every = config.mirror.model_copy(update={"exclude": ()})
    for topic in _carried(blue):
        if any(fnmatchcase(topic.name, glob) for glob in config.mirror.exclude):
            continue
        if not mirroring.carried(topic.name, mirroring.NEVER):
            yield finding("KO-TOPIC-UNMIRRORED", topic.name, "the mirror takes it for its own")
        elif mirroring.unmirrorable([topic.name], every):
            yield finding(
                "KO-TOPIC-UNMIRRORED", topic.name, "MirrorMaker takes such names for internal"
            )


def disk(blue: ClusterState, green: ClusterState) -> Iterator[Finding]:
    """Room on green for blue's logs: broker by broker where the ids are the same, else in all."""
    need, free = blue.log_dir_bytes, green.log_dir_free
    if not free or not need:
        return
    if set(need) <= set(free):
        for broker, used in sorted(need.items()):
            if free[broker] < used * _ROOM:
                yield finding("KO-DISK", f"green-{broker}", _room(used, free[broker]))
    elif sum(free.values()) < sum(need.values()) * _ROOM:
        yield finding("KO-DISK", "green", _room(sum(need.values()), sum(free.values())))


def _room(used: int, free: int) -> str:
    gib = 2**30
    return f"{free / gib:.1f} GiB free, blue's logs hold {used / gib:.1f} GiB (10 % spare wanted)"


def _carried(state: ClusterState) -> list[Topic]:
    return [topic for _, topic in sorted(state.topics.items()) if is_carried(topic)]


def _some(things: Collection[object]) -> str:
    told = ", ".join(sorted(str(t) for t in things)[:_SHOWN])
    more = len(things) - _SHOWN
    return f"{told} and {more} more" if more > 0 else told
