"""A rolling upgrade as an operator drives it: begin, go on, go back.

Going back is a roll of its own, to what each node ran before, under the same gates; it needs no
other start than the one that is known to work. Finalising is not part of it: see `features`.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.history import History
from kafkaops.engine.plan_json import drift
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.upgrade.conduct import Conduct
from kafkaops.upgrade.rolling import survey, upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.registry import REGISTRY
from kafkaops.upgrade.rolling.upgrading import BACK, UPGRADE

__all__ = ["BACK", "UPGRADE", "begin", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused (KO-PLAN-DRIFT) when the cluster's nodes or features
    changed."""
    options = Options.of(plan.snapshot["options"])
    changed = drift(plan.snapshot, survey.snapshot(conduct.world, options))
    if changed:
        raise GuardRefused(
            "KO-PLAN-DRIFT",
            "the cluster changed since the plan was made:\n"
            + "\n".join(f"  {line}" for line in changed),
            hint=f"plan again: kafkaops upgrade --strategy rolling --to {options.to} --plan",
        )
    return conduct.runner(conduct.run.begin(plan), REGISTRY).run()


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    journal = conduct.run.current()
    runner = conduct.runner(journal, REGISTRY)
    return runner.rollback() if History(journal).rolling_back else runner.run()


def rollback(conduct: Conduct) -> RunResult:
    """Back to what each node ran before, by a roll; where no node was stopped yet there is
    nothing to bring back."""
    journal = conduct.run.current()
    if journal.plan.operation == BACK:
        return resume(conduct)
    plan = upgrading.way_back(conduct.world, journal.plan)
    if not plan.specs:
        return conduct.runner(journal, REGISTRY).rollback()
    return conduct.runner(conduct.run.begin(plan), REGISTRY).run()


def finalize(conduct: Conduct) -> RunResult:
    to = Options.of(conduct.run.look().plan.snapshot["options"]).to
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        "a rolling upgrade is finalised by raising the cluster's features, a step of its own",
        hint=f"kafkaops features plan --to {to}",
    )
