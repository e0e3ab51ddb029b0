"""Whose throttles are set."""

from __future__ import annotations

from kafkaops.placement.applying.leftovers import Claim, Held, held
from kafkaops.placement.applying.throttle import FOLLOWER_LIST, LEADER_LIST, LEADER_RATE, Throttles

OURS = Throttles({1: {LEADER_RATE: "80"}}, {"t": {LEADER_LIST: "7:7,0:1"}})
BEFORE = Throttles({1: {LEADER_RATE: "5"}}, {"t": {LEADER_LIST: "7:7"}})
CLAIM = Claim("run-1", OURS, BEFORE)


def test_what_a_run_added_is_its_own_and_the_rest_somebody_elses() -> None:
    now = Throttles({1: {LEADER_RATE: "80"}, 2: {LEADER_RATE: "80"}}, {"t": OURS.topics["t"]})
    assert held(now, [CLAIM]) == (
        Held("broker 1", LEADER_RATE, "80", "run-1"),
        Held("broker 2", LEADER_RATE, "80"),
        Held("topic t", LEADER_LIST, "7:7,0:1", "run-1"),
    )


def test_what_was_given_back_is_nobodys_of_ours() -> None:
    now = Throttles({1: {LEADER_RATE: "5"}}, {"t": {LEADER_LIST: "7:7", FOLLOWER_LIST: ""}})
    assert [h.run for h in held(now, [CLAIM])] == ["", ""]


def test_a_rate_of_another_value_is_somebody_elses() -> None:
    assert held(Throttles({1: {LEADER_RATE: "81"}}), [CLAIM])[0].run == ""
    tuned = Claim("run-1", OURS, BEFORE, ("70", "81"))
    assert held(Throttles({1: {LEADER_RATE: "81"}}), [tuned])[0].run == "run-1"


def test_everything_throttled_is_not_what_a_run_set() -> None:
    assert held(Throttles({}, {"t": {LEADER_LIST: "*"}}), [CLAIM])[0].run == ""
