"""The loop: order, guards, waiting, stopping, resuming."""

from __future__ import annotations

from tests.unit.engine.conftest import Bench, plan_of


def test_runs_each_step_once_and_says_done(bench: Bench) -> None:
    result = bench.runner(plan_of("a", "b")).run()
    assert result.outcome == "done"
    assert result.acted == ("a", "b")
    assert bench.world.changes == ["act a", "act b"]
    assert bench.kinds == ["plan", "begin", "intent", "done", "intent", "done", "end"]
