"""A rolling restart as an operator drives it: begin, go on, go back.

Invariant: going back starts again what is down for us, and claims no more: a restart that was
done cannot be undone.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.history import History
from kafkaops.engine.plan_json import drift
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.upgrade.conduct import Conduct
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.planner import OPERATION
from kafkaops.upgrade.rolling.registry import REGISTRY

__all__ = ["OPERATION", "begin", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused (KO-PLAN-DRIFT) when the cluster's nodes changed."""
    now = survey.snapshot(conduct.world, Options.of(plan.snapshot["options"]))
    changed = drift(plan.snapshot, now)
    if changed:
        raise GuardRefused(
            "KO-PLAN-DRIFT",
            "the cluster changed since the plan was made:\n"
            + "\n".join(f"  {line}" for line in changed),
            hint="plan again: kafkaops restart --plan",
        )
    return conduct.runner(conduct.run.begin(plan), REGISTRY).run()


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    journal = conduct.run.current()
    runner = conduct.runner(journal, REGISTRY)
    return runner.rollback() if History(journal).rolling_back else runner.run()


def rollback(conduct: Conduct) -> RunResult:
    """Start again what is down, and end the run."""
    return conduct.runner(conduct.run.current(), REGISTRY).rollback()


def finalize(conduct: Conduct) -> RunResult:
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        f"run {conduct.run.id} is a restart: it is done when it is done",
        hint=f"kafkaops run show {conduct.run.id}",
    )
