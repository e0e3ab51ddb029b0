"""A change of feature levels as an operator drives it: begin, go on, go back.

Invariant: going back is refused at a level that cannot be lowered, before anything is undone.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.features import survey
from kafkaops.features.asking import Asked
from kafkaops.features.planner import OPERATION
from kafkaops.features.registry import REGISTRY
from kafkaops.ports.conduct import Conduct

__all__ = ["OPERATION", "begin", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused when levels or nodes changed."""
    asked = Asked.of(plan.snapshot["options"])
    now = survey.snapshot(conduct.world, asked)
    return conduct.begin(plan, REGISTRY, now, f"kafkaops features {asked.verb} --plan")


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    return conduct.resume(REGISTRY)


def rollback(conduct: Conduct) -> RunResult:
    """Move every level back to where it was, as far as it can be, and end the run."""
    return conduct.undo(REGISTRY)


def finalize(conduct: Conduct) -> RunResult:
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        f"run {conduct.run.id} changes feature levels: it is done when it is done",
        hint=f"kafkaops run show {conduct.run.id}",
    )
