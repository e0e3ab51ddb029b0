"""Throttles over what is set, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import throttle
from kafkaops.placement.applying.throttle import (
    DIRS_RATE,
    FOLLOWER_LIST,
    FOLLOWER_RATE,
    LEADER_LIST,
    LEADER_RATE,
    Throttles,
)
from kafkaops.placement.moves import DirMove, Move

MOVE = Move(TopicPartition("t", 0), (1, 2), (1, 3), 10)
DIR = DirMove(TopicPartition("t", 1), 2, "/a", "/b", 10)


def applied(
    now: Throttles,
    change: tuple[dict[int, dict[str, str | None]], dict[str, dict[str, str | None]]],
) -> Throttles:
    """What is set after such a change."""
    brokers = {b: dict(own) for b, own in now.brokers.items()}
    topics = {t: dict(own) for t, own in now.topics.items()}
    for b, values in change[0].items():
        _put(brokers[b], values)
    for t, values in change[1].items():
        _put(topics[t], values)
    return Throttles(brokers, topics)


def _put(own: dict[str, str], values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            own.pop(name, None)
        else:
            own[name] = value


def set_all(now: Throttles, wish: Throttles) -> Throttles:
    todo = throttle.missing(now, wish)
    return applied(
        now,
        (
            {b: dict(own) for b, own in todo.brokers.items()},
            {t: dict(own) for t, own in todo.topics.items()},
        ),
    )


def test_who_sends_and_who_receives_is_held_to_the_rate() -> None:
    found = throttle.wanted([MOVE], [DIR], 80, Throttles())
    assert found.brokers == {
        1: {LEADER_RATE: "80"},
        2: {LEADER_RATE: "80", DIRS_RATE: "80"},
        3: {FOLLOWER_RATE: "80"},
    }
    assert found.topics == {"t": {LEADER_LIST: "0:1,0:2", FOLLOWER_LIST: "0:3"}}


def test_a_move_that_copies_nothing_needs_none() -> None:
    order = Move(TopicPartition("t", 0), (1, 2), (2, 1), 10)
    assert throttle.wanted([order], [], 80, Throttles()) == Throttles()


@pytest.mark.parametrize(
    ("held", "more", "result"),
    [
        (None, ["0:1"], "0:1"),
        ("", ["0:1"], "0:1"),
        ("7:7", ["0:1"], "7:7,0:1"),
        ("0:1,7:7", ["0:1", "0:2"], "0:1,7:7,0:2"),
        ("*", ["0:1"], "*"),
        (" * ", ["0:1"], "*"),
    ],
)
def test_lists_are_only_added_to(held: str | None, more: list[str], result: str) -> None:
    assert throttle.merged(held, more) == result


entries = st.lists(st.sampled_from(["0:1", "0:2", "0:3", "5:5", "6:6"]), unique=True, max_size=4)
lists = st.one_of(st.none(), st.just("*"), entries.filter(bool).map(",".join))
rates = st.one_of(st.none(), st.sampled_from(["80", "1"]))


def own(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


@settings(max_examples=50, deadline=None)
@given(lists, lists, rates, rates)
def test_set_and_given_back_all_is_exactly_as_before(
    leader: str | None, follower: str | None, sends: str | None, gets: str | None
) -> None:
    before = Throttles(
        {
            1: own(**{LEADER_RATE: sends}),
            2: {},
            3: own(**{FOLLOWER_RATE: gets, LEADER_RATE: "5"}),
        },
        {"t": own(**{LEADER_LIST: leader, FOLLOWER_LIST: follower})},
    )
    wish = throttle.wanted([MOVE], [], 80, before)
    set_ = set_all(before, wish)
    assert throttle.missing(set_, wish) == Throttles()
    assert applied(set_, throttle.given_back(set_, wish, before)) == before


def test_what_somebody_added_meanwhile_stays() -> None:
    before = Throttles({}, {"t": {LEADER_LIST: "7:7"}})
    wish = throttle.wanted([MOVE], [], 80, before)
    later = Throttles({}, {"t": {LEADER_LIST: "7:7,0:1,0:2,9:9", FOLLOWER_LIST: "*"}})
    _, topics = throttle.given_back(later, wish, before)
    assert topics == {"t": {LEADER_LIST: "7:7,9:9"}}


def test_a_rate_that_nobody_here_set_stays() -> None:
    before = Throttles({1: {LEADER_RATE: "5"}})
    wish = Throttles({1: {LEADER_RATE: "80"}, 2: {FOLLOWER_RATE: "80"}})
    now = Throttles({1: {LEADER_RATE: "7"}, 2: {FOLLOWER_RATE: "90"}})
    assert throttle.given_back(now, wish, before) == ({}, {})
    assert throttle.others(now, wish, before) == {1: {LEADER_RATE: "7"}, 2: {FOLLOWER_RATE: "90"}}
    tuned = throttle.given_back(now, wish, before, ["90"])
    assert tuned == ({2: {FOLLOWER_RATE: None}}, {})
    assert throttle.others(now, wish, before, ["90"]) == {1: {LEADER_RATE: "7"}}
    gone = Throttles({1: {}, 2: {}})
    assert throttle.given_back(gone, wish, before) == ({}, {})
    assert throttle.others(gone, wish, before) == {1: {LEADER_RATE: None}}


def test_what_is_left_of_ours_is_not_taken_for_an_operators() -> None:
    before = Throttles({1: {LEADER_RATE: "5", FOLLOWER_RATE: "6"}, 2: {}})
    wish = Throttles({1: {LEADER_RATE: "80"}, 2: {FOLLOWER_RATE: "80"}})
    now = Throttles({1: {LEADER_RATE: "80", FOLLOWER_RATE: "6"}, 2: {FOLLOWER_RATE: "80"}})
    assert throttle.restored(now, wish, before) == before


def test_what_is_down_or_gone_is_passed_over() -> None:
    wish = throttle.wanted([MOVE], [], 80, Throttles())
    now = Throttles({1: {}}, {})
    assert throttle.missing(now, wish).brokers == {1: {LEADER_RATE: "80"}}
    assert throttle.missing(now, wish).topics == {}
    assert throttle.given_back(now, wish, Throttles()) == ({}, {})


def test_through_json_it_is_the_same() -> None:
    wish = throttle.wanted([MOVE], [DIR], 80, Throttles())
    assert Throttles.of(wish.to_json()) == wish
