"""Each reason is found, all come at once, and what is accepted is accepted by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.config.schema import ClientGroup
from kafkaops.engine.errors import GuardRefused
from kafkaops.model.cluster import (
    Broker,
    ClusterState,
    Group,
    Listener,
    Member,
    Transaction,
)
from kafkaops.model.partition import Ends
from kafkaops.ports.names import Record
from kafkaops.upgrade import refusals
from kafkaops.upgrade.refusals import Evidence, find
from tests.unit.upgrade.evidence import (
    BOB,
    NOW_MS,
    RECORDS,
    TP,
    codes,
    evidence,
    producer,
    with_broker,
)
from tests.unit.upgrade.states import DEFAULTS_43, config, green, state, topic

LOGIN = {"listener.security.protocol.map": "CLIENT:SASL_SSL"}


def test_a_clean_pair_has_no_findings() -> None:
    assert find(evidence(), config()) == ()


def old(version: str) -> ClusterState:
    return state(topic("t"), version=version)


CASES: dict[str, tuple[Evidence, str, str]] = {
    "green older": (evidence(state(topic("t"), version="4.3"), green(version="4.1")),
                    "KO-VERSION-OLDER", "green"),
    "blue too old": (evidence(old("2.7")), "KO-VERSION-TOO-OLD", "blue"),
    "one cluster": (evidence(other=green(id="blue-id")), "KO-SAME-CLUSTER", "blue-id"),
    "no client listener": (evidence(with_broker(state(topic("t")), 2, listeners=())),
                           "KO-LISTENER-CLIENT", "blue-2"),
    "client port": (evidence(other=with_broker(
        green(), 3, listeners=(Listener("CLIENT", "b3.k", 9192),))),
        "KO-LISTENER-CLIENT", "green-3"),
    "bootstrap on client": (evidence(with_broker(state(topic("t")), 1, port=9092)),
                            "KO-LISTENER-REPL", "blue-1"),
    "repl port": (evidence(with_broker(state(topic("t")), 1, port=9095)),
                  "KO-LISTENER-REPL", "blue-1"),
    "unfenced host": (evidence(other=replace(
        green(), brokers=(*green().brokers, replace(green().brokers[0], id=4)))),
        "KO-HOST-MISSING", "green-4"),
    "node ids": (evidence(other=green(racks={1: "a", 2: "b"})), "KO-NODE-IDS", "green"),
    "other names": (evidence(other=green(names="g{}.k")), "KO-NAMES-NOT-SHARED", "green-3"),
    "record missing": (evidence(records=RECORDS[:3]), "KO-NAME-MISSING", "b3.k"),
    "record type": (evidence(records=(*RECORDS, Record("b2.k", "AAAA", 60, ("::1",)))),
                    "KO-NAME-TYPE", "b2.k"),
    "weighted": (evidence(records=(*RECORDS[:3], replace(RECORDS[3], routing="weighted"))),
                 "KO-NAME-ROUTING", "b3.k"),
    "alias record": (evidence(records=(replace(RECORDS[0], routing="alias"), *RECORDS[1:])),
                     "KO-NAME-ROUTING", "boot.k"),
    "elsewhere": (evidence(records=(*RECORDS[:3], replace(RECORDS[3], values=("10.2.0.3",)))),
                  "KO-NAME-NOT-BLUE", "b3.k"),
    "another broker's": (evidence(
        records=(*RECORDS[:3], replace(RECORDS[3], values=("10.1.0.1",)))),
        "KO-NAME-NOT-BLUE", "b3.k"),
    "ttl": (evidence(records=(replace(RECORDS[0], ttl=61), *RECORDS[1:])),
            "KO-NAME-TTL", "boot.k"),
    "green holds records": (evidence(
        other=green(topic("t", defaults=DEFAULTS_43)), green_ends={TP: Ends(4, 4, 4)}),
        "KO-GREEN-RECORDS", "t"),
    "green producer state": (evidence(
        other=green(topic("t", defaults=DEFAULTS_43)), green_producers=(producer(),)),
        "KO-GREEN-PRODUCERS", "t"),
    "partition counts": (evidence(
        other=green(topic("t", [(1, 2, 3)] * 4, defaults=DEFAULTS_43))), "KO-PARITY", "t"),
    "auto create": (evidence(other=green(
        broker_config={1: {"auto.create.topics.enable": "true"}})),
        "KO-GREEN-AUTO-CREATE", "green-1"),
    "users": (evidence(state(topic("t"), scram_users=(BOB,))), "KO-SCRAM-USERS", "bob"),
    "another protocol": (evidence(
        state(topic("t"), broker_config={1: {"listener.security.protocol.map": "CLIENT:SASL_SSL"}}),
        other=green(broker_config={
            1: {"listener.security.protocol.map": "REPL:SASL_SSL,CLIENT:PLAINTEXT"}})),
        "KO-CLIENT-PROTOCOL", "green-1"),
    "a mechanism less": (evidence(
        state(topic("t"), broker_config={1: LOGIN | {"sasl.enabled.mechanisms": "PLAIN,X"}}),
        other=green(broker_config={2: LOGIN | {
            "sasl.enabled.mechanisms": "PLAIN,X",
            "listener.name.client.sasl.enabled.mechanisms": "PLAIN"}})),
        "KO-CLIENT-MECHANISM", "green-2"),
    "closed by default": (evidence(
        state(topic("t"), broker_config={1: {"allow.everyone.if.no.acl.found": "true"}}),
        other=green(broker_config={1: {"allow.everyone.if.no.acl.found": "false"}})),
        "KO-ACL-DEFAULT", "green"),
    "tiered": (evidence(state(topic("t", remote_storage_enable=("true", "topic")))),
               "KO-TIERED", "t"),
    "rf 1": (evidence(state(topic("t", [(1,)]))), "KO-RF-ONE", "t"),
    "rf min isr": (evidence(state(topic("t", min_insync_replicas=("3", "topic")))),
                   "KO-RF-MIN-ISR", "t"),
    "reassigning": (evidence(state(topic("t"), reassigning=(TP,))), "KO-REASSIGNING", "blue"),
    "offline": (evidence(state(topic("t", [(1, 2, 3)], leader=-1))),
                "KO-PARTITION-OFFLINE", "blue/t-0"),
    "under min isr": (evidence(
        state(topic("t", [(1, 2, 3)], isr=(1,), min_insync_replicas=("2", "static")))),
        "KO-UNDER-MIN-ISR", "blue/t-0"),
    "hanging": (evidence(
        state(topic("t"), transactions=(Transaction("x", 7, "Ongoing"),)),
        blue_producers=(producer(txn_start=3, last=NOW_MS - 1_300_000),)),
        "KO-TXN-HANGING", "t-0"),
    "orphaned": (evidence(blue_producers=(producer(txn_start=3, last=NOW_MS - 400_000),)),
                 "KO-TXN-HANGING", "t-0"),
    "transactional id": (evidence(
        state(topic("t"), transactions=(Transaction("pay", 7, "CompleteCommit"),))),
        "KO-TXN-IDS", "pay"),
    "disk": (evidence(state(topic("t"), log_dir_bytes={1: 100, 2: 100, 3: 100}),
                      green(log_dir_free={1: 500, 2: 105, 3: 500})), "KO-DISK", "green-2"),
    "disk in all": (evidence(state(topic("t"), log_dir_bytes={1: 100, 2: 100, 3: 100}),
                             green(log_dir_free={11: 200, 12: 120})), "KO-DISK", "green"),
}  # fmt: skip


# What cannot come alone.
FOLLOWS = {
    "client port": {"KO-NAMES-NOT-SHARED"},
    "unfenced host": {"KO-NAMES-NOT-SHARED", "KO-NODE-IDS"},
    "node ids": {"KO-PARITY"},
    "hanging": {"KO-TXN-IDS"},
}


@pytest.mark.parametrize("case", CASES)
def test_each_reason_is_found_alone(case: str) -> None:
    seen, code, subject = CASES[case]
    found = codes(seen)
    assert found.pop(code) == subject
    assert set(found) == FOLLOWS.get(case, set())


def group(kind: str = "classic", members: int = 1, **more: Any) -> Group:
    values: dict[str, Any] = {"state": "Stable" if members else "Empty", "protocol": "range"}
    rows = tuple(Member(f"m{n}", "app-1", "/h") for n in range(members))
    return Group("g", kind, members=rows, offsets={TP: 1}, **{**values, **more})


GROUPS: dict[str, tuple[Group, str]] = {
    "streams": (group(protocol="stream"), "KO-STREAMS"),
    "streams kind": (group("streams"), "KO-STREAMS"),
    "kip-848": (group("consumer"), "KO-GROUP-KIP848"),
    "share": (group("share"), "KO-GROUP-SHARE"),
    "connect": (group("connect"), "KO-GROUP-CONNECT"),
    "assigns": (group("simple", 0, protocol=""), "KO-GROUP-ASSIGNS"),
}


@pytest.mark.parametrize("case", GROUPS)
def test_groups_that_need_care(case: str) -> None:
    mine, code = GROUPS[case]
    covered = config(clients=(ClientGroup(name="a", moves="rebootstrap", groups=("g*",)),))
    assert codes(evidence(state(topic("t"), groups=(mine,))), covered) == {code: "g"}


def test_undeclared_groups_must_be_named_or_accepted() -> None:
    seen = evidence(state(topic("t"), groups=(group(),)))
    assert codes(seen) == {"KO-GROUP-UNDECLARED": "g"}
    by_client = ClientGroup(name="a", moves="follows-names", client_ids=("app-*",))
    assert codes(seen, config(clients=(by_client,))) == {}
    other = ClientGroup(name="a", moves="follows-names", groups=("x*",), client_ids=("b*",))
    assert codes(seen, config(clients=(other,))) == {"KO-GROUP-UNDECLARED": "g"}


def test_notes_never_block() -> None:
    idle = group(members=0)
    static = replace(group(static_members=("s",)), id="h")
    covered = config(clients=(ClientGroup(name="a", moves="rebootstrap", groups=("h",)),))
    seen = evidence(state(topic("t"), groups=(idle, static)), blue_producers=())
    found = find(seen, covered)
    assert {f.code for f in found} == {"KO-GROUP-EMPTY", "KO-GROUP-STATIC", "KO-ACKS"}
    assert not any(f.blocks for f in found)
    refusals.refuse(found)


def test_lagging_above_min_isr_is_a_note_and_rf_caps_min_isr() -> None:
    two = {"min_insync_replicas": ("2", "static")}
    lagging = state(topic("t", [(1, 2, 3)], isr=(1, 2), **two))
    assert {f.code for f in find(evidence(lagging), config())} == {"KO-UNDER-REPLICATED"}
    alone = state(topic("t", [(1,)], **two))
    assert codes(evidence(alone)) == {"KO-RF-ONE": "t"}  # what min ISR cannot ask of one replica


def test_topics_that_the_mirror_would_leave_behind_are_refused() -> None:
    seen = evidence(state(topic("t"), topic("app-internal"), topic(".hidden")))
    assert {f.subject for f in find(seen, config()) if f.blocks} == {"app-internal", ".hidden"}
    left = config().mirror.model_copy(update={"exclude": ("*-internal", ".hidden")})
    found = find(seen, config(mirror=left))
    assert {f.code for f in found} == {"KO-TOPIC-LEFT-OUT", "KO-ACKS"}


def test_the_dead_and_our_own_are_left_alone() -> None:
    dead, ours = group(state="Dead"), replace(group(), id="kafkaops-mirror")
    assert codes(evidence(state(topic("t"), groups=(dead, ours)))) == {}


def test_an_open_transaction_that_lives_is_not_hanging() -> None:
    seen = evidence(
        state(topic("t"), transactions=(Transaction("x", 7, "Ongoing"),)),
        blue_producers=(producer(txn_start=3, last=NOW_MS - 600_000),),
    )
    assert codes(seen) == {"KO-TXN-IDS": "x"}


def test_all_at_once_and_accepted_by_glob() -> None:
    bad = evidence(
        state(topic("t", [(1,)]), topic("u", [(2,)]), transactions=(Transaction("x", 1, "Empty"),)),
        green(id="blue-id"),
    )
    accepted = config(accept=("KO-RF-ONE:t", "KO-TXN-*", "KO-SAME-CLUSTER"))
    found = find(bad, accepted)
    assert [f.code for f in found if f.blocks] == ["KO-SAME-CLUSTER", "KO-RF-ONE"]
    assert {(f.code, f.subject) for f in found if f.accepted} == {
        ("KO-RF-ONE", "t"), ("KO-TXN-IDS", "x"),
    }  # fmt: skip
    with pytest.raises(GuardRefused) as refused:
        refusals.refuse(found)
    assert "2 reasons" in refused.value.message
    assert refused.value.hint.endswith("KO-RF-ONE:u")


def test_a_single_reason_gives_its_own_code() -> None:
    with pytest.raises(GuardRefused) as refused:
        refusals.refuse(find(CASES["disk"][0], config()))
    assert refused.value.code == "KO-DISK"


def test_every_code_used_is_published() -> None:
    used = {code for _, code, _ in CASES.values()} | {code for _, code in GROUPS.values()}
    assert used <= set(refusals.CODES)
    unknown = Broker(1, "10.0.0.1", 9094, "a", "", state().brokers[0].listeners)
    seen = evidence(replace(state(topic("t")), brokers=(unknown, *state().brokers[1:])))
    assert {f.code for f in find(seen, config())} == {"KO-VERSION-UNKNOWN"}


def test_transactional_ids_of_our_own_mirror_are_no_reason() -> None:
    ours = [
        Transaction("kafkaops-mirror-back-kafkaops-back-0", 7, "CompleteCommit"),
        Transaction("connect-cluster-kafkaops-mirror-back", 8, "Empty"),
    ]
    theirs = Transaction("payments-1", 9, "Ongoing")
    seen = evidence(state(topic("t"), transactions=(*ours, theirs)))
    assert codes(seen) == {"KO-TXN-IDS": "payments-1"}
