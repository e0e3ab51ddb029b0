"""Plans as JSON, hashes, fingerprints, drift."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.plan_json import drift, fingerprint, from_json, plan_hash, to_json
from kafkaops.engine.step import Critical
from tests.unit.engine.conftest import plan_of, step

PLAN = plan_of(
    step("a", args={"n": 1, "list": [1, 2]}, ask="Really?", deadline=5.0),
    step("b", critical="c"),
    criticals=(Critical("c", 20.0, "b"),),
    fingerprint="f",
    snapshot={"topics": {"t": 3}},
    notes=("one",),
    config={"name": "c1"},
)


def test_a_plan_survives_the_round_trip() -> None:
    document = json.loads(json.dumps(to_json(PLAN)))
    assert document["schema_version"] == 1
    assert from_json(document) == PLAN
    assert document["hash"] == plan_hash(PLAN)


def test_tuples_in_args_do_not_change_the_hash() -> None:
    a, b = plan_of(step("a", args={"x": (1, 2)})), plan_of(step("a", args={"x": [1, 2]}))
    assert plan_hash(a) == plan_hash(b)
    from_json(to_json(a))


@pytest.mark.parametrize(
    ("edit", "code", "words"),
    [
        (lambda d: d["specs"][0]["args"].update(n=2), "KO-PLAN-EDITED", "hash"),
        (lambda d: d["specs"].pop(), "KO-PLAN-EDITED", "hash"),
        (lambda d: d.pop("hash"), "KO-PLAN-EDITED", "hash"),
        (lambda d: d.update(schema_version=2), "KO-PLAN-VERSION", "schema_version 2"),
        (lambda d: d.update(extra=1), "KO-PLAN-FORMAT", "extra"),
        (lambda d: d["specs"][0].update(extra=1), "KO-PLAN-FORMAT", "spec: unknown .'extra'"),
        (lambda d: d["specs"][0].pop("kind"), "KO-PLAN-FORMAT", "missing .'kind'"),
        (lambda d: d.update(specs="none"), "KO-PLAN-FORMAT", "specs is not a list"),
        (lambda d: d.update(specs=[1]), "KO-PLAN-FORMAT", "not a JSON object"),
    ],
)
def test_what_is_no_plan_of_ours_is_refused(edit: Any, code: str, words: str) -> None:
    document = to_json(PLAN)
    edit(document)
    with pytest.raises(ConfigError, match=words) as refused:
        from_json(document, where="plan.json")
    assert (refused.value.code, refused.value.where) == (code, "plan.json")


@pytest.mark.parametrize("document", [None, [], "plan", 3])
def test_other_json_is_refused(document: Any) -> None:
    with pytest.raises(ConfigError, match="not a plan"):
        from_json(document)


def test_what_json_cannot_hold_is_no_plan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        plan_hash(plan_of(step("a", args={"x": float("nan")})))
    with pytest.raises(TypeError):
        plan_hash(plan_of(step("a", args={"x": {1, 2}})))


def test_the_fingerprint_is_of_the_values_not_their_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_drift_says_what_was_and_what_is() -> None:
    old = {
        "topics": {"orders": {"partitions": 6}, "gone": {"partitions": 1}},
        "brokers": [{"id": 1, "rack": "a"}, {"id": 2, "rack": "b"}],
        "names": ["b1", "b2"],
        "same": {"x": 1},
    }
    new = {
        "topics": {"orders": {"partitions": 12}, "fresh": {"partitions": 3}},
        "brokers": [{"id": 1, "rack": "a"}, {"id": 2, "rack": ""}],
        "names": ["b1"],
        "same": {"x": 1},
    }
    assert drift(old, new) == [
        'brokers[1].rack: was b, is ""',
        'names: was ["b1","b2"], is ["b1"]',
        'topics.fresh: was not there, is {"partitions":3}',
        'topics.gone: was {"partitions":1}, is gone',
        "topics.orders.partitions: was 6, is 12",
    ]
    assert drift(old, old) == []


def test_drift_is_empty_exactly_where_the_fingerprints_are_equal() -> None:
    a, b = {"x": (1, 2)}, {"x": [1, 2]}
    assert fingerprint(a) == fingerprint(b)
    assert drift(a, b) == []


def test_a_plan_that_was_saved_before_steps_could_be_unbroken_keeps_its_hash() -> None:
    document = to_json(plan_of("a"))
    assert "unbroken" not in document["specs"][0]
    whole = plan_of(step("a", unbroken="pair"))
    assert from_json(to_json(whole)) == whole
    assert plan_hash(whole) != plan_hash(plan_of("a"))
