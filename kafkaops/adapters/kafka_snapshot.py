"""A whole cluster at one moment: everything that planners read, asked in parallel.

Invariant: what a broker cannot answer for lack of a feature (no authorizer, ZooKeeper mode)
is an empty value, and what it may not answer is an error that names what was asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from kafka import __version__ as library_version
from kafka.protocol.admin import DescribeQuorumRequest
from kafka.protocol.broker_version_data import infer_broker_version_from_api_versions
from kafka.protocol.metadata import ApiVersionsRequest

from kafkaops.adapters import (
    kafka_acls,
    kafka_groups,
    kafka_log_dirs,
    kafka_producers,
    kafka_reassign,
    kafka_topics,
    kafka_users,
)
from kafkaops.adapters.kafka_errors import FEATURE_OFF, check
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.model import min_isr
from kafkaops.model.cluster import Broker, ClusterState, Listener, Quorum
from kafkaops.model.log_dirs import largest
from kafkaops.model.partition import TopicPartition
from kafkaops.model.reassignment import Reassignment

JUDGED = (min_isr.NAME, "unclean.leader.election.enable")
"""Configs, of topics and of brokers, that tell what a partition survives."""


async def availability(wire: Wire, taken: float) -> ClusterState:
    """Without all that says nothing of whether partitions can be led and written."""
    return await wire.again(lambda: _snapshot(wire, taken, full=False, keys=JUDGED))


async def snapshot(wire: Wire, taken: float, *, full: bool) -> ClusterState:
    """`full=False` leaves out configs, ACLs, quotas, users, groups, transactions, log dirs.
    Begun again when a broker goes away in the middle."""
    return await wire.again(lambda: _snapshot(wire, taken, full=full))


async def _snapshot(
    wire: Wire, taken: float, *, full: bool, keys: Sequence[str] | None = None
) -> ClusterState:
    """With `keys` these configs alone."""
    metadata = await wire.metadata(None)
    names = [row.name for row in metadata.topics if row.partitions]
    ids = [b.node_id for b in metadata.brokers]
    work: dict[str, Callable[[], Awaitable[Any]]] = {
        "versions": lambda: wire.everywhere(_api_versions, ids),
        "quorum": lambda: _quorum(wire),
        "reassigning": lambda: kafka_reassign.reassignments(wire),
    }
    if full or keys:
        work |= {
            "configs": lambda: kafka_topics.topic_configs(wire, names, keys=keys),
            "brokers": lambda: wire.together({i: _config_of(wire, i, keys) for i in ids}),
        }
    if full:
        work |= {
            "acls": lambda: kafka_acls.bindings(wire),
            "quotas": lambda: kafka_acls.quotas(wire),
            "users": lambda: kafka_users.users(wire),
            "groups": lambda: kafka_groups.groups(wire, offsets=True),
            "transactions": lambda: kafka_producers.transactions(wire),
            "dirs": lambda: kafka_log_dirs.log_dirs(wire, ids),
        }
    got = await wire.together(work)
    versions = got["versions"]
    configs = got.get("brokers", {})
    quorum: Quorum | None = got["quorum"]
    acls = got.get("acls", ())
    topics = kafka_topics.topics_of(metadata, got.get("configs", {}))
    dirs = got.get("dirs", {})
    sizes = largest(dirs)
    return ClusterState(
        cluster_id=metadata.cluster_id or "",
        taken=taken,
        controller=quorum.leader if quorum else metadata.controller_id,
        brokers=tuple(
            Broker(
                b.node_id, b.host, b.port, b.rack, _version(versions[b.node_id]),
                _listeners(configs.get(b.node_id, {})),
            )
            for b in sorted(metadata.brokers, key=lambda b: b.node_id)
        ),
        topics=topics,
        acls=acls or (),
        quotas=got.get("quotas", ()),
        scram_users=got.get("users", ()),
        groups=got.get("groups", ()),
        transactions=got.get("transactions", ()),
        quorum=quorum,
        features=_features(versions),
        reassigning=tuple(sorted(got["reassigning"])),
        removing=removing_of(got["reassigning"], metadata.topics),
        broker_config=configs,
        acls_enabled=acls is not None,
        log_dir_bytes=kafka_log_dirs.held(dirs, sizes, topics),
        log_dir_free=kafka_log_dirs.free(dirs),
        replica_bytes=sizes,
        log_dirs=dirs,
    )  # fmt: skip


def _api_versions() -> Any:
    return ApiVersionsRequest(
        client_software_name="kafka-python", client_software_version=library_version, max_version=3
    )


def _version(answer: Any) -> str:
    check(answer.error_code, "ApiVersions")
    ranges = {row.api_key: (row.min_version, row.max_version) for row in answer.api_keys}
    return ".".join(map(str, infer_broker_version_from_api_versions(ranges)))


def _features(versions: dict[int, Any]) -> dict[str, int]:
    newest = max(versions.values(), key=lambda a: a.finalized_features_epoch, default=None)
    rows = (newest.finalized_features or ()) if newest is not None else ()
    return {row.name: row.max_version_level for row in rows}


def _listeners(config: dict[str, str | None]) -> tuple[Listener, ...]:
    """From `advertised.listeners` (or `listeners` where that is not set)."""
    text = config.get("advertised.listeners") or config.get("listeners") or ""
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, address = item.partition("://")
        host, _, port = address.rpartition(":")
        if port.isdigit():
            found.append(Listener(name, host.strip("[]"), int(port)))
    return tuple(found)


def _config_of(
    wire: Wire, broker: int, keys: Sequence[str] | None
) -> Callable[[], Awaitable[dict[str, str | None]]]:
    return lambda: kafka_topics.broker_config(wire, broker, keys=keys)


async def describe_quorum(wire: Wire) -> Any | None:
    """The brokers' answer about the metadata quorum; None in ZooKeeper mode."""
    if not wire.supports(DescribeQuorumRequest):
        return None
    topic = DescribeQuorumRequest.TopicData
    row = topic.PartitionData
    answer = await wire.to_controller(
        lambda: DescribeQuorumRequest(
            topics=[topic(topic_name="__cluster_metadata", partitions=[row(partition_index=0)])]
        ),
        lambda a: a.error_code,
    )
    if answer.error_code in FEATURE_OFF:
        return None
    check(answer.error_code, "the metadata quorum")
    return answer


async def _quorum(wire: Wire) -> Quorum | None:
    answer = await describe_quorum(wire)
    if answer is None:
        return None
    [found] = answer.topics[0].partitions
    check(found.error_code, "the metadata quorum")
    return Quorum(
        found.leader_id,
        found.leader_epoch,
        found.high_watermark,
        {v.replica_id: v.log_end_offset for v in found.current_voters},
        {o.replica_id: o.log_end_offset for o in found.observers},
        _caught_up(found.current_voters),
    )


def _caught_up(voters: Any) -> dict[int, int]:
    """When each voter last was; -1 where it never was. Nothing from a broker that cannot say."""
    times = {v.replica_id: getattr(v, "last_caught_up_timestamp", None) for v in voters}
    return {node: at for node, at in times.items() if at is not None}


def removing_of(
    moving: Mapping[TopicPartition, Reassignment], topics: Iterable[Any]
) -> dict[TopicPartition, tuple[int, ...]]:
    """What each partition on the move is about to lose. The controller tells of the move, and a
    broker of the replicas, maybe as they were before it: then what stays cannot be told from what
    comes, and the partition is left out."""
    replicas = {
        TopicPartition(topic.name, p.partition_index): set(p.replica_nodes)
        for topic in topics
        for p in topic.partitions
    }
    return {
        tp: found.removing
        for tp, found in moving.items()
        if {*found.adding, *found.removing} <= replicas.get(tp, set())
    }
