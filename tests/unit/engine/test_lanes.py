"""Batches and their lanes: who waits for whom, and what the failure of one is for the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.engine.parallel import Lane, in_turn
from tests.unit.engine.conftest import WAIT, Bench, plan_of, step


def test_the_steps_of_a_batch_run_at_the_same_time(bench: Bench) -> None:
    both = threading.Barrier(2, timeout=10)
    bench.world.hook = lambda call: both.wait() and None if call.startswith("act") else None
    bench.runner(plan_of(step("a", batch="x"), step("b", batch="x"))).run()
    assert bench.world.held == {"a", "b"}


def test_a_batch_ends_whole_before_its_failure_counts(bench: Bench) -> None:
    bench.world.breaks["act a"] = [ValueError("odd")]
    specs = (step("a", batch="x"), step("b", batch="x"), step("c"))
    with pytest.raises(StepFailed, match="odd"):
        bench.runner(plan_of(*specs)).run()
    assert bench.world.held == {"b"}
    bench.runner().run()
    assert bench.world.held == {"a", "b", "c"}


def test_a_lane_does_not_wait_for_the_others(bench: Bench) -> None:
    """Here the first lane cannot end before the second step of the other began."""
    second = threading.Event()

    def hook(call: str) -> None:
        if call == "act a2":
            second.set()
        if call == "act b1":
            assert second.wait(timeout=10)

    bench.world.hook = hook
    lanes = (("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"))
    bench.runner(plan_of(*(step(id, batch="x", lane=lane) for id, lane in lanes), "c")).run()
    assert bench.world.held == {"a1", "a2", "b1", "b2", "c"}


def test_when_a_lane_fails_the_others_end_what_they_began_and_begin_nothing(bench: Bench) -> None:
    """The second lane has taken something away and brings it back; the third begins nothing."""
    bench.world.breaks["act a2"] = [ValueError("odd")]
    bench.world.slow["b1"] = 1.0
    bonds = {"b1": "b", "b2": "b"}
    ids = ("a1", "b1", "a2", "b2", "c2", "b3")
    lanes = [step(id, batch="x", lane=id[0], unbroken=bonds.get(id, "")) for id in ids]
    with pytest.raises(StepFailed, match="odd"):
        bench.runner(plan_of(*lanes, "d"), parallel=in_turn).run()
    assert bench.world.held == {"a1", "b1", "b2", "c2"}
    bench.runner().run()
    assert bench.world.held == {*ids, "d"}


def test_a_lane_that_waits_for_its_guard_does_not_begin_once_another_has_failed(
    bench: Bench,
) -> None:
    def within_the_guard(lanes: Sequence[Lane]) -> Sequence[BaseException | None]:
        found: list[BaseException | None] = []

        def hook(call: str) -> None:
            if call == "safe b" and not found:
                found.extend(in_turn([lanes[0]]))

        bench.world.hook = hook
        other = in_turn([lanes[1]])
        return [*found, *other]

    bench.world.breaks["act a"] = [ValueError("odd")]
    bench.world.blocks["b"] = [WAIT] * 100
    lanes = [step(id, batch="x", lane=id) for id in ("a", "b")]
    with pytest.raises(StepFailed, match="odd"):
        bench.runner(plan_of(*lanes), parallel=within_the_guard).run()
    assert (bench.world.held, bench.clock.slept) == (set(), [])
    bench.world.blocks.clear()
    bench.runner().run()
    assert bench.world.held == {"a", "b"}


@pytest.mark.parametrize(("until", "acted"), [("one", 2), ("two", 4), ("three", 5)])
def test_a_hold_comes_in_the_middle_of_lanes_too(bench: Bench, until: str, acted: int) -> None:
    phases = (("a1", "one"), ("b1", "one"), ("a2", "two"), ("b2", "two"), ("a3", "three"))
    specs = [step(id, phase=phase, batch="x", lane=id[0]) for id, phase in phases]
    result = bench.runner(plan_of(*specs), until=until).run()
    assert result.outcome == ("done" if until == "three" else "held")
    assert len(result.acted) == acted
    assert bench.runner().run().outcome == "done"
    assert len(bench.world.held) == 5


@pytest.mark.parametrize("lanes", [("a", "b"), ("", "")], ids=["lanes", "side by side"])
def test_a_host_that_hangs_ends_nothing_for_those_that_are_well(
    bench: Bench, lanes: tuple[str, str]
) -> None:
    bench.world.breaks["act a"] = [Unreachable("KO-GONE", "b3 does not answer")]
    steps = [step(name, batch="x", lane=lane) for name, lane in zip("ab", lanes, strict=True)]
    bench.runner(plan_of(*steps)).run()
    assert bench.world.changes.count("act a") == 2
    assert bench.world.held == {"a", "b"}
    assert any(e.message == "b3 does not answer" for e in bench.events)


def test_a_lane_without_a_batch_is_no_plan(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="step 'a' has a lane and no batch"):
        bench.runner(plan_of(step("a", lane="x")))
