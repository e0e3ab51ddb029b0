"""A kind of run as an operator drives it: begin, go on, go back, give up the way back.

A room says what is its own: how its plan is made again, and where going back is more than undoing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.run import Registry, RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.world import World


class Operation:
    """`registry` maps kinds to steps; `deed` says what a run of it does (`is a restart`)."""

    registry: ClassVar[Registry[World]]
    deed: ClassVar[str]

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        """What the plan would be made from now."""
        raise NotImplementedError

    def again(self, plan: Plan) -> str:
        """The command that makes the plan again."""
        raise NotImplementedError

    def begin(self, conduct: Conduct, plan: Plan) -> RunResult:
        """A new run of this plan. GuardRefused (KO-PLAN-DRIFT) when what it was made from
        changed."""
        now = self.snapshot(conduct.world, plan)
        return conduct.begin(plan, self.registry, now, self.again(plan))

    def resume(self, conduct: Conduct) -> RunResult:
        """Go on with it, on its way back too."""
        return conduct.resume(self.registry)

    def rollback(self, conduct: Conduct) -> RunResult:
        """Undo what was done, and end the run."""
        return conduct.undo(self.registry)

    def finalize(self, conduct: Conduct) -> RunResult:
        """Give up the way back. GuardRefused where a run has nothing to give up."""
        why, hint = self.nothing_to_finalize(conduct)
        raise GuardRefused("KO-NOTHING-TO-FINALIZE", why, hint=hint)

    def nothing_to_finalize(self, conduct: Conduct) -> tuple[str, str]:
        """Why not, and the next command."""
        run = conduct.run.id
        return f"run {run} {self.deed}: it is done when it is done", f"kafkaops run show {run}"
