"""A stop request: what is finished first, what it does not part, and what it does not wait for."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import Exit, StepFailed, TimedOut, Unreachable
from kafkaops.engine.parallel import in_turn
from kafkaops.engine.step import Plan
from kafkaops.engine.stepping import Interrupted
from tests.unit.engine.conftest import WAIT, Bench, plan_of, step


def test_a_stop_request_lets_the_step_finish(bench: Bench) -> None:
    runner = bench.runner(plan_of("a", "b"))
    bench.world.slow["a"] = 3.0
    bench.world.hook = lambda call: runner.request_stop() if call == "act a" else None
    with pytest.raises(Interrupted) as stopped:
        runner.run()
    assert stopped.value.exit == Exit.INTERRUPTED
    assert stopped.value.hint == "kafkaops run resume r1"
    assert "done" in bench.kinds
    assert bench.world.changes == ["act a"]


def test_a_stop_request_does_not_wait_for_a_step_that_takes_days(bench: Bench) -> None:
    runner = bench.runner(plan_of(step("a", deadline=1e6, poll=60.0)), stop_grace=10.0)
    bench.world.slow["a"] = 500_000.0
    bench.world.hook = lambda call: runner.request_stop() if call == "act a" else None
    begun = bench.clock.now
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.clock.now - begun == pytest.approx(10, abs=2)


def unbroken() -> Plan:
    """Two that go down side by side and come up again, and what follows."""
    pairs = [(f"{way}-{n}", way) for way in ("down", "up") for n in (1, 2)]
    return plan_of(*(step(id, batch=way, unbroken="pair") for id, way in pairs), "after")


@pytest.mark.parametrize("at", ["act down-1", "safe down-2", "act down-2", "act up-1"])
def test_a_stop_request_does_not_part_what_belongs_together(bench: Bench, at: str) -> None:
    runner = bench.runner(unbroken())
    bench.world.hook = lambda call: runner.request_stop() if call == at else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.held == {"down-1", "down-2", "up-1", "up-2"}
    assert bench.runner().run().outcome == "done"


@pytest.mark.parametrize("at", ["check down-1", "safe down-1"])
def test_a_stop_request_before_any_of_them_acted_stops_at_once(bench: Bench, at: str) -> None:
    runner = bench.runner(unbroken())
    bench.world.hook = lambda call: runner.request_stop() if call == at else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.changes == []


def test_a_process_that_goes_on_in_the_middle_of_them_is_not_stopped_there(bench: Bench) -> None:
    bench.world.breaks["act up-1"] = [RuntimeError("killed")]
    with pytest.raises(StepFailed):
        bench.runner(unbroken()).run()
    runner = bench.runner()
    bench.world.hook = lambda call: runner.request_stop() if call == "check down-1" else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.held >= {"up-1", "up-2"}
    assert "act after" not in bench.world.changes


def test_a_guard_that_is_shut_in_the_middle_of_them_is_not_waited_for(bench: Bench) -> None:
    runner = bench.runner(unbroken())
    bench.world.blocks["up-1"] = [WAIT] * 100
    bench.world.hook = lambda call: runner.request_stop() if call == "act down-2" else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.clock.slept == []


def test_a_stop_request_ends_the_wait_for_a_guard_at_once(bench: Bench) -> None:
    runner = bench.runner(plan_of("a"))
    bench.world.blocks["a"] = [WAIT] * 100
    bench.world.hook = lambda call: runner.request_stop() if call == "safe a" else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.changes == []


def test_what_is_not_to_be_parted_is_looked_at_for_longer_than_the_grace(bench: Bench) -> None:
    """One look that fails, or a start that takes its time, leaves nobody down."""
    runner = bench.runner(unbroken(), stop_grace=1.0)
    bench.world.slow["up-1"] = 30.0
    bench.world.breaks["check up-2"] = [Unreachable("KO-AWAY", "away")] * 5
    bench.world.hook = lambda call: runner.request_stop() if call == "act down-2" else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.held == {"down-1", "down-2", "up-1", "up-2"}
    assert "after" not in bench.world.held


@pytest.mark.parametrize("cut", ["act down-2", "act up-2"])
def test_a_target_that_is_lost_in_an_act_of_theirs_is_waited_for_and_acted_on_again(
    bench: Bench, cut: str
) -> None:
    gone = Unreachable("KO-AWAY", "the connection ended")
    bench.world.breaks[cut] = [gone, gone]
    bench.world.breaks[cut.replace("act", "check")] = [None, gone]
    bench.runner(unbroken()).run()
    assert bench.world.changes.count(cut) == 3
    assert bench.world.held >= {"down-1", "down-2", "up-1", "up-2", "after"}
    assert any(e.message == "the connection ended" for e in bench.events)
    assert bench.clock.slept


def test_but_not_for_ever(bench: Bench) -> None:
    bench.world.breaks["act up-2"] = [Unreachable("KO-AWAY", "the connection ended")] * 10_000
    with pytest.raises(TimedOut, match="the connection ended"):
        bench.runner(unbroken()).run()
    assert bench.clock.now < 1_000_000 + 400


def test_a_lane_that_began_nothing_is_left_as_it_is_by_a_stop_request(bench: Bench) -> None:
    steps = [step(f"{way}-{n}", batch="x", lane=n, unbroken=n) for way in ("d", "u") for n in "12"]
    runner = bench.runner(plan_of(*steps), parallel=in_turn)
    bench.world.hook = lambda call: runner.request_stop() if call == "act d-1" else None
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.held == {"d-1", "u-1"}


def test_a_process_that_goes_on_brings_back_what_the_second_lane_took_away(bench: Bench) -> None:
    steps = [step(f"{way}-{n}", batch="x", lane=n, unbroken=n) for way in ("d", "u") for n in "12"]
    bench.world.breaks["check d-1"] = [ValueError("odd")]
    bench.world.breaks["act u-2"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner(plan_of(*steps), parallel=lambda lanes: in_turn(lanes[::-1])).run()
    assert bench.world.held == {"d-2"}
    runner = bench.runner()
    runner.request_stop()
    with pytest.raises(Interrupted):
        runner.run()
    assert bench.world.held == {"d-2", "u-2"}
