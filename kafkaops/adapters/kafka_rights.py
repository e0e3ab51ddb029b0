"""What this tool's principal may do, as the brokers' own authorizer tells it (KIP-430).

Invariant: nothing is changed to find out. Rights on topics and groups that do not exist yet are
asked for by names that nobody has: a broker that hides topics from us would make us leave them
behind, silently.
"""

from __future__ import annotations

import uuid
from typing import Any

from kafka.protocol.admin import DescribeClusterRequest, DescribeTransactionsRequest
from kafka.protocol.consumer import HeartbeatRequest
from kafka.protocol.metadata import MetadataRequest

from kafkaops.adapters.kafka_acls import OPERATIONS
from kafkaops.adapters.kafka_wire import Wire

READ = "READ"
CLUSTER = (
    "DESCRIBE",
    "DESCRIBE_CONFIGS",
    "CREATE",
    "ALTER",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CLUSTER_ACTION",
)
TOPIC = (
    "DESCRIBE",
    "DESCRIBE_CONFIGS",
    READ,
    "WRITE",
    "CREATE",
    "ALTER",
    "ALTER_CONFIGS",
    "DELETE",
)
_DENIED = frozenset({29, 30, 31, 53})
_SHOWN = 5


async def missing(wire: Wire) -> tuple[str, ...]:
    """As `DESCRIBE on CLUSTER`, `READ on TOPIC orders`; empty when nothing is missing."""
    nobody = f"kafkaops-{uuid.uuid4().hex}"
    found = await wire.together(
        {
            "cluster": lambda: _cluster(wire),
            "topics": lambda: _topics(wire, nobody),
            "groups": lambda: _groups(wire, nobody),
            "transactions": lambda: _transactions(wire, nobody),
        }
    )
    return tuple(right for part in found.values() for right in part)


async def _cluster(wire: Wire) -> list[str]:
    if not wire.supports(DescribeClusterRequest):
        return []
    answer = await wire.ask(
        lambda: DescribeClusterRequest(include_cluster_authorized_operations=True, max_version=0)
    )
    if answer.error_code in _DENIED:
        return [f"{operation} on CLUSTER" for operation in CLUSTER]
    return [f"{operation} on CLUSTER" for operation in lacking(CLUSTER, answer)]


async def _topics(wire: Wire, nobody: str) -> list[str]:
    wanted = MetadataRequest.MetadataRequestTopic

    def make(topics: list[Any] | None) -> Any:
        return MetadataRequest(
            topics=topics,
            allow_auto_topic_creation=False,
            include_topic_authorized_operations=True,
            min_version=8,
            max_version=9,
        )

    [row] = (await wire.ask(lambda: make([wanted(name=nobody)]))).topics
    if row.error_code in _DENIED:
        return ["DESCRIBE on TOPIC * (topics that it cannot see would be left behind)"]
    lacks: dict[str, list[str]] = {}
    for topic in (await wire.ask(lambda: make(None))).topics:
        if not topic.is_internal and not topic.error_code:
            for operation in lacking(TOPIC, topic):
                lacks.setdefault(operation, []).append(topic.name)
    return [f"{operation} on TOPIC {_some(names)}" for operation, names in lacks.items()]


async def _groups(wire: Wire, nobody: str) -> list[str]:
    """A heartbeat in a group that is not there, to any broker: what it refuses first is the right.
    Looking for the coordinator would make a fresh cluster create its internal topic."""
    answer = await wire.ask(
        lambda: HeartbeatRequest(group_id=nobody, generation_id=0, member_id="none", max_version=3)
    )
    return [f"{READ} on GROUP *"] if answer.error_code in _DENIED else []


async def _transactions(wire: Wire, nobody: str) -> list[str]:
    """The same with a transactional id; its right to write cannot be asked for without writing."""
    if not wire.supports(DescribeTransactionsRequest):
        return []
    answer = await wire.ask(lambda: DescribeTransactionsRequest(transactional_ids=[nobody]))
    denied = any(row.error_code in _DENIED for row in answer.transaction_states)
    return ["DESCRIBE on TRANSACTIONAL_ID *"] if denied else []


def lacking(needed: tuple[str, ...], row: Any) -> list[str]:
    """Operations that are not in the answer's own list of what is allowed."""
    allowed = {OPERATIONS.get(int(code), "") for code in row.authorized_operations or ()}
    return [operation for operation in needed if operation not in allowed]


def _some(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
