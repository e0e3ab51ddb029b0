"""A snapshot survives JSON; a broken one names the place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafkaops.model.cluster import (
    Acl,
    Broker,
    ClusterState,
    Group,
    Listener,
    LogDir,
    Member,
    Quorum,
    Quota,
    ScramUser,
    Transaction,
)
from kafkaops.model.cluster_json import from_json, to_json
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition

TP = TopicPartition("a-b", 7)
STATE = ClusterState(
    cluster_id="id",
    taken=12.5,
    controller=1,
    brokers=(Broker(1, "h", 9094, None, "3.9", (Listener("REPL", "h", 9094),)),),
    topics={
        "a-b": Topic(
            "a-b",
            "tid",
            False,
            (Partition(TP, 1, 3, (1, 2), (1,), (2,)),),
            TopicConfig({"x": None, "y": "1"}, {"x": "topic", "y": "default"}),
        )
    },
    acls=(Acl("TOPIC", "t", "LITERAL", "User:x", "*", "WRITE", "ALLOW"),),
    quotas=(Quota((("user", None), ("client-id", "c")), (("rate", 1.5),)),),
    scram_users=(ScramUser("u", "SCRAM-SHA-512", 4096),),
    groups=(Group("g", "classic", "Stable", "range", (Member("m", "c", "h", (TP,)),), {TP: 9}),),
    transactions=(Transaction("tx", 5, "Ongoing", 1, (TP,)),),
    quorum=Quorum(1, 2, 3, {1: 10, 2: 9}, {4: 1}),
    features={"metadata.version": 21},
    reassigning=(TP,),
    broker_config={1: {"a": None, "b": "c"}},
    acls_enabled=False,
    log_dir_bytes={1: 5},
    log_dir_free={1: 6},
    replica_bytes={TP: 11},
    log_dirs={1: (LogDir("/d", 9, 8, {TP: 11}, "", {TP: 2}, True), LogDir("/e", error="gone"))},
)


def test_round_trip_through_text() -> None:
    assert from_json(json.loads(json.dumps(to_json(STATE)))) == STATE


def broken(change: Any) -> Any:
    document = json.loads(json.dumps(to_json(STATE)))
    change(document)
    return document


def _partition(document: Any) -> Any:
    return next(iter(document["state"]["topics"].values()))["partitions"][0]


def _twice(document: Any, rows: Any) -> None:
    rows(document).append(rows(document)[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: _twice(d, lambda d: d["state"]["brokers"]), "broker 1 is twice there"),
        (lambda d: d["state"]["brokers"][0].update(id=2**31), "is no broker id"),
        (lambda d: _partition(d).update(tp="elsewhere-0"), "elsewhere-0 is no partition of"),
        (lambda d: _partition(d).update(replicas=[1, 2, 1]), "names a broker twice"),
        (lambda d: _partition(d).update(replicas=[-1, 2]), r"no broker id in \[-1, 2\]"),
        (lambda d: _twice(d, lambda d: next(iter(d["state"]["topics"].values()))["partitions"]),
         "a partition is twice there"),
        (lambda d: d["state"]["replica_bytes"].update({"t-0": -1}), "-1 are no bytes"),
        (lambda d: d["state"]["replica_bytes"].update({"t-0": 1 << 60}), "an exbibyte or more"),
    ],
)  # fmt: skip
def test_what_no_cluster_can_be_is_refused_with_its_place(change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(broken(change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(kind="plan"), "not a cluster snapshot"),
        (lambda d: d.update(schema_version=2), "schema_version is 2"),
        (lambda d: d["state"].update(colour="red"), r"state: unknown field 'colour'"),
        (lambda d: d["state"].pop("brokers"), r"state: field 'brokers' is missing"),
        (lambda d: d["state"]["brokers"][0].update(id="1"), r"state\.brokers\[0\]\.id: int"),
        (lambda d: d["state"].update(reassigning=["t"]), r"reassigning\[0\]: 't' is not"),
        (lambda d: d["state"].update(topics=[]), r"state\.topics: a mapping"),
        (lambda d: d["state"]["log_dir_bytes"].update(x=1), r"'x' is not a number"),
        (
            lambda d: d["state"]["log_dirs"]["1"][0]["replicas"].update({"a-": 1}),
            r"log_dirs\.1\[0\]\.replicas\.a-: 'a-' is not TOPIC-PARTITION",
        ),
    ],
)
def test_a_broken_document_names_the_place(change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(broken(change))
