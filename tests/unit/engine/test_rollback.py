"""Rolling a whole run back."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import Exit, GuardRefused, RolledBack, StepFailed, TimedOut
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Blocked, Critical
from kafkaops.engine.stepping import Interrupted
from tests.unit.engine.conftest import Bench, Put, Shelf, plan_of, step


class Guarded(Put):
    def safe_undo(self, world: Shelf) -> Blocked | None:
        world.call("safe-undo", self.spec.id)
        queue = world.blocks.get(f"undo {self.spec.id}")
        return queue.pop(0) if queue else None


def guarded(bench: Bench) -> Runner[Shelf]:
    journal = bench.journal()
    kinds = {"put": Guarded}
    return Runner(journal.plan, kinds, bench.world, journal, bench.lease, bench.clock)


def test_undoes_what_it_began_last_first_and_nothing_else(bench: Bench) -> None:
    bench.world.held.add("b")
    bench.runner(plan_of("a", "b", "c")).run()
    result = bench.runner().rollback()
    assert result.outcome == "rolled-back"
    assert result.undone == ("c", "a")
    assert bench.world.held == {"b"}
    assert bench.kinds[-1] == "rolled-back"


def test_a_step_killed_between_intent_and_act_is_undone_too(bench: Bench) -> None:
    bench.world.breaks["act b"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner(plan_of("a", "b", "c")).run()
    assert bench.runner().rollback().undone == ("b", "a")


def test_goes_on_where_it_was_interrupted(bench: Bench) -> None:
    bench.runner(plan_of("a", "b", "c")).run()
    bench.world.breaks["undo b"] = [ValueError("odd")]
    with pytest.raises(StepFailed, match="odd"):
        bench.runner().rollback()
    assert bench.runner().rollback().undone == ("b", "a")
    assert bench.world.changes.count("undo c") == 1


def test_a_run_being_rolled_back_cannot_go_forward(bench: Bench) -> None:
    bench.runner(plan_of("a", "b")).run()
    bench.world.breaks["undo b"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner().rollback()
    with pytest.raises(GuardRefused, match="being rolled back"):
        bench.runner().run()
    bench.runner().rollback()
    with pytest.raises(GuardRefused, match="was rolled back"):
        bench.runner().run()
    assert bench.runner().rollback().undone == ()


def test_an_irreversible_step_is_a_boundary_before_anything_is_undone(bench: Bench) -> None:
    bench.runner(plan_of("a", step("b", irreversible="data are gone"), "c")).run()
    with pytest.raises(GuardRefused, match="data are gone") as refused:
        bench.runner().rollback()
    assert refused.value.exit == Exit.GUARD
    assert bench.world.held == {"a", "b", "c"}


def test_an_irreversible_step_that_never_came_about_is_none(bench: Bench) -> None:
    bench.world.breaks["act b"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner(plan_of("a", step("b", irreversible="data are gone"))).run()
    bench.runner().rollback()
    assert bench.world.held == set()


def test_each_step_has_its_own_guard_on_the_way_back(bench: Bench) -> None:
    bench.runner(plan_of("a", "b")).run()
    bench.world.blocks["undo b"] = [Blocked("KO-BUSY", "busy"), None]
    guarded(bench).rollback()
    assert bench.world.calls.count("safe-undo b") == 2


def test_a_guard_that_refuses_the_way_back(bench: Bench) -> None:
    bench.runner(plan_of("a", step("b", deadline=5.0))).run()
    bench.world.blocks["undo b"] = [Blocked("KO-NO", "never", transient=False)]
    with pytest.raises(StepFailed, match="never"):
        guarded(bench).rollback()
    bench.world.blocks["undo b"] = [Blocked("KO-BUSY", "busy")] * 100
    with pytest.raises(TimedOut, match="busy"):
        guarded(bench).rollback()
    assert bench.world.held == {"a", "b"}


def test_a_stop_request_stops_between_two_steps(bench: Bench) -> None:
    bench.runner(plan_of("a", "b")).run()
    runner = bench.runner()
    bench.world.hook = lambda call: runner.request_stop() if call == "undo b" else None
    with pytest.raises(Interrupted):
        runner.rollback()
    assert bench.world.held == {"a"}
    assert bench.runner().rollback().undone == ("a",)


def test_an_open_section_is_closed_first(bench: Bench) -> None:
    plan = plan_of(
        "a",
        step("b", critical="cut"),
        step("c", critical="cut"),
        criticals=(Critical("cut", 10, "c"),),
    )
    bench.runner(plan)
    journal = bench.journal()
    for kind, data in [
        ("intent", {"step": "a"}),
        ("done", {"step": "a"}),
        ("section", {"name": "cut", "attempt": 1}),
        ("intent", {"step": "b"}),
    ]:
        journal.append(kind, data)
    bench.world.held |= {"a", "b"}
    assert bench.runner().rollback().undone == ("b", "a")
    assert "returned" in bench.kinds


def test_a_decision_that_refuses_to_be_taken_back_bars_the_rollback(bench: Bench) -> None:
    plan = plan_of("a", step("b", critical="cut"), criticals=(Critical("cut", 10, "b"),))
    bench.runner(plan)
    journal = bench.journal()
    for id in ("a", "b"):
        journal.append("intent", {"step": id})
    bench.world.held |= {"a", "b"}
    bench.world.breaks["undo b"] = [GuardRefused("KO-WRITTEN", "records were written")]
    with pytest.raises(StepFailed, match="decided"):
        bench.runner().rollback()
    assert bench.world.held == {"a", "b"}


def test_after_a_return_the_rest_can_be_rolled_back(bench: Bench) -> None:
    plan = plan_of(
        "a",
        step("b", critical="cut"),
        step("c", critical="cut"),
        criticals=(Critical("cut", 10, "c"),),
    )
    bench.world.breaks["act c"] = [ValueError("odd")]
    with pytest.raises(RolledBack):
        bench.runner(plan).run()
    assert bench.runner().rollback().undone == ("a",)
    assert bench.world.held == set()
