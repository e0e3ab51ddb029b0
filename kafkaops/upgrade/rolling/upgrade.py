"""A rolling upgrade as an operator drives it: begin, go on, go back.

Going back is a roll of its own, to what each node ran before, under the same gates; it needs no
other start than the one that is known to work. Finalising is not part of it: see `features`.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.upgrade.fleet.leaving import release_others
from kafkaops.upgrade.install.release import Release
from kafkaops.upgrade.rolling import survey, upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.registry import REGISTRY
from kafkaops.upgrade.rolling.upgrading import BACK, UPGRADE

__all__ = ["BACK", "UPGRADE", "begin", "finalize", "resume", "rollback"]


def begin(conduct: Conduct, plan: Plan) -> RunResult:
    """A new run of this plan. GuardRefused when the cluster's nodes or features changed."""
    options = Options.of(plan.snapshot["options"])
    again = f"kafkaops upgrade --strategy rolling --to {options.to} --plan"
    return conduct.begin(plan, REGISTRY, survey.snapshot(conduct.world, options), again)


def resume(conduct: Conduct) -> RunResult:
    """Go on with it, on its way back too."""
    release_others(conduct.world, conduct.run.look().plan)
    return conduct.resume(REGISTRY)


def rollback(conduct: Conduct) -> RunResult:
    """Back to what each node ran before, by a roll; where no node was stopped yet there is
    nothing to bring back."""
    journal = conduct.run.current()
    if journal.plan.operation == BACK:
        return resume(conduct)
    plan = upgrading.way_back(conduct.world, journal.plan)
    if not plan.specs:
        return conduct.undo(REGISTRY)
    release_others(conduct.world, plan)
    return conduct.carry(plan, REGISTRY)


def finalize(conduct: Conduct) -> RunResult:
    snapshot = conduct.run.look().plan.snapshot
    to = Options.of(snapshot["options"]).to
    if not snapshot["voters"]:
        raise GuardRefused(
            "KO-NOTHING-TO-FINALIZE",
            "in ZooKeeper mode a rolling upgrade is finalised by raising the protocol, a second"
            " roll",
            hint=f"kafkaops upgrade protocol --to {Release.of(str(to)).line} --plan",
        )
    raise GuardRefused(
        "KO-NOTHING-TO-FINALIZE",
        "a rolling upgrade is finalised by raising the cluster's features, a step of its own",
        hint=f"kafkaops features plan --to {to}",
    )
