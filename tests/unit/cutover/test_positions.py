from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from typing import cast

import pytest

from kafkaops.cutover import positions
from kafkaops.engine.errors import StepFailed
from kafkaops.model.cluster import Group, Member
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.verification import Verification

A, B, C = (TopicPartition("orders", n) for n in range(3))
OWN = TopicPartition("kafkaops-x", 0)
ENDS = {A: [0, 100, 100], B: [40, 100, 90], C: [7, 7, 7]}


class Shifted:
    """Every target offset is the source offset plus 1000."""

    def translate(self, at: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {tp: offset + 1000 for tp, offset in at.items()}


SHIFTED = cast(Verification, Shifted())


def group(
    id: str,
    offsets: Mapping[TopicPartition, int],
    *assigned: TopicPartition,
    kind: str = "classic",
) -> Group:
    members = (Member("m", "c", "h", assigned),) if assigned else ()
    return Group(id, kind, "Stable", "range", members, offsets)


class Target:
    def __init__(self, fails: str = "", *, keeps: bool = False) -> None:
        self.keeps = keeps
        self.heard: list[tuple[str, Mapping[TopicPartition, int]]] = []
        self.commits: dict[str, Mapping[TopicPartition, int]] = {}
        self.seeded: list[tuple[str, str]] = []
        self.fails = fails
        self.off = 0  # what it shows after a commit, against what was committed
        self.silent: TopicPartition | None = None
        self.unread = False
        self.threads: set[int] = set()

    def commit(
        self, group: str, offsets: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        self.threads.add(threading.get_ident())
        if group == self.fails:
            raise StepFailed("KO-COMMIT", "read back 3, not 4")
        self.commits[group] = offsets
        self.heard.append((group, offsets))
        return {tp: at + self.off for tp, at in offsets.items() if tp != self.silent}

    def consume(self, tp: TopicPartition, start: int, count: int) -> tuple[tuple[int, bytes], ...]:
        """A log with a control record at every third offset, and more after all that is asked."""
        if self.unread:
            raise StepFailed("KO-CLUSTER-READ-TIMEOUT", "gave 0 records")
        return tuple((at, b"") for at in range(start, start + 2 * count) if at % 3)[:count]

    def seed_consumer_group(self, group: str, topic: str) -> None:
        self.seeded.append((group, topic))

    def coordinators(self, groups: Collection[str]) -> dict[str, int]:
        return {name: len(name) % 3 for name in groups}

    def delete_groups(self, groups: Collection[str]) -> None:
        for name in groups:
            self.commits.pop(name, None)
        if self.keeps:
            raise StepFailed("KO-DENIED", "not allowed to delete groups")


def test_every_commit_is_translated_and_committed() -> None:
    plan = positions.plan([group("b", {A: 10}), group("a", {A: 100, B: 50})], ENDS, SHIFTED)
    target = Target()
    positions.commit(plan, cast(Cluster, target))
    assert target.commits == {"a": {A: 1100, B: 1050}, "b": {A: 1010}}
    a, b = plan
    assert [p.unread for p in a.positions] == [0, 40]
    assert [p.unread for p in b.positions] == [90]
    assert all(p.expired == 0 for g in plan for p in g.positions)


def test_a_commit_before_log_start_begins_where_the_log_does() -> None:
    (only,) = positions.plan([group("a", {B: 15})], ENDS, SHIFTED)
    (position,) = only.positions
    assert (position.committed, position.target, position.expired) == (15, 1040, 25)


def test_a_consumed_partition_without_commit_is_set_only_if_it_is_empty() -> None:
    (only,) = positions.plan([group("a", {A: 1}, A, B, C)], ENDS, SHIFTED)
    assert {p.tp: p.target for p in only.positions} == {A: 1001, C: 1007}
    assert only.unset == (B,)


def test_commits_on_topics_not_carried_are_listed_not_translated() -> None:
    (only,) = positions.plan([group("a", {OWN: 5})], ENDS, SHIFTED)
    assert only.positions == ()
    assert only.left_out == (OWN,)
    assert positions.plan([group("gone", {})], ENDS, SHIFTED) == ()


def test_a_commit_beyond_the_end_is_refused() -> None:
    with pytest.raises(StepFailed, match="orders-0: committed 101, end 100"):
        positions.plan([group("a", {A: 101})], ENDS, SHIFTED)


def test_a_position_that_nobody_knows_is_refused() -> None:
    class Knows:
        def translate(self, at: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
            return {}

    with pytest.raises(StepFailed, match="orders-0"):
        positions.plan([group("a", {A: 1})], ENDS, cast(Verification, Knows()))


def test_a_group_that_cannot_be_committed_is_named_after_all_were_tried() -> None:
    plan = positions.plan([group(g, {A: 1}) for g in "abc"], ENDS, SHIFTED)
    target = Target(fails="a")
    with pytest.raises(StepFailed, match="1 groups were not committed: a: read back"):
        positions.commit(plan, cast(Cluster, target))
    assert set(target.commits) == {"b", "c"}


@pytest.mark.parametrize(
    ("off", "skipped", "repeated"),
    # committed at 1010 and 1050; no records are 1008, 1011, 1047, 1050 and 1053
    [(0, [0, 0], [0, 0]), (4, [3, 2], [0, 0]), (-4, [0, 0], [3, 3]), (-1, [0, 0], [1, 1])],
)
def test_what_a_group_skips_is_counted_from_what_was_read_back(
    off: int, skipped: list[int], repeated: list[int]
) -> None:
    target = Target()
    target.off = off
    plan = positions.plan([group("a", {A: 10, B: 50})], ENDS, SHIFTED)
    (only,) = positions.commit(plan, cast(Cluster, target))
    assert [p.kept for p in only.positions] == [1010 + off, 1050 + off]
    assert [p.skipped for p in only.positions] == skipped
    assert [p.repeated for p in only.positions] == repeated
    (shown,) = positions.to_json([only])
    assert [row["skipped"] for row in shown["positions"]] == skipped


def test_what_was_not_read_back_or_not_counted_is_not_known() -> None:
    plan = positions.plan([group("a", {A: 10, B: 50})], ENDS, SHIFTED)
    assert {p.skipped for g in plan for p in g.positions} == {None}, "nothing is committed yet"
    target = Target()
    target.off, target.silent, target.unread = 4, A, True
    (only,) = positions.commit(plan, cast(Cluster, target))
    assert [(p.kept, p.skipped, p.repeated) for p in only.positions] == [
        (None, None, None),
        (1054, None, None),
    ]


def test_only_new_protocol_groups_that_are_missing_are_seeded() -> None:
    groups = [
        group("new", {A: 1}, kind="consumer"),
        group("there", {A: 1}, kind="consumer"),
        group("old", {A: 1}),
    ]
    target = Target()
    present = [group("there", {}, kind="consumer"), group("new", {}, kind="classic")]
    assert positions.seed(groups, cast(Cluster, target), present) == ["new"]
    assert target.seeded == [("new", "orders")]


def test_the_plan_survives_json() -> None:
    plan = positions.plan([group("a", {A: 10, OWN: 1}, A, B)], ENDS, SHIFTED)
    (shown,) = json.loads(json.dumps(positions.to_json(plan)))
    assert shown["group"] == "a"
    assert shown["unread"] == 90
    assert shown["left_out"] == ["kafkaops-x-0"]
    assert shown["unset"] == ["orders-1"]
    assert shown["positions"][0]["target"] == 1010


@pytest.mark.parametrize("keeps", [False, True])
def test_a_rehearsal_commits_for_each_broker_and_leaves_no_group(keeps: bool) -> None:
    target = Target(keeps=keeps)
    positions.rehearse(cast(Cluster, target), A)
    coordinators = target.coordinators([name for name, _ in target.heard]).values()
    assert sorted(coordinators) == sorted({len(name) % 3 for name in positions.SCRATCH})
    assert all(offsets == {A: 0} for _, offsets in target.heard)
    assert target.commits == {}


def test_a_coordinator_that_keeps_no_commit_is_found_by_the_rehearsal() -> None:
    target = Target(fails=f"{positions.REHEARSAL}-99")
    with pytest.raises(StepFailed, match="read back 3, not 4"):
        positions.rehearse(cast(Cluster, target), A)
    assert target.commits == {}, "what was committed for it is gone all the same"


def test_what_a_rehearsal_left_is_carried_nowhere() -> None:
    left = group(f"{positions.REHEARSAL}-0", {A: 0})
    assert [g.group for g in positions.plan([left, group("a", {A: 1})], ENDS, SHIFTED)] == ["a"]
