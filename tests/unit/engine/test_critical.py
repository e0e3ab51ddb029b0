"""Critical sections: the budget, going back at once, and the point past which nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import (
    Exit,
    GuardRefused,
    LeaseHeld,
    OpsError,
    RolledBack,
    StepFailed,
    Unreachable,
)
from kafkaops.engine.files import OsFiles
from kafkaops.engine.journal import Journal
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Blocked, Critical, Plan
from kafkaops.engine.stepping import Interrupted
from tests.unit.engine.conftest import Bench, Filling, Put, plan_of, step


def cut(budget: float = 20.0) -> Plan:
    inside = {"critical": "cut", "poll": 0.02}
    return plan_of(
        "before",
        step("fence", **inside),
        step("prove", **inside),
        step("left", batch="x", **inside),
        step("right", batch="x", **inside),
        step("open", **inside),
        step("late", **inside),
        "after",
        criticals=(Critical("cut", budget, "open"),),
    )


INSIDE = ["fence", "prove", "left", "right", "open"]


def test_it_goes_through(bench: Bench) -> None:
    assert bench.runner(cut()).run().outcome == "done"
    assert bench.told.count("section") == 1
    assert bench.told.count("decided") == 1
    assert "undo" not in " ".join(bench.world.changes)


@pytest.mark.parametrize("failing", INSIDE)
def test_any_failure_undoes_what_was_begun_last_first(bench: Bench, failing: str) -> None:
    bench.world.breaks[f"act {failing}"] = [ValueError("odd")]
    with pytest.raises(RolledBack) as back:
        bench.runner(cut()).run()
    assert back.value.exit == Exit.ROLLED_BACK
    assert "odd" in back.value.message
    assert back.value.where == failing
    assert bench.world.held == {"before"}
    undone = [c.split()[1] for c in bench.world.changes if c.startswith("undo")]
    begun = INSIDE[: INSIDE.index(failing) + 1]
    if failing == "left":
        begun = [*begun, "right"]
    assert undone == begun[::-1]
    assert bench.kinds[-1] == "returned"


def test_a_further_run_tries_it_once_more(bench: Bench) -> None:
    bench.world.breaks["act prove"] = [ValueError("odd"), ValueError("odd")]
    for attempt in (1, 2):
        with pytest.raises(RolledBack):
            (bench.runner(cut()) if attempt == 1 else bench.runner()).run()
    assert bench.runner().run().outcome == "done"
    attempts = [r.data["attempt"] for r in bench.journal().records if r.kind == "section"]
    assert attempts == [1, 2, 3]


def test_the_budget_begins_with_the_first_act(bench: Bench) -> None:
    def slow_look(call: str) -> None:
        if call == "check fence" and not bench.world.changes[1:]:
            bench.clock.now += 30

    bench.world.hook = slow_look
    assert bench.runner(cut(budget=5.0)).run().outcome == "done"


@pytest.mark.parametrize("where", ["act prove", "check left"])
def test_past_the_budget_it_goes_back(bench: Bench, where: str) -> None:
    def slow(call: str) -> None:
        if call == where:
            bench.clock.now += 6

    bench.world.hook = slow
    with pytest.raises(RolledBack, match="longer than its 5 s"):
        bench.runner(cut(budget=5.0)).run()
    assert bench.world.held == {"before"}


def test_a_wait_past_the_budget_goes_back_in_time(bench: Bench) -> None:
    bench.world.slow["prove"] = 60.0
    begun = bench.clock.now
    with pytest.raises(RolledBack):
        bench.runner(cut(budget=5.0)).run()
    assert bench.clock.now - begun < 6
    assert max(bench.clock.slept) <= 0.5


def test_a_block_inside_is_not_waited_for(bench: Bench) -> None:
    bench.world.blocks["prove"] = [Blocked("KO-BUSY", "busy")]
    with pytest.raises(RolledBack, match="busy"):
        bench.runner(cut()).run()
    assert bench.world.calls.count("safe prove") == 1


def test_an_unreachable_target_inside_is_not_waited_for(bench: Bench) -> None:
    bench.world.breaks["check prove"] = [Unreachable("KO-GONE", "gone")]
    with pytest.raises(RolledBack, match="gone"):
        bench.runner(cut()).run()


def test_a_block_before_the_first_act_is_no_return(bench: Bench) -> None:
    bench.world.blocks["fence"] = [Blocked("KO-BUSY", "busy", transient=False)]
    with pytest.raises(StepFailed, match="busy"):
        bench.runner(cut()).run()
    assert "undo fence" not in bench.world.changes


def test_a_stop_request_inside_goes_back(bench: Bench) -> None:
    runner = bench.runner(cut())
    bench.world.hook = lambda call: runner.request_stop() if call == "act prove" else None
    with pytest.raises(RolledBack, match="stopped as asked"):
        runner.run()
    assert bench.world.held == {"before"}


def test_a_stop_request_inside_does_not_let_the_step_finish(bench: Bench) -> None:
    runner = bench.runner(cut())
    bench.world.slow["prove"] = 3.0
    bench.world.hook = lambda call: runner.request_stop() if call == "act prove" else None
    begun = bench.clock.now
    with pytest.raises(RolledBack):
        runner.run()
    assert bench.clock.now - begun < 0.5


def test_a_crash_inside_goes_back_though_the_decision_looks_made(bench: Bench) -> None:
    """The deciding step was never begun, so it is not this run's doing that it looks done."""
    bench.runner(cut())
    journal = bench.journal()
    journal.append("section", {"name": "cut", "attempt": 1})
    journal.append("intent", {"step": "fence", "attempt": 1})
    bench.world.held |= {"before", "fence", "open"}
    with pytest.raises(RolledBack, match="ended in the middle"):
        bench.runner().run()
    assert bench.world.held == {"before", "open"}


def test_a_crash_right_after_the_deciding_act_goes_forward(bench: Bench) -> None:
    bench.runner(cut())
    journal = bench.journal()
    for id in ("before", *INSIDE):
        journal.append("intent", {"step": id})
        if id != "open":
            journal.append("done", {"step": id})
    bench.world.held |= {"before", *INSIDE}
    assert bench.runner().run().acted == ("late", "after")


def test_an_interrupt_inside_goes_back(bench: Bench) -> None:
    bench.world.breaks["act prove"] = [KeyboardInterrupt()]
    with pytest.raises(RolledBack, match="KeyboardInterrupt"):
        bench.runner(cut()).run()
    assert bench.world.held == {"before"}


def test_a_lease_lost_inside_goes_back(bench: Bench) -> None:
    def lose(call: str) -> None:
        if call == "act prove":
            bench.lease.lost_after = 0

    bench.world.hook = lose
    with pytest.raises(RolledBack, match="taken over") as back:
        bench.runner(cut()).run()
    assert isinstance(back.value.__cause__, LeaseHeld)
    assert bench.world.held == {"before"}


def test_past_the_decision_a_failure_stays_where_it_is(bench: Bench) -> None:
    bench.world.breaks["act late"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner(cut()).run()
    assert {"fence", "open"} <= bench.world.held
    assert bench.runner().run().acted == ("late", "after")


def test_past_the_decision_a_stop_request_is_an_ordinary_one(bench: Bench) -> None:
    runner = bench.runner(cut())
    bench.world.hook = lambda call: runner.request_stop() if call == "act late" else None
    with pytest.raises(Interrupted):
        runner.run()
    assert "late" in bench.world.held


def test_past_the_decision_earlier_goals_are_history(bench: Bench) -> None:
    """What lies before the decision need not hold any more, and is not brought about again."""
    bench.world.breaks["act after"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner(cut()).run()
    bench.world.held -= {"before", "fence", "left"}
    assert bench.runner().run().acted == ("after",)


def test_an_error_after_the_deciding_effect_goes_forward(bench: Bench) -> None:
    def opened_but(call: str) -> None:
        if call == "act open":
            bench.world.held.add("open")
            raise TimeoutError("no answer")

    bench.world.hook = opened_but
    assert bench.runner(cut()).run().outcome == "done"
    assert "undo" not in " ".join(bench.world.changes)


def test_where_the_decision_cannot_be_taken_back_nothing_before_it_is(bench: Bench) -> None:
    bench.world.breaks["act open"] = [ValueError("odd")]
    bench.world.breaks["undo open"] = [GuardRefused("KO-WRITTEN", "records were written")]
    with pytest.raises(StepFailed, match="records were written") as failed:
        bench.runner(cut()).run()
    assert failed.value.code == "KO-RETURN-INCOMPLETE"
    assert bench.world.held >= {"fence", "prove", "left", "right"}
    bench.world.held.add("open")  # it was in force after all
    assert bench.runner().run().outcome == "done"


def test_where_the_decision_refuses_to_be_taken_back_and_holds_it_goes_forward(
    bench: Bench,
) -> None:
    """As when clients have written through the half of the listeners that were open."""
    bench.world.breaks["act open"] = [ValueError("odd")]
    bench.world.breaks["undo open"] = [GuardRefused("KO-WRITTEN", "records were written")]
    bench.world.hook = lambda call: bench.world.held.add("open") if call == "undo open" else None
    assert bench.runner(cut()).run().outcome == "done"
    assert [c for c in bench.world.changes if c.startswith("undo")] == ["undo open"]


def test_an_undo_that_fails_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.world.breaks["act open"] = [ValueError("odd")]
    gone = Unreachable("KO-GONE", "the worker is gone")
    bench.world.breaks["undo right"] = [gone, gone, gone]
    with pytest.raises(StepFailed, match="right: the worker is gone"):
        bench.runner(cut()).run()
    assert bench.world.held == {"before", "right"}
    with pytest.raises(RolledBack):
        bench.runner().run()
    assert bench.world.held == {"before"}


def test_an_undo_is_tried_again_at_once(bench: Bench) -> None:
    bench.world.breaks["act open"] = [ValueError("odd")]
    bench.world.breaks["undo right"] = [Unreachable("KO-GONE", "gone"), None]
    with pytest.raises(RolledBack):
        bench.runner(cut()).run()
    assert bench.world.held == {"before"}


@pytest.mark.parametrize("room", range(1, 20))
def test_a_full_disk_goes_back_all_the_same(tmp_path: Path, room: int) -> None:
    bench = Bench(tmp_path / "run.jsonl", OsFiles())
    plan = cut()
    journal = Journal.create(bench.path, plan, bench.clock, Filling(room))
    runner = Runner(plan, {"put": Put}, bench.world, journal, bench.lease, bench.clock)
    with pytest.raises(OpsError) as failed:
        runner.run()
    assert "no space left" in failed.value.message
    decided = "open" in bench.world.held
    assert decided or not bench.world.held & set(INSIDE), bench.world.held
    assert failed.value.exit in (Exit.STEP_FAILED, Exit.ROLLED_BACK)
    bench.clock = FakeClock()
    for _ in range(3):  # with room again: first back, where that was not written down
        try:
            assert bench.runner().run().outcome == "done"
            break
        except RolledBack:
            continue
    assert {*INSIDE, "before", "late", "after"} == bench.world.held
