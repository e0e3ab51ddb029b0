"""Clusters with holes: no racks, absent brokers, moves under way, too little room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.cluster import Broker, ClusterState, LogDir
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.placement.planning import planner
from kafkaops.placement.planning.goals import Balance, Goals
from kafkaops.placement.planning.witness import Infeasible
from tests.unit.placement.planning.clusters import (
    EVEN,
    SIX,
    Racks,
    after,
    counts,
    made,
    plan,
    uneven,
)


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
