"""What each goal does, snapshots that have holes, and what is refused, with the numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused, OpsError, UsageFault
from kafkaops.model.cluster import Broker, ClusterState, LogDir
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.placement.planning import kafka_json, planner, table
from kafkaops.placement.planning.goals import Balance, Goals, Objective
from kafkaops.placement.planning.witness import Infeasible
from tests.unit.placement.planning.clusters import Racks, after, counts, made, plan, uneven

SIX: Racks = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
EVEN = [(1, 2, 3), (4, 5, 6), (2, 3, 4), (5, 6, 1)]


def test_replace_puts_the_new_broker_in_every_place_of_the_old() -> None:
    t = made({**SIX, 7: "a"}, {"t": EVEN})
    found = plan(t, replace=((1, 7),))
    assert [(m.before, m.after) for m in found.moves] == [
        ((1, 2, 3), (7, 2, 3)), ((5, 6, 1), (5, 6, 7)),
    ]  # fmt: skip
    assert (found.cost, found.bound, found.leaders_changed) == (2, 2, 1)


def test_replace_by_a_broker_that_holds_it_already_or_of_a_full_rack_goes_elsewhere() -> None:
    t = made({**SIX, 7: "b"}, {"t": [(1, 2, 3), (1, 7, 3)]})
    found = plan(t, replace=((1, 7),))
    assert after(t, found) == {("t", 0): (4, 2, 3), ("t", 1): (4, 7, 3)}
    assert (found.cost, found.bound) == (2, 2)


def test_a_drained_broker_is_spread_evenly_over_those_that_have_least() -> None:
    t = made({**SIX, 7: "a"}, {"t": [(1, 2, 3)] * 8, "u": [(4, 5, 6)] * 2})
    found = plan(t, drain=(1,))
    load = counts(after(t, found).values())
    assert (load[4], load[7]) == (5, 5)
    assert [load[b] for b in (2, 3, 5, 6)] == [8, 8, 2, 2]
    assert (found.cost, found.bound) == (8, 8)


def test_more_replicas_go_last_into_racks_that_have_none() -> None:
    t = made(SIX, {"t": [(1, 2), (5, 4)], "u": [(1, 2)]})
    found = plan(t, rf=(("t", 3),))
    then = after(t, found)
    assert [then["t", 0][:2], then["t", 1][:2], then["u", 0]] == [(1, 2), (5, 4), (1, 2)]
    assert {then["t", 0][2], then["t", 1][2]} == {3, 6}
    assert (found.cost, found.bound, found.leaders_changed) == (2, 2, 0)


def test_fewer_replicas_drop_what_is_not_in_sync_and_keep_the_leader() -> None:
    both = (1, 2, 3)
    rows = [("t", 0, both, (1, 3)), ("t", 1, both, (1, 2)), ("t", 2, (4, 5, 6), (4, 5, 6))]
    found = planner.of_table(table.of_rows(rows, SIX), Goals(rf=(("t", 2),)))
    assert [m.after for m in found.moves[:2]] == [(1, 3), (1, 2)]
    assert found.moves[2].after[0] == 4
    assert (found.cost, found.leaders_changed) == (0, 0)


def test_fewer_replicas_drop_the_one_that_crowds_a_rack() -> None:
    crowded = [(1, 4, 2), (2, 1, 4), (4, 2, 1), (5, 6, 3), (6, 3, 5), (3, 5, 6)]
    t = made(SIX, {"t": crowded})
    for row in after(t, plan(t, rf=(("t", 2),))).values():
        assert uneven(row, SIX) == 0


def test_several_new_replicas_stand_where_those_of_their_racks_stood() -> None:
    [move] = plan(made(SIX, {"t": [(1, 5, 3)]}), drain=(1, 5)).moves
    assert move.after == (4, 2, 3)


def test_pins_and_exclusions() -> None:
    t = made(SIX, {"t": EVEN, "__x": [(1, 2, 3)]})
    found = plan(t, pins=(("t-1", (1,)),), exclude=("__*",), balance=(Balance.REPLICAS,))
    then = after(t, found)
    assert then["t", 1] == (1, 5, 6)
    assert then["__x", 0] == (1, 2, 3)
    load = counts(row for (topic, _), row in then.items() if topic == "t")
    assert set(load.values()) == {2}
    assert (found.cost, found.bound) == (2, 2)


@pytest.mark.parametrize("more", [{}, {"repair": True}, {"balance": (Balance.REPLICAS,)}])
def test_pins_that_fill_a_partition_leave_no_place_for_what_was_there(more: dict[str, Any]) -> None:
    t = made({1: "a", 2: "b", 3: "c"}, {"t": [(1,), (1, 2)]})
    found = plan(t, pins=(("t-0", (3,)), ("t-1", (2, 3))), **more)
    then = after(t, found)
    assert (then["t", 0], set(then["t", 1])) == ((3,), {2, 3})
    assert (found.cost, found.bound) == (2, 2)


def test_pins_come_before_a_replacement() -> None:
    t = made(SIX, {"t": [(1,)]})
    assert [m.after for m in plan(t, pins=(("t", (5,)),), replace=((1, 4),)).moves] == [(5,)]


def test_a_broker_that_must_not_receive_keeps_what_it_has() -> None:
    t = made(SIX, {"t": [(1, 2, 3)] * 6})
    found = plan(t, no_receive=(4,), balance=(Balance.REPLICAS,))
    load = counts(after(t, found).values())
    assert load == {1: 6, 2: 3, 5: 3, 3: 3, 6: 3}


def test_capacity_weighs_shares() -> None:
    t = made(SIX, {"t": [(1, 2, 3)] * 6})
    found = plan(t, capacity=((4, Decimal(2)),), balance=(Balance.REPLICAS,))
    load = counts(after(t, found).values())
    assert (load[1], load[4], load[2], load[5]) == (2, 4, 3, 3)
    assert found.cost == found.bound == 10


def test_why_no_shares_can_be_given_is_counted_and_names_what_was_asked_for() -> None:
    """A partition needs every broker; and shares within a topic on a broker full of another one."""
    t = made(
        dict.fromkeys((2, 6, 23, 30), "a"), {"a": [(2,), (6,)], "b": [(2,), (2, 6, 23)]}
    )  # fmt: skip
    with pytest.raises(Infeasible, match="1 partitions bring 3 replicas, and 2 can go") as refused:
        plan(t, replace=((2, 6),), balance=(Balance.REPLICAS,))
    assert refused.value.witness.partitions == ("b-1",)
    assert refused.value.witness.relax == ("--tolerance", "--replace")
    t = made({1: "a", 2: "a"}, {"x": [(1,)] * 3, "y": [(1,), (2,)]})
    with pytest.raises(Infeasible, match=r"topics put 1 replicas on brokers \(1\) that have room"):
        plan(t, exclude=("x",), balance=(Balance.TOPICS,))


def test_balance_within_topics() -> None:
    t = made({1: "a", 2: "b", 3: "a", 4: "b"}, {"t": [(1, 2)] * 2, "u": [(3, 4)] * 2})
    assert plan(t, balance=(Balance.REPLICAS,)).cost == 0
    found = plan(t, balance=(Balance.REPLICAS, Balance.TOPICS))
    then = after(t, found)
    for name in ("t", "u"):
        assert set(counts(r for k, r in then.items() if k[0] == name).values()) == {1}
    assert (found.cost, found.bound) == (4, 4)


def test_bytes_as_what_is_moved_least() -> None:
    t = made(
        {1: "a", 2: "a"},
        {"big": [(1,)], "mid": [(1,)], "low": [(1,)]},
        {"big": 9, "mid": 5, "low": 2},
    )
    found = plan(t, balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert [(str(m.tp), m.after) for m in found.moves] == [("low-0", (2,))]
    assert (found.cost, found.bound, found.gap) == (2, 2, 0)


def test_what_has_no_bytes_does_not_move_for_nothing() -> None:
    t = made(
        {**SIX, 7: "a", 8: "b"},
        {"t": [(1, 2, 3), (4, 5, 6)], "u": [(7, 8, 6)], "v": [(2, 3, 1)]},
        {"t": 0, "u": 5, "v": 0},
    )
    found = plan(t, balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert (found.cost, found.replicas_moved) == (0, 0)
    moved = plan(t, drain=(6,), balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert (moved.cost, moved.bound, moved.replicas_moved) == (5, 5, 2)


def test_bytes_that_the_solver_cannot_count_are_refused() -> None:
    t = made({1: "a", 2: "b"}, {"t": [(1,), (1,)]}, {"t": 1 << 59})
    with pytest.raises(GuardRefused, match="cannot count that far") as refused:
        plan(t, balance=(Balance.REPLICAS,), objective=Objective.BYTES)
    assert "--objective replicas" in refused.value.hint


def test_bytes_evened_out_with_the_bound_it_is_compared_to() -> None:
    sizes = {"a": 60, "b": 30, "c": 10}
    t = made({1: "a", 2: "a"}, {n: [(1,)] for n in sizes}, sizes)
    found = plan(t, balance=(Balance.BYTES,), tolerance=Decimal("0.2"))
    assert [(str(m.tp), m.after) for m in found.moves] == [("a-0", (2,))]
    # The share is 50 and 60 at most: 40 are above it on broker 1, and 60 is the least that fits.
    assert (found.cost, found.bound, found.gap) == (60, 40, 20)
    assert "local search" in found.proof
    [note] = plan(t, balance=(Balance.BYTES,), tolerance=Decimal(0)).notes
    assert "stay above their share" in note


def test_bytes_and_counts_together_exchange() -> None:
    sizes = {"a": 50, "b": 50, "c": 10, "d": 10}
    t = made({1: "a", 2: "a"}, {n: [(1,) if n < "c" else (2,)] for n in sizes}, sizes)
    found = plan(t, balance=(Balance.REPLICAS, Balance.BYTES))
    assert [b.after.bytes for b in found.brokers] == [60, 60]
    assert [b.after.replicas for b in found.brokers] == [2, 2]
    assert (found.cost, found.bound) == (60, 37)  # 100 - ceil(60 * 1.05)


# -- holes ------------------------------------------------------------------------


def test_racks_missing_on_some_brokers() -> None:
    racks: Racks = {1: "a", 2: "b", 3: None, 4: None}
    t = made(racks, {"t": [(1, 2), (3, 4)]})
    with pytest.raises(GuardRefused, match="2 brokers name no rack: 3, 4") as refused:
        plan(t, drain=(1,))
    assert "--allow-no-rack 3" in refused.value.hint
    found = plan(t, repair=True, no_rack=("3", "4"))
    for row in after(t, found).values():
        assert len({racks[b] for b in row}) == 2
    assert found.cost == 1
    seen = plan(t, balance=(Balance.LEADERS,), no_rack=("all",))
    assert (seen.before, seen.after) == (found.before, seen.before)  # judged by the same racks


def test_no_racks_at_all_are_one_place() -> None:
    t = made(dict.fromkeys(range(5)), {"t": [(0, 1, 2)] * 10})
    found = plan(t, balance=(Balance.REPLICAS,), no_rack=("all",))
    assert set(counts(after(t, found).values()).values()) == {6}
    blank = replace(state(), brokers=tuple(replace(b, rack="") for b in state().brokers))
    with pytest.raises(GuardRefused, match="6 brokers name no rack"):
        planner.plan(blank, Goals(repair=True))
    assert (found.cost, found.bound) == (12, 12)


def test_replicas_on_brokers_that_no_longer_exist() -> None:
    t = made(SIX, {"t": [(1, 2, 9), (4, 5, 6)]})
    kept = plan(t, balance=(Balance.REPLICAS,))
    assert after(t, kept)["t", 0][2] == 9
    assert "not up (9)" in kept.notes[0]
    for goals in ({"drain": (9,)}, {"drain_absent": True}):
        [move] = plan(t, **goals).moves
        assert move.after == (1, 2, 3)


def test_a_broker_that_is_down_where_every_other_one_is_needed_too() -> None:
    t = made({1: "a", 2: "b"}, {"t": [(1, 2, 3), (2, 1, 3)]})
    assert plan(t, balance=(Balance.REPLICAS, Balance.LEADERS)).empty
    with pytest.raises(Infeasible, match="up to 3 replicas, and 2 brokers are left"):
        plan(t, drain=(3,))
    with pytest.raises(Infeasible, match=r"pinned to 2 .* 2 replicas, 1 of them on brokers") as no:
        plan(made({1: "a", 2: "b"}, {"t": [(1, 3)]}), pins=(("t", (1, 2)),))
    assert (no.value.witness.need, no.value.witness.room) == (2, 1)


def test_fewer_replicas_drop_those_of_absent_brokers_first() -> None:
    t = made(SIX, {"t": [(9, 2, 1)]})
    [move] = plan(t, rf=(("t", 2),)).moves
    assert move.after == (2, 1)


def test_more_replicas_than_racks() -> None:
    racks: Racks = {b: "ab"[b % 2] for b in range(8)}
    t = made(racks, {"t": [(0, 2, 4), (1, 3, 5), (0, 1, 2)]})
    found = plan(t, repair=True)
    assert all(uneven(row, racks) == 0 for row in after(t, found).values())
    assert (found.cost, found.bound) == (2, 2)
    assert "3 partitions have more replicas than there are racks (2)" in found.notes[-1]


def test_losing_a_rack() -> None:
    t = made(SIX, {"t": EVEN})
    with pytest.raises(Infeasible, match="want up to 3 replicas, and 2 racks are left") as refused:
        plan(t, drain_racks=("c",))
    assert refused.value.witness.racks == ("a", "b")
    found = plan(t, drain_racks=("c",), shared_racks=True)
    for row in after(t, found).values():
        assert not {3, 6} & set(row)
        assert len(set(row)) == 3
    assert found.cost == found.bound == 4


def test_one_giant_topic_and_thousands_of_small_ones() -> None:
    giant = [((b := p % 3 + 1), b % 3 + 1, (b + 1) % 3 + 1) for p in range(3000)]
    small = {f"s{i:04d}": [(1, 2, 3)] for i in range(3000)}
    t = made(SIX, {"giant": giant, **small})
    found = plan(t, add=(4, 5, 6))
    assert set(counts(after(t, found).values()).values()) == {3000}
    assert (found.cost, found.bound, found.proof) == (9000, 9000, "closed form")
    led = counts(row[:1] for row in after(t, found).values())
    assert set(led.values()) == {1000}


def test_an_empty_cluster_and_brokers_without_replicas() -> None:
    assert plan(made(SIX, {}), balance=(Balance.REPLICAS, Balance.LEADERS)).empty
    t = made({1: "a", 2: "b"}, {"t": [(1,)]})
    assert plan(t, balance=(Balance.REPLICAS, Balance.LEADERS)).empty


def state(**more: Any) -> ClusterState:
    parts = tuple(
        Partition(TopicPartition("t", i), row[0], 0, row, row) for i, row in enumerate(EVEN)
    )
    brokers = tuple(Broker(b, f"h{b}", 9092, rack) for b, rack in SIX.items())
    return ClusterState("c", 0.0, 1, brokers, {"t": Topic("t", "", False, parts)}, **more)


def test_what_is_on_the_move_already_is_left_alone() -> None:
    moving = state(reassigning=(TopicPartition("t", 0),))
    found = planner.plan(moving, Goals(rf=(("t", 2),)))
    assert [str(m.tp) for m in found.moves] == ["t-1", "t-2", "t-3"]
    assert "1 partitions are on the move already" in found.notes[0]
    with pytest.raises(Infeasible, match="on the move already"):
        planner.plan(moving, Goals(drain=(1,)))


def test_a_drain_that_leaves_too_little_room() -> None:
    sizes = {TopicPartition("t", i): 100 for i in range(4)}
    with pytest.raises(Infeasible, match="broker 4 would get 200 bytes and has 40 free") as refused:
        planner.plan(
            state(replica_bytes=sizes, log_dir_free={b: 40 if b == 4 else 999 for b in SIX}),
            Goals(drain=(1,)),
        )
    assert (refused.value.witness.need, refused.value.witness.room) == (200, 40)


def test_disks_of_a_broker() -> None:
    a, b, c = (TopicPartition("t", i) for i in range(3))
    dirs = {
        1: (
            LogDir("/1", 100, 50, {a: 40, b: 30, c: 5}),
            LogDir("/2", 100, 99),
            LogDir("/x", error="e"),
        ),
        2: (LogDir("/1", 100, 50, {a: 20, b: 20}), LogDir("/2", 100, 99, cordoned=True)),
    }
    found = planner.plan(state(log_dirs=dirs), Goals(balance=(Balance.DISKS,)))
    assert [(m.broker, str(m.tp), m.source, m.target, m.bytes) for m in found.dir_moves] == [
        (1, "t-0", "/1", "/2", 40)
    ]
    assert "40 bytes to other disks, at least 54" in found.notes[0]
    assert "2 /1" in found.notes[1]


# -- refusals ---------------------------------------------------------------------

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
