"""Raising the protocol as an operator drives it: begin, go on, go back.

Invariant: going back is refused, before anything is undone, once a broker was started with the new
protocol; until then it restores the files and starts what is down.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused, Unreachable
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.upgrade.protocol import raising, survey
from kafkaops.upgrade.protocol.planner import OPERATION
from kafkaops.upgrade.protocol.registry import REGISTRY
from kafkaops.upgrade.rolling.choosing import Options

__all__ = ["OPERATION", "begin", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused when nodes, files or software changed."""
    options = Options.of(plan.snapshot["options"])
    again = f"kafkaops upgrade protocol --to {options.to} --plan"
    return conduct.begin(plan, REGISTRY, survey.snapshot(conduct.world, options), again)


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    return conduct.resume(REGISTRY)


def rollback(conduct: Conduct) -> RunResult:
    """Restore the files and start what is down, and end the run. GuardRefused where a broker was
    started with the new protocol, or cannot be asked whether it was."""
    plan = conduct.run.look().plan
    try:
        host = raising.crossed(conduct.world, plan)
    except Unreachable as error:
        raise GuardRefused(
            "KO-HOST-AWAY",
            f"{error.message}: whether its broker was started with the new protocol cannot be told",
            where=error.where,
            hint=f"bring it back, then kafkaops run rollback {conduct.run.id}; without it, if its"
            f" broker stays down: kafkaops run rollback {conduct.run.id} --without {error.where}",
        ) from error
    if host:
        boundary = next(s.irreversible for s in plan.specs if s.irreversible)
        raise GuardRefused(
            "KO-IRREVERSIBLE",
            f"cannot be taken back: {host} was started with it; {boundary}",
            where=host,
            hint=f"kafkaops run resume {conduct.run.id} brings the others there",
        )
    return conduct.undo(REGISTRY)


def finalize(conduct: Conduct) -> RunResult:
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        f"run {conduct.run.id} raises the protocol: it is done when it is done",
        hint=f"kafkaops run show {conduct.run.id}",
    )
