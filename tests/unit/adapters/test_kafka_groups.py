"""Commits: a coordinator that moved is asked again, and nothing counts before it is read back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from kafkaops.adapters import kafka_groups
from kafkaops.adapters.kafka_errors import KafkaAnswer
from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import TopicPartition
from tests.unit.adapters.wires import BROKEN, FakeWire, finish, found, row

TP = TopicPartition("t", 3)


class Coordinators:
    """Group `g` lives on `home`; commits answer the codes given, then 0."""

    def __init__(self, *codes: int | Exception, keeps: bool = True, home: int = 2) -> None:
        self.codes = list(codes)
        self.keeps, self.home = keeps, home
        self.kept: int = -1

    def __call__(self, request: Any, node: int | None) -> Any:
        name = type(request).__name__
        if name == "FindCoordinatorRequest":
            return found(("g", self.home, 0))
        if name == "OffsetCommitRequest":
            code = self.codes.pop(0) if self.codes else 0
            if isinstance(code, Exception):
                self.home = 3
                return code
            assert (request.generation_id_or_member_epoch, request.member_id) == (-1, "")
            [part] = request.topics[0].partitions
            assert part.committed_leader_epoch == -1
            if code == 0 and self.keeps:
                self.kept = part.committed_offset
            return row(topics=[row(name="t", partitions=[row(partition_index=3, error_code=code)])])
        assert name == "OffsetFetchRequest"
        part = row(partition_index=3, committed_offset=self.kept, error_code=0)
        return row(
            groups=[
                row(group_id="g", error_code=0, topics=[row(name="t", partitions=[part])]),
            ]
        )


def commit(brokers: Coordinators, offset: int = 7) -> FakeWire:
    wire = FakeWire(brokers)
    finish(kafka_groups.commit(wire, "g", {TP: offset}))
    return wire


def test_a_commit_answers_with_what_was_read_back() -> None:
    assert finish(kafka_groups.commit(FakeWire(Coordinators()), "g", {TP: 7})) == {TP: 7}


@pytest.mark.parametrize("code", [14, 15, 16])
def test_a_moved_or_loading_coordinator_is_asked_again(code: int) -> None:
    brokers = Coordinators(code, code)
    wire = commit(brokers)
    assert brokers.kept == 7
    asked = [name for name, _ in wire.asked]
    assert asked.count("OffsetCommitRequest") == 3
    assert asked.count("FindCoordinatorRequest") == 3


def test_a_broken_connection_leads_to_the_new_coordinator() -> None:
    brokers = Coordinators(BROKEN)
    wire = commit(brokers)
    commits = [node for name, node in wire.asked if name == "OffsetCommitRequest"]
    assert commits == [2, 3]
    assert brokers.kept == 7


def test_an_acknowledged_commit_that_is_not_shown_is_a_failure() -> None:
    with pytest.raises(StepFailed) as lost:
        commit(Coordinators(keeps=False))
    assert lost.value.code == "KO-COMMIT-NOT-KEPT"
    assert "t-3: 7 read back as None" in lost.value.message


@pytest.mark.parametrize("code", [22, 25, 27])
def test_a_group_with_members_is_refused(code: int) -> None:
    with pytest.raises(StepFailed) as active:
        commit(Coordinators(code))
    assert active.value.code == "KO-GROUP-ACTIVE"


def test_an_empty_answer_is_no_success() -> None:
    def silent(request: Any, node: int | None) -> Any:
        if type(request).__name__ == "OffsetCommitRequest":
            return row(topics=[])
        return found(("g", 2, 0))

    wire = FakeWire(silent)
    with pytest.raises(KafkaAnswer):
        finish(kafka_groups.commit(wire, "g", {TP: 7}))
    assert wire.clock.now - 1_000_000 >= 12


def test_a_lasting_refusal_is_told_at_once() -> None:
    brokers = Coordinators(30)
    wire = FakeWire(brokers)
    with pytest.raises(KafkaAnswer, match="GroupAuthorizationFailed"):
        finish(kafka_groups.commit(wire, "g", {TP: 7}))
    assert wire.clock.slept == []


def described(kind: str, members: list[SimpleNamespace]) -> Any:
    def brokers(request: Any, node: int | None) -> Any:
        name = type(request).__name__
        if name == "MetadataRequest":
            return row(
                controller_id=1,
                topics=[],
                brokers=[row(node_id=n, host=f"h{n}", port=9094) for n in (1, 2, 3)],
            )
        if name == "ListGroupsRequest":
            mine = [row(group_id="g", group_type="classic", group_state="")] if node == 2 else []
            return row(error_code=0, groups=mine)
        if name == "FindCoordinatorRequest":
            return found(("g", 2, 0))
        assert (name, node) == ("DescribeGroupsRequest", 2)
        group = row(
            group_id="g", error_code=0, group_state="Stable", protocol_type=kind,
            protocol_data="range", members=members,
        )  # fmt: skip
        return row(groups=[group])

    [group] = finish(kafka_groups.groups(FakeWire(brokers), offsets=False))
    return group


def member(assignment: bytes, instance: str | None = None) -> SimpleNamespace:
    return row(
        member_id="m", client_id="c", client_host="/h", member_assignment=assignment,
        group_instance_id=instance,
    )  # fmt: skip


def test_what_kind_a_group_is() -> None:
    assert described("", []).kind == "simple"
    assert described("connect", [member(b"\x00\x01junk")]).kind == "connect"
    topic = ConsumerProtocolAssignment.TopicPartition(topic="t", partitions=[0, 3])
    raw = ConsumerProtocolAssignment(version=1, assigned_partitions=[topic], user_data=b"").encode()
    group = described("consumer", [member(raw, "static-1")])
    assert group.kind == "classic"
    assert group.members[0].assignment == (TopicPartition("t", 0), TP)
    assert group.static_members == ("static-1",)
    assert described("consumer", [member(b"\xff\xffnonsense")]).members[0].assignment == ()
