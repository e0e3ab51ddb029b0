"""A rolling upgrade as an operator drives it.

Going back is a roll of its own, to what each node ran before, under the same gates; it needs no
other start than the one that is known to work. Finalising is not part of it: see `features`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet.leaving import release_others
from kafkaops.upgrade.install.release import Release
from kafkaops.upgrade.rolling import survey, upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.registry import REGISTRY
from kafkaops.upgrade.rolling.upgrading import BACK


class OnHosts(Operation):
    """An upgrade on the cluster's own hosts, by `strategy`; its way back is a plan of its own. The
    plan has drifted when the cluster's nodes or features changed."""

    strategy: ClassVar[str]

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        return survey.snapshot(world, Options.of(plan.snapshot["options"]))

    def again(self, plan: Plan) -> str:
        options = Options.of(plan.snapshot["options"])
        wanted = f"--strategy {self.strategy} --to {options.to}{options.flags}"
        return f"kafkaops upgrade {wanted} --plan"

    def resume(self, conduct: Conduct) -> RunResult:
        release_others(conduct.world, conduct.run.look().plan)
        return super().resume(conduct)

    def go_back(self, conduct: Conduct, plan: Plan) -> RunResult:
        """By this plan."""
        release_others(conduct.world, plan)
        return conduct.carry(plan, self.registry)

    def nothing_to_finalize(self, conduct: Conduct) -> tuple[str, str]:
        return finalised_by(conduct.run.look().plan)


class RollingUpgrade(OnHosts):
    registry = REGISTRY
    strategy = "rolling"

    def rollback(self, conduct: Conduct) -> RunResult:
        """Back to what each node ran before, by a roll; where no node was stopped yet there is
        nothing to bring back."""
        journal = conduct.run.current()
        if journal.plan.operation == BACK:
            return self.resume(conduct)
        plan = upgrading.way_back(conduct.world, journal.plan)
        return self.go_back(conduct, plan) if plan.specs else super().rollback(conduct)


def finalised_by(plan: Plan) -> tuple[str, str]:
    """How an upgrade of this plan, once all nodes run the new version, is made final, and the next
    command to that."""
    options = Options.of(plan.snapshot["options"])
    if plan.snapshot.get("voters"):
        return (
            "this upgrade is finalised by raising the cluster's features, a step of its own",
            f"kafkaops features plan --to {options.to}{options.flag}",
        )
    return (
        "in ZooKeeper mode this upgrade is finalised by raising the protocol, a second roll",
        f"kafkaops upgrade protocol --to {Release.of(str(options.to)).line}{options.flag} --plan",
    )
