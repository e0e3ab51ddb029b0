"""The difference of two clusters, and that applying it leaves none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.cluster import Acl, ClusterState, Quota, ScramUser
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition
from kafkaops.upgrade import parity
from kafkaops.upgrade.parity_diff import ParityDiff, diff
from tests.unit.upgrade.states import DEFAULTS_43, OPEN, config, green, state, topic

BOB = ScramUser("bob", "SCRAM-SHA-512", 4096)


class Target:
    """A cluster in memory with 4.3's defaults that keeps count of what was changed."""

    name = "green"

    def __init__(self, start: ClusterState) -> None:
        self.state = start
        self.calls: list[str] = []

    def snapshot(self, *, full: bool = True) -> ClusterState:
        return self.state

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        return self.state.topics

    def _put(self, topic: Topic) -> None:
        self.state = replace(self.state, topics={**self.state.topics, topic.name: topic})

    def create_topic(
        self, name: str, assignment: Mapping[int, Sequence[int]], configs: Mapping[str, str]
    ) -> None:
        assert name not in self.state.topics
        assert set(configs) <= set(DEFAULTS_43), "4.3 refuses a config that it does not know"
        self.calls.append(f"create {name}")
        made = topic(name, [assignment[p] for p in sorted(assignment)], defaults=DEFAULTS_43)
        self._put(made)
        if configs:
            self._set(name, configs)

    def create_partitions(self, name: str, assignment: Mapping[int, Sequence[int]]) -> None:
        self.calls.append(f"partitions {name} {sorted(assignment)}")
        old = self.state.topics[name]
        more = tuple(
            Partition(TopicPartition(name, p), nodes[0], 0, tuple(nodes), tuple(nodes))
            for p, nodes in sorted(assignment.items())
        )
        self._put(replace(old, partitions=old.partitions + more))

    def _set(self, name: str, values: Mapping[str, str]) -> None:
        old = self.state.topics[name]
        config = TopicConfig(
            {**old.config.values, **values},
            {**old.config.sources, **dict.fromkeys(values, "topic")},
        )
        self._put(replace(old, config=config))

    def alter_topic_config(
        self, name: str, set: Mapping[str, str], delete: Collection[str] = ()
    ) -> None:
        self.calls.append(f"alter {name} {sorted(set.items())}")
        self._set(name, set)

    def alter_topic_configs(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        for name, values in changes.items():
            self.alter_topic_config(name, values)

    def create_acls(self, acls: Collection[Acl]) -> None:
        self.state = replace(self.state, acls=(*self.state.acls, *acls))

    def alter_quotas(self, set: Collection[Quota], delete: Collection[Quota] = ()) -> None:
        have = {q.entity: dict(q.values) for q in self.state.quotas}
        for quota in set:
            have.setdefault(quota.entity, {}).update(dict(quota.values))
        self.state = replace(
            self.state, quotas=tuple(Quota(e, tuple(v.items())) for e, v in have.items())
        )


def carried_out(blue: ClusterState, target: Any) -> ParityDiff:
    parity.apply(diff(blue, target.state), target)
    return diff(blue, target.state)


def test_effective_values_are_carried_whatever_their_source() -> None:
    blue = state(
        topic(
            "orders",
            retention_ms=("1000", "topic"),
            segment_bytes=("2000000", "broker-dynamic"),
            min_insync_replicas=("2", "static"),
            cleanup_policy=("compact,delete", "broker-default-dynamic"),
        )
    )
    target = Target(green())
    assert carried_out(blue, target).empty
    values = target.state.topics["orders"].config.values
    assert values["retention.ms"] == "1000"
    assert values["segment.bytes"] == "2000000"
    assert values["min.insync.replicas"] == "2"
    assert values["cleanup.policy"] == "compact,delete"


def test_a_default_that_changed_between_versions_is_set_after_creation() -> None:
    target = Target(green())
    assert carried_out(state(topic("orders")), target).empty
    values = target.state.topics["orders"].config.values
    assert values["message.timestamp.after.max.ms"] == OPEN
    assert target.calls == [
        "create orders",
        f"alter orders [('message.timestamp.after.max.ms', '{OPEN}')]",
    ]


def test_timestamps_wait_for_the_cut_and_can_be_reopened() -> None:
    blue = state(
        topic(
            "orders",
            message_timestamp_type=("LogAppendTime", "static"),
            message_timestamp_after_max_ms=("5000", "topic"),
        )
    )
    target = Target(green())
    after = carried_out(blue, target)
    values = target.state.topics["orders"].config.values
    assert after.empty
    assert values["message.timestamp.type"] == "CreateTime"
    assert values["message.timestamp.after.max.ms"] == OPEN
    rows = [list(d) for d in after.deferred]  # as a journal keeps them
    assert [r[1:] for r in rows] == [
        ["message.timestamp.after.max.ms", OPEN, "5000"],
        ["message.timestamp.type", "CreateTime", "LogAppendTime"],
    ]
    parity.apply_deferred(rows, target)  # type: ignore[arg-type]
    values = target.state.topics["orders"].config.values
    assert values["message.timestamp.type"] == "LogAppendTime"
    assert values["message.timestamp.after.max.ms"] == "5000"
    parity.reopen_deferred(rows, target)  # type: ignore[arg-type]
    assert diff(blue, target.state).empty


def test_a_cluster_is_opened_for_copied_timestamps_and_closed_again() -> None:
    stamped = topic(
        "t",
        message_timestamp_type=("LogAppendTime", "static"),
        message_timestamp_before_max_ms=("60000", "topic"),
    )
    ours = topic("__tool", message_timestamp_type=("LogAppendTime", "static"))
    target = Target(state(stamped, ours, topic("plain")))
    before = target.state
    changed = parity.open_timestamps(target)  # type: ignore[arg-type]
    assert {d.topic for d in changed} == {"t"}
    values = target.state.topics["t"].config.values
    assert values["message.timestamp.type"] == "CreateTime"
    assert values["message.timestamp.before.max.ms"] == OPEN
    assert parity.open_timestamps(target) == ()  # type: ignore[arg-type]
    parity.apply_deferred([list(d) for d in changed], target)  # type: ignore[arg-type]
    for name in before.topics:
        assert target.state.topics[name].config.values == before.topics[name].config.values


def test_the_old_difference_bound_stands_for_both_new_ones() -> None:
    blue = state(topic("t", message_timestamp_difference_max_ms=("9000", "topic")))
    found = diff(blue, green())
    assert [(d.name, d.at_cut) for d in found.deferred] == [
        ("message.timestamp.after.max.ms", "9000"),
        ("message.timestamp.before.max.ms", "9000"),
    ]


def test_what_4x_does_not_know_is_named_and_left_out() -> None:
    blue = state(
        topic("t", message_format_version=("2.8-IV1", "topic"), segment_bytes=("1000", "topic"))
    )
    target = Target(green())
    parity.apply(diff(blue, target.state), target)  # type: ignore[arg-type]
    after = diff(blue, target.state)
    assert after.empty
    assert {s.name for s in after.skipped} == {"message.format.version", "segment.bytes"}
    assert target.state.topics["t"].config.values["segment.bytes"] == "1048576"
    default = diff(state(topic("t")), green(topic("other", defaults=DEFAULTS_43)))
    assert default.skipped == ()  # a default of blue that green lacks is no news


def test_throttles_internal_topics_and_bookkeeping_stay_behind() -> None:
    blue = state(
        topic("t", follower_replication_throttled_replicas=("*", "topic")),
        topic("__consumer_offsets"),
        topic("mm2-offsets.green.internal"),
        topic("a.checkpoints.internal"),
        topic("kafkaops-sanity"),
        topic("__tool"),
        topic("connect-configs"),
        topic("skip-me"),
    )
    found = diff(blue, green(), exclude=("skip-*",))
    assert [t.name for t in found.create] == ["connect-configs", "t"]
    assert "follower.replication.throttled.replicas" not in found.create[1].configs
    assert set(found.left_out) == {
        "mm2-offsets.green.internal", "a.checkpoints.internal", "kafkaops-sanity", "__tool",
        "skip-me",
    }  # fmt: skip


def test_a_topic_and_partitions_made_later_are_found_and_carried() -> None:
    target = Target(green())
    parity.apply(diff(state(topic("t")), target.state), target)  # type: ignore[arg-type]
    later = state(topic("t", [(1, 2, 3)] * 5), topic("new"))
    found = diff(later, target.state)
    assert not found.empty
    assert [p.assignment for p in found.partitions] == [{3: (1, 2, 3), 4: (1, 2, 3)}]
    assert carried_out(later, target).empty
    target.calls.clear()
    assert carried_out(later, target).empty
    assert target.calls == []


def test_applying_an_old_difference_twice_does_no_harm() -> None:
    target = Target(green(topic("t", [(1, 2, 3)], defaults=DEFAULTS_43)))
    found = diff(state(topic("t", [(1, 2, 3)] * 2), topic("n")), target.state)
    parity.apply(found, target)  # type: ignore[arg-type]
    parity.apply(found, target)  # type: ignore[arg-type]
    assert target.calls.count("partitions t [1]") == 1
    assert target.calls.count("create n") == 1


def test_what_cannot_be_equal_is_refused_before_anything_is_changed() -> None:
    blue = state(
        topic("wide", [(1, 2, 3)]), topic("rf", [(1, 2, 3)]), topic("new"),
        acls=(Acl("TOPIC", "t", "LITERAL", "User:a", "*", "READ", "ALLOW"),),
    )  # fmt: skip
    target = Target(
        green(topic("wide", [(1, 2, 3)] * 2), topic("rf", [(1, 2)]), acls_enabled=False)
    )
    found = diff(blue, target.state)
    assert len(found.impossible) == 3
    assert not replace(found, create=(), configs=()).empty
    with pytest.raises(GuardRefused, match="wide has 2 partitions"):
        parity.apply(found, target)  # type: ignore[arg-type]
    assert target.calls == []


def test_more_replicas_than_brokers_is_impossible() -> None:
    found = diff(state(topic("t")), green(racks={1: "a", 2: "b"}))
    assert found.impossible == ("topic t has RF 3 and the target has 2 brokers",)


def test_acls_and_quotas_of_every_kind() -> None:
    acls = tuple(
        Acl(kind, "n", pattern, "User:a", "*", "WRITE", allow)
        for kind in ("TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN")
        for pattern in ("LITERAL", "PREFIXED")
        for allow in ("ALLOW", "DENY")
    )
    extra = Acl("TOPIC", "only-green", "LITERAL", "User:m", "*", "ALL", "ALLOW")
    user: tuple[tuple[str, str | None], ...] = (("client-id", "c"), ("user", None))
    blue = state(acls=acls, quotas=(Quota(user, (("a", 1.0), ("b", 2.0))),), scram_users=(BOB,))
    target = Target(green(acls=(extra, acls[0]), quotas=(Quota(user, (("a", 9.0), ("c", 3.0))),)))
    found = diff(blue, target.state)
    assert set(found.acls) == set(acls[1:])
    assert found.quotas == (Quota(user, (("a", 1.0), ("b", 2.0))),)
    assert found.surplus_acls == (extra,)
    assert found.surplus_quotas == (Quota(user, (("c", 3.0),)),)
    assert found.users_missing == (BOB,)
    after = carried_out(blue, target)
    assert after.empty
    assert after.surplus_acls == (extra,)


def test_lines_say_changes_first() -> None:
    blue = state(topic("t", message_timestamp_type=("LogAppendTime", "topic")))
    lines = diff(blue, green(topic("x", defaults=DEFAULTS_43))).lines()
    assert lines[0].startswith("+ topic t: 3 partitions, RF 3")
    assert lines[1] == (
        "at the cut: topic t message.timestamp.type=LogAppendTime (CreateTime until then)"
    )
    assert lines[-1] == "only on the target: topic x"


def test_between_reads_both_and_honours_exclusions() -> None:
    wanted = config(mirror=config().mirror.model_copy(update={"exclude": ("no*",)}))
    blue, target = Target(state(topic("yes"), topic("nope"))), Target(green())
    found = parity.between(blue, target, wanted)  # type: ignore[arg-type]
    assert [t.name for t in found.create] == ["yes"]
