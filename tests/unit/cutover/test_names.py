from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kafkaops.config.schema import ClusterSpec, Config, Cutover, HostSpec, Mirror
from kafkaops.cutover import names
from kafkaops.engine.errors import ConfigError
from kafkaops.ports.names import Record


def cluster(colour: str, net: int) -> ClusterSpec:
    hosts = tuple(
        HostSpec(name=f"{colour}-{n}", node_id=n, address=f"10.0.{net}.{n}") for n in (1, 2, 3)
    )
    return ClusterSpec(name=colour, bootstrap=(f"10.0.{net}.1:9094",), hosts=hosts)


BLUE, GREEN = cluster("blue", 1), cluster("green", 2)
CUT = Cutover(
    hosted_zone="Z1",
    alias="kafka.example.net",
    broker_names={n: f"b{n}.kafka.example.net" for n in (1, 2, 3)},
)
CONFIG = Config(
    name="orders",
    blue=BLUE,
    green=GREEN,
    mirror=Mirror(host="green-1", back_host="blue-1"),
    cutover=CUT,
)


def address_record(name: str, *values: str, ttl: int = 60) -> Record:
    return Record(name, "A", ttl, tuple(values))


FOUND = (
    address_record("kafka.example.net", "10.0.1.1", "10.0.1.2", "10.0.1.3"),
    *(address_record(f"b{n}.kafka.example.net", f"10.0.1.{n}") for n in (1, 2, 3)),
)


def test_one_batch_moves_the_alias_and_every_broker_name() -> None:
    goal = names.to_addresses(FOUND, CUT, GREEN)
    assert not goal.reached
    assert set(goal.batch.delete) == set(FOUND)
    assert {r.name: r.values for r in goal.batch.create} == {
        "kafka.example.net": ("10.0.2.1", "10.0.2.2", "10.0.2.3"),
        "b1.kafka.example.net": ("10.0.2.1",),
        "b2.kafka.example.net": ("10.0.2.2",),
        "b3.kafka.example.net": ("10.0.2.3",),
    }
    assert all(r.ttl == 60 for r in goal.batch.create)


def test_there_and_back_is_where_it_began() -> None:
    there = names.to_addresses(FOUND, CUT, GREEN).batch.create
    again = names.to_addresses(there, CUT, GREEN)
    assert again.reached
    assert again.batch == names.Batch()
    back = names.to_addresses(there, CUT, BLUE).batch
    assert set(back.create) == set(FOUND)
    assert set(back.delete) == set(there)


def test_only_records_that_differ_are_in_the_batch() -> None:
    half = (*FOUND[:3], replace(FOUND[3], values=("10.0.2.3",)))
    goal = names.to_addresses(half, CUT, GREEN)
    assert {r.name for r in goal.batch.delete} == {r.name for r in FOUND[:3]}
    assert len(goal.records) == 4


def test_lowering_ttls_keeps_the_values_and_skips_what_has_it() -> None:
    found = (*FOUND[:3], replace(FOUND[3], ttl=5))
    batch = names.with_ttl(found, {r.name: 5 for r in found})
    assert set(batch.delete) == set(FOUND[:3])
    assert {(r.values, r.ttl) for r in batch.create} == {(r.values, 5) for r in FOUND[:3]}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((), "b3.kafka.example.net has no A record"),
        ((replace(FOUND[3], routing="weighted"),), "routing weighted"),
        ((replace(FOUND[3], routing="alias"),), "routing alias"),
        ((replace(FOUND[3], kind="CNAME", values=("x.example.net",)),), "CNAME to x.example.net"),
        ((FOUND[3], replace(FOUND[3], kind="AAAA", values=("::1",))), "AAAA"),
    ],
)
def test_records_of_another_kind_are_refused(bad: tuple[Record, ...], said: str) -> None:
    found = (*FOUND[:3], *bad)
    with pytest.raises(ConfigError, match=r"b3\.kafka\.example\.net"):
        names.to_addresses(found, CUT, GREEN)
    assert any(said in word for word in names.faults(found, CONFIG))


def test_records_that_point_elsewhere_are_named() -> None:
    found = (*FOUND[:3], replace(FOUND[3], values=("10.9.9.9",)))
    assert names.faults(found, CONFIG) == ["b3.kafka.example.net does not point to blue: 10.9.9.9"]
    crossed = (*FOUND[:3], replace(FOUND[3], values=("10.0.1.1",)))
    (word,) = names.faults(crossed, CONFIG)
    assert "not to its own broker at 10.0.1.3" in word
    assert names.faults(FOUND, CONFIG) == []


def test_an_alias_that_is_a_cname_to_a_broker_name_follows_it() -> None:
    found = (Record("kafka.example.net", "CNAME", 60, ("b1.kafka.example.net.",)), *FOUND[1:])
    goal = names.to_addresses(found, CUT, GREEN)
    assert {r.name for r in goal.batch.create} == {r.name for r in FOUND[1:]}
    assert names.faults(found, CONFIG) == []


def test_drift_names_what_changed_since_planning_but_not_our_own_ttl() -> None:
    kept = json.loads(json.dumps(names.planned(FOUND)))
    assert names.drift([replace(r, ttl=5) for r in FOUND], kept) == []
    moved = (*FOUND[:3], replace(FOUND[3], values=("10.9.9.9",)))
    assert names.drift(moved, kept) == ["b3.kafka.example.net A was 10.0.1.3, is 10.9.9.9"]
    assert names.drift(FOUND[:3], kept) == ["b3.kafka.example.net A was 10.0.1.3, is absent"]
    weighted = (*FOUND[:3], replace(FOUND[3], routing="weighted"))
    assert "weighted" in names.drift(weighted, kept)[0]


def test_a_broker_name_without_a_host_is_a_config_error() -> None:
    cut = CUT.model_copy(update={"broker_names": {9: "b9.kafka.example.net"}})
    with pytest.raises(ConfigError, match="node 9"):
        names.to_addresses(FOUND, cut, GREEN)


def test_strangers_are_what_neither_the_move_nor_its_plan_knows() -> None:
    kept = names.planned(FOUND)
    assert names.strangers(FOUND, CONFIG, kept) == []
    moved = [*FOUND[:-1], replace(FOUND[-1], values=("10.9.9.9",))]
    (words,) = names.strangers(moved, CONFIG, kept)
    assert words.startswith(f"{FOUND[-1].name} is 10.9.9.9, expected {FOUND[-1].values[0]} or ")
    assert names.strangers(moved, CONFIG, names.planned(moved)) == []
    assert "no A record" in names.strangers(FOUND[:-1], CONFIG, kept)[0]
    some = [replace(FOUND[0], values=("10.0.1.1", "10.0.1.3")), *FOUND[1:]]
    assert names.strangers(some, CONFIG) == [], "an alias need not name every broker"
    both = [replace(FOUND[0], values=("10.0.1.1", "10.0.2.1")), *FOUND[1:]]
    assert names.strangers(both, CONFIG) != []
