"""The plan of batches: who goes alone, in which order, what is listed, and which moves save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.model.cluster import ClusterState, Quorum
from kafkaops.model.partition import Partition
from kafkaops.upgrade.batches import Batches, Limits, Role, plan
from kafkaops.upgrade.batches_moves import Move
from tests.unit.upgrade.placements import cluster, forbidden, grown, topic

SIX: dict[int, str | None] = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
ROWS = [(a, b, c) for a in (1, 4) for b in (2, 5) for c in (3, 6)]


def orders(found: Batches) -> list[tuple[Role, tuple[int, ...]]]:
    return [(b.role, b.nodes) for b in found.batches]


def voters(leader: int, *nodes: int) -> Quorum:
    return Quorum(leader, 1, 10, dict.fromkeys(nodes, 10))


def test_isolated_controllers_go_first_one_at_a_time_the_active_one_last() -> None:
    found = plan(cluster(SIX, topic("t", ROWS), quorum=voters(101, 101, 102, 103)))
    assert orders(found)[:4] == [
        (Role.CONTROLLER, (102,)),
        (Role.CONTROLLER, (103,)),
        (Role.CONTROLLER, (101,)),
        (Role.CANARY, (2,)),
    ]
    assert sorted(n for role, b in orders(found)[4:] for n in b) == [1, 3, 4, 5, 6]
    assert found.bound == len(found.batches) == 7


def test_combined_nodes_go_one_at_a_time_the_active_one_last() -> None:
    found = plan(cluster(SIX, topic("t", ROWS), quorum=voters(2, *SIX)))
    assert {role for role, _ in orders(found)} == {Role.COMBINED}
    assert [len(b.nodes) for b in found.batches] == [1] * 6
    assert found.batches[-1].nodes == (2,)
    assert found.proven


@pytest.mark.parametrize(
    ("leader", "nodes", "lags", "order"),
    [
        (101, (101, 102, 103), 103, [103, 102, 101]),
        (101, (101, 102, 103), 101, [102, 103, 101]),  # the active one is behind nobody
        (3, (1, 2, 3), 1, [1, 2, 3]),  # combined; 1 leads everything
    ],
)
def test_a_voter_that_lags_goes_first(
    leader: int, nodes: tuple[int, ...], lags: int, order: list[int]
) -> None:
    """Without it the others are a quorum, and without any other they are not."""
    ends = {node: 10 if node == lags else 1000 for node in nodes}
    quiet = topic("t", ROWS, leaders=dict.fromkeys(range(8), 1))
    state = cluster(SIX, quiet, quorum=Quorum(leader, 1, 1000, ends))
    assert [n for _, batch in orders(plan(state))[:3] for n in batch] == order


def test_combined_beside_brokers() -> None:
    found = plan(cluster(SIX, topic("t", ROWS), quorum=voters(1, 1, 2, 3)))
    assert [r for r, _ in orders(found)] == [
        *[Role.COMBINED] * 3, Role.CANARY, *[Role.BROKERS] * 2,
    ]  # fmt: skip
    assert found.batches[2].nodes == (1,)


def test_zookeeper_mode_leaves_the_controller_for_last() -> None:
    found = plan(cluster(SIX, topic("t", ROWS), controller=2), Limits(canary=False))
    assert 2 in found.batches[-1].nodes
    quiet = topic("t", ROWS, leaders=dict.fromkeys(range(8), 1))  # only 1 leads
    found = plan(cluster(SIX, quiet, controller=2))
    assert orders(found)[0] == (Role.CANARY, (3,))  # not 2, the controller


def test_the_canary_leads_least() -> None:
    leaders = dict(enumerate([1, 2, 3, 4, 5, 1, 2, 3]))
    found = plan(cluster(SIX, topic("t", ROWS, leaders=leaders)))
    assert orders(found)[0] == (Role.CANARY, (6,))
    assert found.batches[0].leaders == 0


def test_whole_racks_and_what_they_leave() -> None:
    state = cluster(SIX, topic("t", ROWS))
    racks = plan(state, Limits(whole_racks=True, canary=False))
    assert [b.racks for b in racks.batches] == [("a",), ("b",), ("c",)]
    assert [b.at_minimum for b in racks.batches] == [8, 8, 8]  # every partition, no margin
    single = plan(state, Limits(1, canary=False))
    assert [b.at_minimum for b in single.batches] == [4] * 6


def test_one_that_is_never_writable_is_listed_and_accepted_by_name() -> None:
    state = cluster(
        SIX, topic("t", ROWS), topic("one", [(1,)], minimum=1), topic("two", [(2, 5), (3, 6)])
    )
    found = plan(state, Limits(accept=("one", "two-1")))
    assert [(str(n.tp), n.rf, n.min_isr, n.accepted) for n in found.never] == [
        ("one-0", 1, 1, True), ("two-0", 2, 2, False), ("two-1", 2, 2, True),
    ]  # fmt: skip
    assert [str(n.tp) for n in found.unaccepted] == ["two-0"]
    for batch in found.batches:
        assert not {2, 5} <= set(batch.nodes)  # one of both stays, to be read from


def test_short_partitions_are_planned_as_if_in_sync_and_named() -> None:
    isr = {0: (1, 2), 1: (1,)}
    found = plan(cluster(SIX, topic("t", ROWS, isr=isr)), Limits(canary=False))
    assert [str(tp) for tp in found.short] == ["t-0", "t-1"]
    assert len(found.batches) == 3


def test_a_partition_short_of_one_is_held_to_what_it_is_now() -> None:
    """RF 4, min ISR 1, two in sync: any three could go if all were in sync; now no two of 1, 2."""
    rows = [(1, 2, 3, 4)]
    whole = plan(cluster({n: None for n in range(1, 5)}, topic("t", rows, minimum=1)),
                 Limits(canary=False))  # fmt: skip
    assert len(whole.batches) == 2
    short = cluster({n: None for n in range(1, 5)}, topic("t", rows, minimum=1, isr={0: (1, 2)}))
    found = plan(short, Limits(canary=False))
    assert all(not {1, 2} <= set(b.nodes) for b in found.batches)


def test_brokers_that_are_not_up_are_named_and_in_no_batch() -> None:
    up = {n: r for n, r in SIX.items() if n != 6}
    found = plan(cluster(up, topic("t", ROWS, isr={1: (1, 2)})))
    assert found.absent == (6,)
    assert sorted(n for _, b in orders(found) for n in b) == [1, 2, 3, 4, 5]


def moved(state: ClusterState, moves: Sequence[Move]) -> ClusterState:
    """The cluster after the moves."""

    def there(p: Partition) -> Partition:
        nodes = list(p.replicas)
        for move in moves:
            if move.tp == p.tp:
                assert move.target not in nodes
                nodes[nodes.index(move.source)] = move.target
        return replace(p, replicas=tuple(nodes), isr=tuple(nodes), leader=nodes[0])

    topics = {
        name: replace(t, partitions=tuple(there(p) for p in t.partitions))
        for name, t in state.topics.items()
    }
    return replace(state, topics=topics)


@pytest.mark.parametrize(("stray", "seed"), [(0.001, 1), (0.001, 2), (0.005, 3), (0.01, 4)])
def test_the_moves_named_make_the_number_promised_true(stray: float, seed: int) -> None:
    state = grown(60, 3, 6_000, stray=stray, seed=seed)
    limits = Limits(whole_racks=True, canary=False)
    found = plan(state, limits)
    assert found.advice is not None
    assert (found.advice.now, found.advice.batches) == (len(found.batches), 3)
    assert 0 < len({m.tp for m in found.advice.moves}) <= round(stray * 6_000)
    after = plan(moved(state, found.advice.moves), limits)
    assert len(after.batches) == 3
    assert all(not forbidden(moved(state, found.advice.moves), b.nodes) for b in after.batches)
    racks = {b.id: b.rack for b in state.brokers}
    for move in found.advice.moves:
        assert racks[move.source] != racks[move.target]


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_moves_without_rack_names(seed: int) -> None:
    state = grown(60, 3, 6_000, stray=0.001, seed=seed)
    bare = replace(state, brokers=tuple(replace(b, rack=None) for b in state.brokers))
    found = plan(bare, Limits(60, canary=False))
    assert found.advice is not None
    assert found.advice.batches == 3
    assert len(plan(moved(bare, found.advice.moves), Limits(60, canary=False)).batches) == 3


def test_moved_replicas_spread_over_racks_where_batches_do_not_ask_for_it() -> None:
    """Batches of ten are parts of racks, so a target in the same rack would do for them."""
    state = grown(60, 3, 6_000, stray=0.002, seed=2)
    found = plan(state, Limits(10, canary=False))
    assert found.advice is not None
    racks = {b.id: b.rack for b in state.brokers}
    after = {
        p.tp: p for t in moved(state, found.advice.moves).topics.values() for p in t.partitions
    }
    before = {p.tp: p for t in state.topics.values() for p in t.partitions}
    gained = [
        len({racks[r] for r in after[m.tp].replicas})
        - len({racks[r] for r in before[m.tp].replicas})
        for m in found.advice.moves
    ]
    assert gained
    assert min(gained) >= 1


def test_no_advice_where_a_handful_saves_nothing() -> None:
    assert plan(grown(60, 3, 6_000, stray=0.001), Limits(1)).advice is None
    assert plan(grown(30, 3, 3_000, stray=1.0), Limits(30)).advice is None


@pytest.mark.parametrize(
    ("limits", "code"), [(Limits(0), "KO-MAX-BATCH"), (Limits(whole_racks=True), "KO-NO-RACKS")]
)
def test_limits_that_make_no_sense(limits: Limits, code: str) -> None:
    with pytest.raises(UsageFault) as caught:
        plan(cluster({1: None, 2: None}, topic("t", [(1, 2)], minimum=1)), limits)
    assert caught.value.code == code


def test_a_min_isr_that_nobody_read_is_never_guessed() -> None:
    with pytest.raises(GuardRefused) as caught:
        plan(cluster(SIX, topic("t", ROWS, minimum=None)))
    assert (caught.value.code, caught.value.where) == ("KO-MIN-ISR-UNKNOWN", "t")


def test_a_cluster_without_topics_is_bounded_by_the_cap_alone() -> None:
    found = plan(cluster(SIX), Limits(4, canary=False))
    assert [len(b.nodes) for b in found.batches] in ([4, 2], [3, 3])
    assert found.proven
