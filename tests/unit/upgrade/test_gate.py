"""The gate as tables: every rule, and beside it the case in which a peer gets it wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from kafkaops.model.cluster import ClusterState, Quorum
from kafkaops.model.partition import Topic, TopicPartition
from kafkaops.upgrade.gate import Harm, Rules, Verdict, judge
from tests.unit.upgrade.placements import cluster, topic

TP = TopicPartition("t", 0)
UP = {1: "a", 2: "b", 3: "c", 4: "a"}


def world(*topics: Topic, down: tuple[int, ...] = (), **more: Any) -> ClusterState:
    return cluster({n: r for n, r in UP.items() if n not in down}, *topics, **more)


def part(
    replicas: tuple[int, ...], isr: tuple[int, ...], minimum: int | None = 2, **more: Any
) -> Topic:
    return topic("t", [replicas], isr={0: isr}, minimum=minimum, **more)


@dataclass(frozen=True)
class Case:
    """Stopping `nodes` is refused for `code` (None: allowed); `transient` if waiting cures it."""

    name: str
    state: ClusterState
    nodes: tuple[int, ...]
    code: str | None
    transient: bool = True
    accept: tuple[str, ...] = ()


RF3 = (1, 2, 3)
CASES = [
    Case("in sync, one goes", world(part(RF3, RF3)), (1,), None),
    Case("in sync, two go", world(part(RF3, RF3)), (1, 2), "KO-ISR-BELOW-MIN", False),
    Case("min ISR 1, two go", world(part(RF3, RF3, 1)), (1, 2), None),
    Case("min ISR 1, three go", world(part(RF3, RF3, 1)), RF3, "KO-GATE-OFFLINE", False),
    Case("at min ISR, a member goes", world(part(RF3, (1, 2))), (1,), "KO-ISR-BELOW-MIN"),
    Case("at min ISR, who is out of sync goes", world(part(RF3, (1, 2))), (3,), None),
    Case("under min ISR, a member goes", world(part(RF3, (1,))), (1,), "KO-GATE-OFFLINE"),
    Case(
        "under min ISR, who is out of sync may be first to catch up",
        world(part(RF3, (1,))), (2,), "KO-GATE-FIRST-BACK",
    ),
    Case(
        "no leader: nobody of its replicas is stopped",
        world(part(RF3, (1,), leaders={0: -1}), down=(1,)), (2,), "KO-GATE-FIRST-BACK",
    ),
    Case(
        "the ISR still names a broker that is gone",
        world(part(RF3, RF3), down=(2,)), (1,), "KO-ISR-BELOW-MIN",
    ),
    Case(
        "a disk is gone: its replica does not come back by waiting",
        world(part(RF3, (1, 2), offline=(3,))), (1,), "KO-ISR-BELOW-MIN", False,
    ),
    Case("min ISR unknown", world(part(RF3, RF3, None)), (1,), "KO-MIN-ISR-UNKNOWN", False),
    Case("not a replica", world(part(RF3, (1,))), (4,), None),
    # RF 1 and RF <= min ISR: by name, and never silently
    Case("RF 1", world(part((1,), (1,), 1)), (1,), "KO-RF-ONE", False),
    Case("RF 1, another topic accepted", world(part((1,), (1,))), (1,), "KO-RF-ONE", False,
         accept=("other",)),
    Case("RF 1, accepted", world(part((1,), (1,))), (1,), None, accept=("t",)),
    Case("RF 1, accepted by partition", world(part((1,), (1,))), (1,), None, accept=("t-0",)),
    Case("RF = min ISR", world(part((1, 2), (1, 2))), (1,), "KO-ISR-BELOW-MIN", False),
    Case("RF = min ISR, accepted", world(part((1, 2), (1, 2))), (1,), None, accept=("t*",)),
    Case("RF = min ISR, both go", world(part((1, 2), (1, 2))), (1, 2), "KO-GATE-OFFLINE", False),
    Case("RF = min ISR, one out of sync goes", world(part((1, 2), (1,))), (2,), None),
    Case(
        "RF = min ISR, one is out of sync and another goes: all in sync it is refused too",
        world(part(RF3, (1, 2), 3)), (1,), "KO-ISR-BELOW-MIN", False,
    ),
    Case(
        "accepted, and still waited for while the other catches up",
        world(part((1, 2), (1,))), (1,), "KO-GATE-OFFLINE", accept=("t",),
    ),
    Case(
        "accepted, and the other is down: nothing to wait for",
        world(part((1, 2), (1,)), down=(2,)), (1,), None, accept=("t",),
    ),
    # unclean election
    Case("unclean", world(part(RF3, (1,), unclean=True)), (1,), "KO-GATE-UNCLEAN"),
    Case(
        "unclean, never by acceptance",
        world(part(RF3, (1,), unclean=True)), (1,), "KO-GATE-UNCLEAN", accept=("*",),
    ),
    Case(
        "unclean, never by acceptance, whoever else is down",
        world(part(RF3, (1,), unclean=True), down=(3,)), (1,), "KO-GATE-UNCLEAN", accept=("*",),
    ),
    Case(
        "unclean, and nobody is up to be elected",
        world(part(RF3, (1,), unclean=True), down=(2, 3)), (1,), "KO-GATE-OFFLINE",
    ),
    Case("unclean allowed, nothing at stake", world(part(RF3, RF3, unclean=True)), (1,), None),
    # reassignments
    Case("moving, unknown what it loses",
         replace(world(part((1, 2, 3, 4), RF3)), reassigning=(TP,)), (1,), "KO-REASSIGNING"),
    Case("moving, one that stays goes",
         world(part((1, 2, 3, 4), RF3), moving={TP: (3,)}), (1,), "KO-ISR-BELOW-MIN"),
    Case("moving, and enough stay",
         world(part((1, 2, 3, 4), (1, 2, 3, 4)), moving={TP: (3,)}), (1,), None),
    Case("moving, who leaves goes",
         world(part((1, 2, 3, 4), RF3), moving={TP: (3,)}), (3,), None),
    Case("moving to RF = min ISR: what leaves spares nobody",
         world(part(RF3, RF3), moving={TP: (3,)}), (1,), "KO-ISR-BELOW-MIN", False),
    Case("moving elsewhere",
         replace(world(part(RF3, RF3)), reassigning=(TopicPartition("u", 0),)), (1,), None),
    # not up
    Case("down already, or in log recovery", world(down=(4,)), (4,), "KO-GATE-NOT-UP"),
]  # fmt: skip


def codes(found: Verdict) -> list[str]:
    return [b.code for b in found.blocked]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_rule(case: Case) -> None:
    found = judge(case.state, case.nodes, Rules(accept=case.accept))
    if case.code is None:
        assert found.go, found.blocked
        return
    assert codes(found) == [case.code]
    assert found.blocked[0].transient is case.transient, found.blocked
    assert found.blocked[0].hint


def strimzi_2964() -> ClusterState:
    """A topic with RF below its min ISR blocked every roll for ever, the one that would cure it
    too."""
    return world(topic("small", [(1, 2)], minimum=3), part(RF3, RF3))


def test_strimzi_2964_accepted_by_name_it_rolls() -> None:
    refused = judge(strimzi_2964(), (1,))
    assert codes(refused) == ["KO-ISR-BELOW-MIN"]
    assert not refused.blocked[0].transient  # said at once, not after a timeout
    assert "--accept-unavailable small" in refused.blocked[0].hint
    rolls = judge(strimzi_2964(), (1,), Rules(accept=("small",)))
    assert rolls.go
    assert [(str(e.tp), e.harm, e.accepted) for e in rolls.effects] == [
        ("small-0", Harm.UNWRITABLE, True)
    ]
    assert judge(strimzi_2964(), (3,)).go  # and whoever has none of it goes anyway


def test_strimzi_3749_ready_is_not_in_sync() -> None:
    """Broker 2 answers again and is no longer down, but it has not caught up: with 1 stopped too
    two would be missing."""
    state = world(part(RF3, (1, 3)))
    assert 2 in {b.id for b in state.brokers}
    found = judge(state, (1,))
    assert codes(found) == ["KO-ISR-BELOW-MIN"]
    assert found.blocked[0].hint == "wait until broker 2 has caught up"


def test_strimzi_5263_a_broker_in_log_recovery_is_left_alone() -> None:
    """Restarted for not being ready, it began its recovery anew, for ever."""
    found = judge(world(part(RF3, (2, 3)), down=(1,)), (1,))
    assert codes(found) == ["KO-GATE-NOT-UP"]
    assert found.blocked[0].transient
    assert "do not stop it" in found.blocked[0].hint


@pytest.mark.parametrize("isr", [(2, 3), (3,), (1,)])
def test_one_that_is_stuck_costs_nothing_whatever_is_short_elsewhere(isr: tuple[int, ...]) -> None:
    state = world(part(RF3, isr), down=(1,))
    assert judge(state, (1,), Rules(stuck=(1,))).go
    assert not judge(state, (1,)).go


def test_one_that_was_stuck_and_is_up_now_is_asked_like_any_other() -> None:
    found = judge(world(part(RF3, (1, 2))), (1,), Rules(stuck=(1,)))
    assert codes(found) == ["KO-ISR-BELOW-MIN"]


def test_strimzi_12649_recovery_slower_than_any_retry_window() -> None:
    """The gate neither counts nor gives up: it says how many replicas are still missing, and the
    same answer comes as long as it takes."""
    rows = [RF3] * 4
    left = []
    for caught_up in range(5):
        isr = {i: RF3 if i < caught_up else (1, 2) for i in range(4)}
        found = judge(world(topic("t", rows, isr=isr)), (1,))
        assert all(b.transient for b in found.blocked)
        left.append(found.missing)
    assert left == [4, 3, 2, 1, 0]
    assert found.go


def test_koperator_533_a_death_elsewhere_does_not_stop_the_roll() -> None:
    """One replica out of sync anywhere stopped every restart, and the dead broker was not
    replaced before the restart that waited for it. Only partitions of the node count."""
    state = world(part((2, 3, 4), (2, 3)), topic("mine", [(1, 2, 3)]), down=(4,))
    assert judge(state, (1,)).go
    found = judge(state, (2,))  # this one is needed while 4 is down
    assert codes(found) == ["KO-ISR-BELOW-MIN"]
    assert found.blocked[0].hint == "bring back broker 4"


def test_yelp_broker_ids_the_health_of_others_counts() -> None:
    """With --broker-ids only the selected brokers' health was looked at: 3 is not selected, is
    out of sync, and shares a partition with 1."""
    selected = (1,)
    found = judge(world(part(RF3, (1, 2))), selected)
    assert codes(found) == ["KO-ISR-BELOW-MIN"]
    assert found.effects[0].missing == (3,)


def test_cp_ansible_looks_before_the_stop_not_only_after_it() -> None:
    """Its playbook asks for under-replicated partitions once the broker is back: by then the
    partition of 1 and 2 alone could not be written. By default it restarts all at once."""
    found = judge(world(part(RF3, (1, 2))), (1,))
    assert codes(found) == ["KO-ISR-BELOW-MIN"]
    assert found.blocked[0].transient
    parallel = judge(world(part(RF3, RF3)), RF3)
    assert codes(parallel) == ["KO-GATE-OFFLINE"]
    assert not parallel.blocked[0].transient


@pytest.mark.parametrize(
    ("lag", "ago", "goes"),
    [
        (999, 60_000, False),  # a quiet cluster writes two records a second: dead for minutes
        (999, None, False),
        (0, 60_000, False),  # nothing is written, and it does not ask
        (5000, 500, True),  # a busy one: far behind by records, half a second by the clock
    ],
)
def test_cp_ansible_a_lag_of_under_1000_records_is_not_caught_up(
    lag: int, ago: int | None, goes: bool
) -> None:
    told = quorum(3)
    times = {} if ago is None else {**told.caught_up, 13: told.caught_up[11] - ago}
    ends = {11: 10_000, 12: 10_000, 13: 10_000 - lag}
    state = world(quorum=replace(told, voters=ends, caught_up=times))
    assert codes(judge(state, (12,))) == ([] if goes else ["KO-QUORUM-BEHIND"])


def test_bubuku_leaders_elsewhere_than_preferred_block_nothing() -> None:
    """Kafka leaves an imbalance below 10 % alone, so a roll that waits for none waits for ever
    (bubuku, pull request 156). Whoever leads is no matter of safety while all are in sync."""
    state = world(topic("t", [RF3] * 3, leaders={0: 2, 1: 2, 2: 3}))
    for node in RF3:
        assert judge(state, (node,)).go


def quorum(voters: int, behind: tuple[int, ...] = (), leader: int = 11) -> Quorum:
    """Voters 11, 12, ...; those behind caught up last a minute ago, by the leader's clock."""
    ids = range(11, 11 + voters)
    return Quorum(
        leader, 5, 1000, dict.fromkeys(ids, 1000), {},
        {n: 40_000 if n in behind else 99_500 if n != leader else 100_000 for n in ids},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "state", "nodes", "code"),
    [
        ("3, all caught up", quorum(3), (12,), None),
        ("3, the leader goes", quorum(3), (11,), None),
        ("3, one behind, another goes", quorum(3, (13,)), (12,), "KO-QUORUM-BEHIND"),
        ("3, the one behind goes", quorum(3, (13,)), (13,), None),
        ("5, two others behind", quorum(5, (14, 15)), (12,), "KO-QUORUM-BEHIND"),
        ("5, one other behind", quorum(5, (15,)), (12,), None),
        ("4, one other behind", quorum(4, (14,)), (12,), "KO-QUORUM-BEHIND"),
        ("two at once", quorum(5), (12, 13), "KO-QUORUM-TOO-MANY"),
        ("no leader", quorum(3, leader=-1), (12,), "KO-QUORUM-NO-LEADER"),
        ("2, the other behind", quorum(2, (12,)), (11,), "KO-QUORUM-BEHIND"),
    ],
)
def test_controllers(name: str, state: Quorum, nodes: tuple[int, ...], code: str | None) -> None:
    found = judge(world(part(RF3, RF3), quorum=state), nodes)
    assert codes(found) == ([] if code is None else [code]), name
    assert all(b.transient is (code != "KO-QUORUM-TOO-MANY") for b in found.blocked)


@pytest.mark.parametrize(("voters", "words"), [(1, "the only one"), (2, "of two controllers")])
def test_one_or_two_controllers_go_with_a_warning(voters: int, words: str) -> None:
    found = judge(world(quorum=quorum(voters)), (11,))
    assert found.go
    assert words in found.warnings[0]


@pytest.mark.parametrize(("ago", "goes"), [(2000, True), (2001, False)])
def test_caught_up_is_what_the_controllers_themselves_call_so(ago: int, goes: bool) -> None:
    """controller.quorum.fetch.timeout.ms: a follower of that age holds an election (Strimzi's
    limit too)."""
    told = quorum(3)
    late = replace(told, caught_up={**told.caught_up, 13: told.caught_up[11] - ago})
    assert codes(judge(world(quorum=late), (12,))) == ([] if goes else ["KO-QUORUM-BEHIND"])


def test_a_voter_behind_by_records_where_times_are_unknown() -> None:
    old = replace(quorum(3), caught_up={}, voters={11: 1000, 12: 1000, 13: 979})
    assert codes(judge(world(quorum=old), (12,))) == ["KO-QUORUM-BEHIND"]
    near = replace(old, voters={11: 1000, 12: 1000, 13: 980})
    assert judge(world(quorum=near), (12,)).go
    never_heard_of = replace(old, voters={11: 10, 12: 10, 13: -1})
    assert codes(judge(world(quorum=never_heard_of), (12,))) == ["KO-QUORUM-BEHIND"]


def test_combined_nodes_pass_both_gates() -> None:
    both = Quorum(1, 1, 10, {1: 10, 2: 10, 3: 10}, {}, {1: 9000, 2: 9000, 3: 9000})
    assert judge(world(part(RF3, RF3), quorum=both), (2,)).go
    short = replace(both, caught_up={1: 9000, 2: 9000, 3: 1})
    assert codes(judge(world(part(RF3, RF3), quorum=short), (2,))) == ["KO-QUORUM-BEHIND"]
    assert codes(judge(world(part(RF3, (1, 2)), quorum=both), (2,))) == ["KO-ISR-BELOW-MIN"]
    everything = judge(world(part(RF3, (1, 2)), quorum=short), (2,))
    assert sorted(codes(everything)) == ["KO-ISR-BELOW-MIN", "KO-QUORUM-BEHIND"]


def test_a_combined_node_that_is_stuck_as_a_broker_may_still_have_a_vote() -> None:
    def state(mine: int, other: int) -> ClusterState:
        said = Quorum(3, 1, 10, {1: 10, 2: 10, 3: 10}, {}, {1: mine, 2: other, 3: 9000})
        return world(part(RF3, (2, 3)), down=(1,), quorum=said)

    rules = Rules(stuck=(1,))
    assert judge(state(9000, 9000), (1,), rules).go
    assert codes(judge(state(9000, 1000), (1,), rules)) == ["KO-QUORUM-BEHIND"]
    assert judge(state(1000, 1000), (1,), rules).go


@pytest.mark.parametrize(
    ("isr", "later"), [((1, 2), "KO-ISR-BELOW-MIN"), ((1,), "KO-GATE-OFFLINE")]
)
def test_what_waiting_cannot_cure_comes_first(isr: tuple[int, ...], later: str) -> None:
    """Also before what is worse: or the run would wait for that, and be refused then."""
    state = world(part(RF3, isr), topic("one", [(1,)], minimum=1))
    found = judge(state, (1,))
    assert [(b.code, b.transient) for b in found.blocked] == [("KO-RF-ONE", False), (later, True)]


@pytest.mark.parametrize(
    ("state", "nodes", "hint"),
    [
        (world(part(RF3, RF3)), (1, 2), "stop fewer brokers at once"),
        (world(part(RF3, (1, 2)), down=(3,)), (1, 2), "stop fewer brokers at once"),
        (
            world(part(RF3, (1, 2), offline=(3,))),
            (1,),
            "replicas on broker 3 do not come back by waiting",
        ),
        (
            world(part((1, 2), (1,), offline=(2,), unclean=True)),
            (1,),
            "replicas on broker 2 do not come back by waiting",  # and loss cannot be accepted
        ),
        (world(part(RF3, (1, 2))), (1,), "wait until broker 3 has caught up"),
        (world(part(RF3, (1, 2)), down=(3,)), (1,), "bring back broker 3"),
        (
            world(part((1, 2), (1, 2))),
            (1,),
            "--accept-unavailable t, or raise its replication factor",
        ),
    ],
)
def test_the_hint_is_what_cures_it(state: ClusterState, nodes: tuple[int, ...], hint: str) -> None:
    assert judge(state, nodes).blocked[0].hint == hint
