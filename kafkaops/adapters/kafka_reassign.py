"""Partitions sent to other brokers, called off, and listed while on their way (KIP-455).

Invariant: one request carries at most what a controller takes whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kafka.protocol.admin import (
    AlterPartitionReassignmentsRequest,
    ListPartitionReassignmentsRequest,
)

from kafkaops.adapters.kafka_errors import check
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.model.partition import TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.model.requests import MOST, parts

_NOTHING_UNDER_WAY, _UNKNOWN_TOPIC = 85, 3


async def reassign(
    wire: Wire, targets: Mapping[TopicPartition, Sequence[int] | None]
) -> tuple[TopicPartition, ...]:
    """One request. Those to call off of which nothing was on its way, or whose topic is gone, are
    returned. To the same replicas in another order it is done at once."""
    if len(targets) > MOST:
        raise ValueError(f"{len(targets)} partitions in one request, and {MOST} are the most")
    topic = AlterPartitionReassignmentsRequest.ReassignableTopic
    rows: dict[str, list[Any]] = {}
    for tp, replicas in sorted(targets.items()):
        wanted = None if replicas is None else list(replicas)
        row = topic.ReassignablePartition(partition_index=tp.partition, replicas=wanted)
        rows.setdefault(tp.topic, []).append(row)
    if not rows:
        return ()
    answer = await wire.to_controller(
        lambda: AlterPartitionReassignmentsRequest(
            timeout_ms=10_000,
            topics=[topic(name=name, partitions=parts) for name, parts in rows.items()],
        ),
        lambda a: a.error_code,
    )
    check(answer.error_code, "reassignment", answer.error_message)
    over: list[TopicPartition] = []
    for found in answer.responses:
        for p in found.partitions:
            tp = TopicPartition(found.name, p.partition_index)
            if targets.get(tp) is None and p.error_code in (_NOTHING_UNDER_WAY, _UNKNOWN_TOPIC):
                over.append(tp)
            else:
                check(p.error_code, str(tp), p.error_message)
    return tuple(over)


async def reorder(wire: Wire, replicas: Mapping[TopicPartition, Sequence[int]]) -> None:
    """Other orders of the same replicas, in as few requests as a controller takes whole."""
    for some in parts(sorted(replicas)):
        await reassign(wire, {tp: replicas[tp] for tp in some})


async def reassignments(wire: Wire) -> dict[TopicPartition, Reassignment]:
    """Partitions on their way, as the controller knows them."""
    answer = await wire.to_controller(
        lambda: ListPartitionReassignmentsRequest(timeout_ms=10_000, topics=None),
        lambda a: a.error_code,
    )
    check(answer.error_code, "reassignments", answer.error_message)
    return {
        TopicPartition(topic.name, p.partition_index): Reassignment(
            tuple(p.replicas or ()),
            tuple(p.adding_replicas or ()),
            tuple(p.removing_replicas or ()),
        )
        for topic in answer.topics
        for p in topic.partitions
    }
