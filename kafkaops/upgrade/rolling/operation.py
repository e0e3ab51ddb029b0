"""A rolling restart as an operator drives it: begin, go on, go back.

Invariant: going back starts again what is down for us, and claims no more: a restart that was
done cannot be undone.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.planner import OPERATION
from kafkaops.upgrade.rolling.registry import REGISTRY

__all__ = ["OPERATION", "begin", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused when the cluster's nodes changed."""
    now = survey.snapshot(conduct.world, Options.of(plan.snapshot["options"]))
    return conduct.begin(plan, REGISTRY, now, "kafkaops restart --plan")


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    return conduct.resume(REGISTRY)


def rollback(conduct: Conduct) -> RunResult:
    """Start again what is down, and end the run."""
    return conduct.undo(REGISTRY)


def finalize(conduct: Conduct) -> RunResult:
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        f"run {conduct.run.id} is a restart: it is done when it is done",
        hint=f"kafkaops run show {conduct.run.id}",
    )
