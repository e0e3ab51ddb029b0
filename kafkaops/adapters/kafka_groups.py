"""Consumer groups: what they are, where they stand, and exact commits for them.

Invariant: a commit counts only when OffsetFetch has answered the very offsets that were
committed; a coordinator that moved is asked again, never taken for success.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kafka.protocol.admin import DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer import OffsetCommitRequest, OffsetFetchRequest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from kafkaops.adapters.kafka_errors import NOT_YET, STALE_COORDINATOR, KafkaAnswer, check
from kafkaops.adapters.kafka_kip848 import ConsumerGroupDescribeRequest
from kafkaops.adapters.kafka_link import BROKEN
from kafkaops.adapters.kafka_wire import MISSING, PATIENCE, Wire
from kafkaops.engine.errors import StepFailed
from kafkaops.model.cluster import Group, Member
from kafkaops.model.partition import TopicPartition

_WAIT = STALE_COORDINATOR | NOT_YET
_GONE = 69  # GROUP_ID_NOT_FOUND
_MEMBERS = frozenset({22, 25, 27})  # illegal generation, unknown member, rebalancing


async def groups(wire: Wire, *, offsets: bool) -> tuple[Group, ...]:
    """Every group of every kind, sorted by name; share and streams groups without members."""
    listed = await _list(wire)
    kinds = {name: (row.group_type or "classic").lower() for name, row in listed.items()}
    classic = [name for name, kind in kinds.items() if kind == "classic"]
    modern = [name for name, kind in kinds.items() if kind == "consumer"]
    found: dict[str, Group] = {}
    for name, kind in kinds.items():
        if kind in ("share", "streams"):
            found[name] = Group(name, kind, listed[name].group_state or "", "", ())
    if classic:
        rows = await _per_coordinator(wire, classic, _describe_classic)
        found |= {name: _classic(row) for name, row in rows.items()}
    if modern:
        rows = await _per_coordinator(wire, modern, _describe_modern)
        found |= {name: _modern(row) for name, row in rows.items()}
    if offsets:
        positions = await committed(wire, [n for n, g in found.items() if g.kind != "share"])
        found = {n: _with_offsets(g, positions.get(n, {})) for n, g in found.items()}
    return tuple(group for _, group in sorted(found.items()))


async def _list(wire: Wire) -> dict[str, Any]:
    """Every broker lists the groups it coordinates. One that still loads any of its partitions
    answers so for all of them: asked again, as long as a call may take."""
    deadline = wire.now() + wire.timeout
    while True:
        listed: dict[str, Any] = {}
        loading: KafkaAnswer | None = None
        for node, answer in (await wire.everywhere(ListGroupsRequest)).items():
            if answer.error_code in _WAIT:
                loading = KafkaAnswer(answer.error_code, f"broker {node}")
                continue
            check(answer.error_code, f"broker {node}")
            listed |= {row.group_id: row for row in answer.groups}
        if loading is None:
            return listed
        if wire.now() >= deadline:
            raise loading
        await wire.sleep(0.1)


def _with_offsets(group: Group, offsets: Mapping[TopicPartition, int]) -> Group:
    return Group(
        group.id, group.kind, group.state, group.protocol, group.members, offsets,
        group.static_members,
    )  # fmt: skip


def _classic(row: Any) -> Group:
    members = tuple(
        Member(m.member_id, m.client_id, m.client_host, _assignment(row, m.member_assignment))
        for m in row.members
    )
    static = tuple(m.group_instance_id for m in row.members if m.group_instance_id)
    if row.protocol_type == "":
        kind = "simple"
    elif row.protocol_type == "consumer":
        kind = "classic"
    else:
        kind = row.protocol_type
    return Group(row.group_id, kind, row.group_state, row.protocol_data, members, {}, static)


def _assignment(row: Any, raw: bytes) -> tuple[TopicPartition, ...]:
    if not raw or row.protocol_type != "consumer":
        return ()
    try:
        decoded = ConsumerProtocolAssignment.decode(raw)
    except (struct.error, ValueError, IndexError):
        return ()  # an assignor of the application's own: its bytes are not for us
    return tuple(
        TopicPartition(topic.topic, partition)
        for topic in decoded.assigned_partitions
        for partition in topic.partitions
    )


def _modern(row: Any) -> Group:
    members = tuple(
        Member(
            m.member_id,
            m.client_id,
            m.client_host,
            tuple(
                TopicPartition(t.topic_name, p)
                for t in m.assignment.topic_partitions
                for p in t.partitions
            ),
        )
        for m in row.members
    )
    static = tuple(m.instance_id for m in row.members if m.instance_id)
    return Group(row.group_id, "consumer", row.group_state, row.assignor_name, members, {}, static)


async def _describe_classic(wire: Wire, node: int, names: list[str]) -> dict[str, Any]:
    answer = await wire.direct(lambda: DescribeGroupsRequest(groups=names), node)
    return {row.group_id: row for row in answer.groups}


async def _describe_modern(wire: Wire, node: int, names: list[str]) -> dict[str, Any]:
    answer = await wire.direct(lambda: ConsumerGroupDescribeRequest(group_ids=names), node)
    return {row.group_id: row for row in answer.groups}


async def _per_coordinator(
    wire: Wire, names: Collection[str], ask: Callable[[Wire, int, list[str]], Any]
) -> dict[str, Any]:
    """One request a coordinator; groups whose coordinator moved are asked for again, groups
    that ended meanwhile are left out."""
    deadline = wire.now() + wire.timeout
    left, done = set(names), {}
    while left:
        at: dict[int, list[str]] = {}
        for name, node in (await wire.coordinators(left)).items():
            at.setdefault(node, []).append(name)
        trouble: KafkaAnswer | None = None
        try:
            answers = await wire.together(
                {node: lambda n=node, g=mine: ask(wire, n, g) for node, mine in at.items()}  # type: ignore[misc]
            )
        except BROKEN:
            answers, trouble = {}, KafkaAnswer(15, ", ".join(sorted(left)[:5]))
            for node in at:
                wire.forget_node(node)
        for rows in answers.values():
            for name, row in rows.items():
                if row.error_code in _WAIT:
                    trouble = KafkaAnswer(row.error_code, name)
                    wire.forget_coordinator(name)
                    continue
                left.discard(name)
                if row.error_code != _GONE:
                    check(row.error_code, name)
                    done[name] = row
        if trouble is not None:
            if wire.now() >= deadline:
                raise trouble
            await wire.sleep(0.05)
    return done


async def committed(wire: Wire, names: Collection[str]) -> dict[str, dict[TopicPartition, int]]:
    """Committed offsets of groups; partitions without one are absent, unknown groups empty."""
    rows = await _per_coordinator(wire, names, _fetch_offsets) if names else {}
    return {name: _positions(row) for name, row in rows.items()}


async def _fetch_offsets(wire: Wire, node: int, names: list[str]) -> dict[str, Any]:
    group = OffsetFetchRequest.OffsetFetchRequestGroup

    if wire.version_of(OffsetFetchRequest) >= 8:
        answer = await wire.direct(
            lambda: OffsetFetchRequest(
                groups=[group(group_id=name, topics=None) for name in names],
                min_version=8,
                max_version=9,
            ),
            node,
        )
        return {row.group_id: row for row in answer.groups}

    def one(name: str) -> Callable[[], Any]:
        return lambda: wire.direct(
            lambda: OffsetFetchRequest(group_id=name, topics=None, min_version=2, max_version=7),
            node,
        )

    return await wire.together({name: one(name) for name in names})


def _positions(row: Any) -> dict[TopicPartition, int]:
    found: dict[TopicPartition, int] = {}
    for topic in row.topics:
        for partition in topic.partitions:
            tp = TopicPartition(topic.name, partition.partition_index)
            check(partition.error_code, str(tp))
            if partition.committed_offset >= 0:
                found[tp] = partition.committed_offset
    return found


async def commit(
    wire: Wire, group: str, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Commit as no member (generation -1, leader epoch -1); what was read back.

    Raises StepFailed (KO-GROUP-ACTIVE, KO-COMMIT-NOT-KEPT).
    """
    begun = wire.now()
    while True:
        answer = await wire.at_coordinator(lambda: _commit_request(group, offsets), group)
        codes = {
            TopicPartition(topic.name, row.partition_index): row.error_code
            for topic in (answer.topics if answer is not None else ())
            for row in topic.partitions
        }
        wrong = {tp: code for tp, code in codes.items() if code}
        if not wrong and set(codes) == set(offsets):
            break
        tp, code = next(iter(wrong.items()), (None, 15))
        if code in _MEMBERS:
            raise StepFailed(
                "KO-GROUP-ACTIVE",
                f"group {group} of {wire.name} has members, so its offsets cannot be set",
                where=f"{wire.name}/{group}",
                hint="stop its consumers on this cluster first",
            )
        # A topic that was created a moment ago may not have reached the coordinator yet.
        patience = PATIENCE if code == MISSING else wire.timeout
        if (code not in _WAIT and code != MISSING) or wire.now() - begun >= patience:
            raise KafkaAnswer(code, f"{group} {tp or ''}".strip())
        wire.forget_coordinator(group)
        await wire.sleep(0.05)
    kept = (await committed(wire, [group])).get(group, {})
    differ = [tp for tp, offset in sorted(offsets.items()) if kept.get(tp) != offset]
    if differ:
        told = ", ".join(f"{tp}: {offsets[tp]} read back as {kept.get(tp)}" for tp in differ[:5])
        raise StepFailed(
            "KO-COMMIT-NOT-KEPT",
            f"{wire.name} acknowledged commits of group {group} that it does not show: {told}",
            where=f"{wire.name}/{group}",
        )
    return {tp: kept[tp] for tp in offsets}


async def commit_all(wire: Wire, positions: Mapping[str, Mapping[TopicPartition, int]]) -> None:
    """Commit several groups at once; the first failure is raised after all have ended."""
    await wire.coordinators(positions)
    await wire.together(
        {name: lambda n=name, o=wanted: commit(wire, n, o) for name, wanted in positions.items()}  # type: ignore[misc]
    )


def _commit_request(group: str, offsets: Mapping[TopicPartition, int]) -> Any:
    topic = OffsetCommitRequest.OffsetCommitRequestTopic
    partition = topic.OffsetCommitRequestPartition
    rows: dict[str, list[Any]] = {}
    for tp, offset in sorted(offsets.items()):
        rows.setdefault(tp.topic, []).append(
            partition(
                partition_index=tp.partition,
                committed_offset=offset,
                committed_leader_epoch=-1,
                committed_metadata="",
            )
        )
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=-1,
        member_id="",
        group_instance_id=None,
        topics=[topic(name=name, partitions=mine) for name, mine in rows.items()],
        max_version=9,
    )


async def delete_groups(wire: Wire, names: Collection[str]) -> None:
    """Delete groups without members; one that is not there is no error."""

    async def ask(wire: Wire, node: int, mine: list[str]) -> dict[str, Any]:
        answer = await wire.direct(lambda: DeleteGroupsRequest(groups_names=mine), node)
        return {row.group_id: row for row in answer.results}

    if names:
        await _per_coordinator(wire, names, ask)
