"""What parity changed is taken back: the target is as it was, whatever was there before."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from kafkaops.model.cluster import Acl, ClusterState, Quota
from kafkaops.model.partition import TopicConfig
from kafkaops.upgrade import parity, parity_undo
from kafkaops.upgrade.parity_diff import diff
from tests.unit.upgrade.states import DEFAULTS_43, green, state, topic
from tests.unit.upgrade.test_parity import Target

OURS = Acl("TOPIC", "orders", "LITERAL", "User:app", "*", "READ", "ALLOW")
THEIRS = replace(OURS, principal="User:green")
BOTH = replace(OURS, principal="User:both")
APP, ALL = (("user", "app"),), (("client-id", None),)


class Undone(Target):
    """A target that can take away, as Kafka does: a deleted config falls back to its default."""

    def alter_topic_config(self, name: str, set: Any, delete: Collection[str] = ()) -> None:
        super().alter_topic_config(name, set)
        old = self.state.topics[name]
        values = {**old.config.values, **{key: DEFAULTS_43[key][0] for key in delete}}
        sources = {**old.config.sources, **dict.fromkeys(delete, "default")}
        self._put(replace(old, config=TopicConfig(values, sources)))

    def alter_quotas(self, set: Collection[Quota], delete: Collection[Quota] = ()) -> None:
        super().alter_quotas(set)
        have = {q.entity: dict(q.values) for q in self.state.quotas}
        for quota in delete:
            for key, _ in quota.values:
                del have[quota.entity][key]
        left = tuple(Quota(e, tuple(sorted(v.items()))) for e, v in sorted(have.items()) if v)
        self.state = replace(self.state, quotas=left)

    def delete_acls(self, acls: Collection[Acl]) -> None:
        self.calls.append(f"delete {len(acls)} acls")
        self.state = replace(self.state, acls=tuple(a for a in self.state.acls if a not in acls))


def blue() -> ClusterState:
    return replace(
        state(
            topic("orders", retention_ms=("1000", "topic"), segment_bytes=("2000000", "topic")),
            topic("fresh", retention_ms=("1000", "topic")),
        ),
        acls=(OURS, BOTH),
        quotas=(Quota(APP, (("consumer_byte_rate", 5.0), ("producer_byte_rate", 7.0))),),
    )


def before() -> ClusterState:
    """Green with the topic `orders` at another retention of its own, and what only it has."""
    return replace(
        green(topic("orders", defaults=DEFAULTS_43, retention_ms=("777", "topic"))),
        acls=(THEIRS, BOTH),
        quotas=(
            Quota(ALL, (("request_percentage", 50.0),)),
            Quota(APP, (("producer_byte_rate", 1.0),)),
        ),
    )


def carried(target: Undone, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """Parity, and what was noted before it, as it comes back from disk."""
    found = diff(blue(), target.state)
    noted = parity_undo.noted(found, target.state, ["fresh"], known)
    parity.apply(found, target)  # type: ignore[arg-type]
    assert diff(blue(), target.state).empty
    back: dict[str, Any] = json.loads(json.dumps(noted))
    return back


def as_it_was(now: ClusterState) -> None:
    was = before()
    assert now.topics["orders"].config.values == was.topics["orders"].config.values
    assert now.topics["orders"].config.sources["segment.bytes"] == "default"
    assert now.topics["orders"].config.sources["retention.ms"] == "topic"
    assert set(now.acls) == set(was.acls)
    assert set(now.quotas) == set(was.quotas)


def test_the_target_has_again_what_it_had() -> None:
    target = Undone(before())
    changed = carried(target)
    assert {row[0] for row in changed["configs"]} == {"orders"}, "the rest goes with its topic"
    parity_undo.take_back(changed, target)  # type: ignore[arg-type]
    as_it_was(target.state)
    calls = len(target.calls)
    parity_undo.take_back(changed, target)  # type: ignore[arg-type]
    assert target.calls[calls:] == [], "it may be repeated"


def test_what_was_noted_first_is_what_the_target_had() -> None:
    """A process died between noting and the end of its changes; the next one notes what is left."""
    target = Undone(before())
    first = carried(target)
    target._set("orders", {"retention.ms": "3"})  # fell back, or was set by hand: carried again
    target.alter_quotas([Quota(APP, (("producer_byte_rate", 3.0),))])
    again = carried(target, first)
    assert again == first
    parity_undo.take_back(again, target)  # type: ignore[arg-type]
    as_it_was(target.state)


def test_what_somebody_set_otherwise_since_is_left_alone() -> None:
    target = Undone(before())
    changed = carried(target)
    target._set("orders", {"retention.ms": "5"})
    target.alter_quotas([Quota(APP, (("producer_byte_rate", 9.0),))])
    target.delete_acls([OURS])
    parity_undo.take_back(changed, target)  # type: ignore[arg-type]
    assert target.state.topics["orders"].config.values["retention.ms"] == "5"
    assert Quota(APP, (("producer_byte_rate", 9.0),)) in target.state.quotas
    assert target.calls.count("delete 1 acls") == 1


def test_nothing_changed_is_nothing_read() -> None:
    asked: list[str] = []

    class Unread(Undone):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    target = Unread(before())
    asked.clear()
    parity_undo.take_back({}, target)  # type: ignore[arg-type]
    assert asked == []
