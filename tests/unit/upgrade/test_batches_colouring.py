"""Every colouring is safe, none is larger than it must be, and the bound is a bound."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.batches import Batches, Limits, Role, plan
from kafkaops.upgrade.batches_colouring import Effort
from tests.unit.upgrade.placements import cluster, forbidden, grown, topic


@some.composite
def clusters(draw: some.DrawFn, most: int = 7) -> ClusterState:
    size = draw(some.integers(2, most))
    racks: dict[int, str | None] = {
        n: draw(some.sampled_from(["a", "b", "c", None])) for n in range(1, size + 1)
    }
    topics = []
    for number in range(draw(some.integers(1, 4))):
        rf = draw(some.integers(1, min(5, size)))
        rows = draw(
            some.lists(
                some.permutations(range(1, size + 1)).map(lambda order, rf=rf: order[:rf]),
                min_size=1,
                max_size=6,
            )
        )
        isr = {
            i: row[: draw(some.integers(1, rf))]
            for i, row in enumerate(rows)
            if draw(some.booleans())
        }
        topics.append(topic(f"t{number}", rows, minimum=draw(some.integers(1, 4)), isr=isr))
    return cluster(racks, *topics)


def fewest(state: ClusterState, cap: int) -> int:
    """By trying all partitions of the brokers into safe sets."""
    nodes = [b.id for b in state.brokers]
    safe = [
        frozenset(c)
        for size in range(1, min(cap, len(nodes)) + 1)
        for c in combinations(nodes, size)
        if not forbidden(state, c)
    ]

    @cache
    def least(left: frozenset[int]) -> int:
        if not left:
            return 0
        first = min(left)
        return 1 + min(least(left - s) for s in safe if first in s and s <= left)

    return least(frozenset(nodes))


def checked(state: ClusterState, limits: Limits, effort: Effort | None = None) -> Batches:
    """The plan, after looking at every batch of it."""
    found = plan(state, limits, effort)
    nodes = [n for b in found.batches for n in b.nodes]
    assert sorted(nodes) == [b.id for b in state.brokers]
    for batch in found.batches:
        assert len(batch.nodes) <= found.cap
        assert forbidden(state, batch.nodes) == [], batch
    assert found.bound <= len(found.batches)
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), some.integers(1, 7))
def test_small_clusters_get_the_fewest_batches_there_are(state: ClusterState, cap: int) -> None:
    found = checked(state, Limits(cap, canary=False))
    assert len(found.batches) == fewest(state, cap)
    assert found.proven
    assert plan(state, Limits(cap, canary=False)) == found  # the same again


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(most=14), some.integers(1, 6))
def test_a_larger_cap_never_needs_more_batches(state: ClusterState, cap: int) -> None:
    tight = checked(state, Limits(cap, canary=False))
    wide = checked(state, Limits(cap + 1, canary=False))
    assert len(wide.batches) <= len(tight.batches)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(most=12), some.integers(1, 6))
def test_without_the_exact_solver_all_is_safe_still(state: ClusterState, cap: int) -> None:
    quick = checked(state, Limits(cap, canary=False), Effort(steps=200, proof=0))
    assert len(quick.batches) >= checked(state, Limits(cap, canary=False)).bound


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_the_canary_is_one_batch_of_one_broker(state: ClusterState) -> None:
    found = checked(state, Limits(3))
    assert found.batches[0].role is Role.CANARY
    assert len(found.batches[0].nodes) == 1
    assert [b.role for b in found.batches].count(Role.CANARY) == 1


@pytest.mark.parametrize(
    ("stray", "cap", "most"),
    [
        (0.0, 60, 3),
        (0.001, 60, 7),
        (0.01, 60, 11),
        (0.05, 60, 23),
        (1.0, 60, 60),
        (0.0, 3, 21),
        (0.0, 5, 12),
        (0.0, 10, 6),
    ],
)
def test_sixty_brokers_in_three_racks(stray: float, cap: int, most: int) -> None:
    state = grown(60, 3, 10_000, stray=stray)
    found = checked(state, Limits(cap, canary=False))
    assert len(found.batches) <= most
    assert found.proven


def test_five_racks_cannot_do_with_three_batches() -> None:
    found = checked(grown(30, 5, 5_000), Limits(30, canary=False))
    assert (len(found.batches), found.bound) == (5, 5)


def test_min_isr_one_lets_two_racks_go_together() -> None:
    found = checked(grown(12, 3, 500, minimum=1), Limits(12, canary=False))
    assert (len(found.batches), found.bound) == (2, 2)


def test_hundreds_of_brokers_are_safe_and_the_same_each_time() -> None:
    state = grown(200, 4, 8_000, stray=0.05)
    effort = Effort(steps=500, proof=0.2)
    found = checked(state, Limits(8), effort)
    assert plan(state, Limits(8), effort) == found


def test_only_the_solver_proves_what_no_clique_shows() -> None:
    """The Groetzsch graph: no three brokers exclude each other pairwise, and it takes four
    batches."""
    outer = [(i, i % 5 + 1) for i in range(1, 6)]
    middle = [(i + 5, n) for i in range(1, 6) for n in (i % 5 + 1, (i + 3) % 5 + 1)]
    hub = [(11, i + 5) for i in range(1, 6)]
    rows = [*outer, *middle, *hub]
    state = cluster({n: None for n in range(1, 12)}, topic("t", rows, minimum=1))
    found = checked(state, Limits(11, canary=False))
    assert (len(found.batches), found.bound) == (4, 4)
    assert [b.why for b in found.bounds] == ["search"]
    quick = checked(state, Limits(11, canary=False), Effort(steps=1000, proof=0))
    assert (len(quick.batches), quick.proven) == (4, False)


def test_groups_alone_are_solved_exactly() -> None:
    """RF 3, min ISR 1: any two of three may go. The seven lines of the Fano plane leave no way
    with two batches."""
    lines = [(1, 2, 3), (1, 4, 5), (1, 6, 7), (2, 4, 6), (2, 5, 7), (3, 4, 7), (3, 5, 6)]
    state = cluster({n: None for n in range(1, 8)}, topic("t", lines, minimum=1))
    found = checked(state, Limits(7, canary=False))
    assert (len(found.batches), found.bound) == (3, 3)
    assert [b.why for b in found.bounds] == ["search"]
