"""What the planner refuses, and the words it says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused, OpsError, UsageFault
from kafkaops.placement.planning import kafka_json
from kafkaops.placement.planning.goals import Balance
from kafkaops.placement.planning.witness import Infeasible
from tests.unit.placement.planning.clusters import EVEN, SIX, made, plan

BAD: dict[str, tuple[dict[str, Any], type[OpsError], str]] = {
    "add": ({"add": (77,)}, UsageFault, "--add names broker 77"),
    "drain": ({"drain": (77,)}, UsageFault, "--drain names broker 77"),
    "rack": ({"drain_racks": ("z",)}, UsageFault, "--drain-rack names z"),
    "topic": ({"rf": (("x*", 2),)}, UsageFault, r"--rf x\* matches no topic"),
    "pin": ({"pins": (("t-9", (1,)),)}, UsageFault, "--pin t-9 matches no topic"),
    "no replicas": ({"rf": (("t", 0),)}, UsageFault, "at least 1 replica"),
    "weight": ({"capacity": ((1, Decimal(0)),)}, UsageFault, "a weight above 0"),
    "tolerance": ({"tolerance": Decimal(2)}, UsageFault, "--tolerance 2 is not within"),
    "both": ({"add": (1,), "drain": (1,)}, UsageFault, "to be filled and to be emptied"),
    "rf": ({"rf": (("t", 7),)}, Infeasible, "want up to 7 replicas, and 6 brokers are left"),
    "drained": ({"drain": (1, 2, 3, 4)}, Infeasible, "want up to 3 replicas, and 2 brokers"),
    "racks": ({"rf": (("t", 4),)}, Infeasible, "up to 4 replicas, and 3 racks are left"),
    "excluded": ({"drain": (1,), "exclude": ("t",)}, Infeasible, "must not be touched"),
    "pinned": ({"drain": (1,), "pins": (("t", (1,)),)}, Infeasible, "pinned to broker 1, which is"),
    "pins": ({"pins": (("t-0", (1, 2, 3, 4)),)}, Infeasible, "pinned to 4 brokers and has 3"),
    "shut": ({"drain": (1,), "no_receive": (4, 2, 5, 3, 6)}, Infeasible, "needs 3 replicas"),
    "sizes": ({"balance": (Balance.BYTES,)}, GuardRefused, "sizes of replicas are not known"),
}  # fmt: skip


FLAGS = {"drain": "--drain", "rf": "--rf", "exclude": "--exclude", "pins": "--pin",
         "no_receive": "--no-receive"}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_says_why(name: str) -> None:
    goals, kind, words = BAD[name]
    with pytest.raises(kind, match=words) as refused:
        plan(made(SIX, {"t": EVEN}), **goals)
    assert refused.value.code.startswith("KO-PLACEMENT-")
    if isinstance(refused.value, Infeasible):
        witness = refused.value.witness
        assert witness.need > witness.room
        assert any("relax" in line for line in refused.value.details)
        given = {FLAGS[goal] for goal in goals}
        assert set(witness.relax) <= {*given, "--rf", "--allow-shared-racks"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"partitions": [{"topic": "t", "partition": 3, "replicas": [1, 2, 1]}]},
         "t-3 names broker 1 twice"),
        ({"partitions": [{"topic": "t", "partition": 0, "replicas": [1]}] * 2}, "is there twice"),
        ({"partitions": [{"topic": "t", "partition": 0, "replicas": []}]}, "t-0 has no replicas"),
        ({"partitions": [{"topic": "t", "partition": 0, "replicas": ["1"]}]}, "has replica '1'"),
        ({"version": 2, "partitions": []}, "version 2 is not 1"),
        ({"version": True, "partitions": []}, "version True is not 1"),
        ({"partitions": [{"topic": "t", "partition": 2**31, "replicas": [1]}]}, "is no number"),
        ({"partitions": [{"topic": "t", "partition": 0, "replicas": [10**30]}]}, "no broker id"),
        ({"partitions": [{"topic": "a/b", "partition": 0, "replicas": [1]}]}, "called 'a/b'"),
        ({"partitions": [{"topic": "t\n", "partition": 0, "replicas": [1]}]}, "can be called"),
        ([], 'no list "partitions"'),
    ],
)  # fmt: skip
def test_a_broken_assignment_is_refused_with_its_place(document: Any, words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        kafka_json.assignment(document, "A.json")


@pytest.mark.parametrize(
    ("document", "words"),
    [([{"id": 1}, {"id": 1}], "broker 1 is there twice"), ([{"rack": "a"}], "entry 0 has no id"),
     ([{"id": -1}], "-1 is no broker id"), ([{"id": 10**30}], "is no broker id"),
     ([{"id": "1"}], "'1' is no broker id"), ([{"id": True}], "True is no broker id"),
     ({}, "not a list")],
)  # fmt: skip
def test_a_broken_list_of_brokers_is_refused(document: Any, words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        kafka_json.brokers(document)
