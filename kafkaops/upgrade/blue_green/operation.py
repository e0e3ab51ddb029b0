"""The blue/green upgrade as an operator drives it: begin, go on, go back, finalize.

Each is a plan of its own in the same run directory: the way there, the way back once the target
was opened, and the end. Invariant: going back before the target was opened undoes steps;
afterwards it is the same move with the colours exchanged.
"""

from __future__ import annotations

from kafkaops.cutover import names
from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.history import History, Status
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import naming, planner, survey
from kafkaops.upgrade.blue_green.registry import REGISTRY

FORWARD, BACK, FINALIZE = "blue-green", "blue-green-back", "blue-green-finalize"


class BlueGreen(Operation):
    registry = REGISTRY

    def begin(self, conduct: Conduct, plan: Plan) -> RunResult:
        """A new run of this plan. GuardRefused (KO-PLAN-DRIFT) when the clusters changed since."""
        now = survey.look(conduct.world)
        conduct.refuse_drift(plan, now.snapshot, "kafkaops upgrade --strategy blue-green --plan")
        # before the first change: what the names said when it was planned
        conduct.world.facts.put("names.planned", names.planned(now.evidence.records))
        return conduct.carry(plan, self.registry)

    def rollback(self, conduct: Conduct) -> RunResult:
        """Go back from wherever the run is. GuardRefused after finalize."""
        journal = conduct.run.current()
        operation, history = journal.plan.operation, History(journal)
        if operation == FINALIZE and history.begun:
            raise GuardRefused(
                "KO-FINALIZED",
                "this run was finalized: blue no longer follows, so there is no way back",
                hint="to move again, make green the `blue` of a new config and upgrade",
            )
        if operation == BACK:
            return self.resume(conduct)
        if not moved_over(conduct.world):
            return conduct.undo(self.registry)
        changed = naming.strange(conduct.world)
        if changed is not None:  # here too: the way back comes to the names late
            raise GuardRefused(
                changed.code, changed.reason, where="cutover.hosted_zone", hint=changed.hint
            )
        plan = planner.way_back(
            conduct.world.config, id=conduct.run.id, created=conduct.world.clock.wall()
        )
        return conduct.carry(plan, self.registry)

    def finalize(self, conduct: Conduct) -> RunResult:
        """Give up the way back. GuardRefused while the run is not done, or clients knock at
        blue."""
        journal = conduct.run.current()
        if journal.plan.operation == FINALIZE:
            return self.resume(conduct)
        history = History(journal)
        if journal.plan.operation != FORWARD or history.status is not Status.DONE:
            raise GuardRefused(
                "KO-NOT-DONE",
                f"the run is {history.status.value}; only a finished move can be finalized",
                hint=f"kafkaops run resume {conduct.run.id}",
            )
        plan = planner.finalize(
            conduct.world.config, id=conduct.run.id, created=conduct.world.clock.wall()
        )
        return conduct.carry(plan, self.registry)


def moved_over(world: World) -> bool:
    """Whether clients were let into green: from then on going back is a move of its own."""
    return world.facts.get("forward.time.opened") is not None
