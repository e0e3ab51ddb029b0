"""Raising the protocol as an operator drives it.

Invariant: going back is refused, before anything is undone, once a broker was started with the new
protocol; until then it restores the files and starts what is down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.engine.errors import GuardRefused, Unreachable
from kafkaops.engine.run import RunResult
from kafkaops.engine.step import Plan
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World
from kafkaops.upgrade.protocol import raising, survey
from kafkaops.upgrade.protocol.registry import REGISTRY
from kafkaops.upgrade.rolling.choosing import Options


class Raise(Operation):
    """The plan has drifted when nodes, files or software changed."""

    registry = REGISTRY
    deed = "raises the protocol"

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        return survey.snapshot(world, Options.of(plan.snapshot["options"]))

    def again(self, plan: Plan) -> str:
        options = Options.of(plan.snapshot["options"])
        return f"kafkaops upgrade protocol --to {options.to}{options.flags} --plan"

    def rollback(self, conduct: Conduct) -> RunResult:
        """Restore the files and start what is down, and end the run. GuardRefused where a broker
        was started with the new protocol, or cannot be asked whether it was."""
        plan, run = conduct.run.look().plan, conduct.run.id
        try:
            host = raising.crossed(conduct.world, plan)
        except Unreachable as error:
            raise GuardRefused(
                "KO-HOST-AWAY",
                f"{error.message}: whether its broker was started with the new protocol cannot be"
                " told",
                where=error.where,
                hint=f"bring it back, then kafkaops run rollback {run}; without it, if its broker"
                f" stays down: kafkaops run rollback {run} --without {error.where}",
            ) from error
        if host:
            boundary = next(s.irreversible for s in plan.specs if s.irreversible)
            raise GuardRefused(
                "KO-IRREVERSIBLE",
                f"cannot be taken back: {host} was started with it; {boundary}",
                where=host,
                hint=f"kafkaops run resume {run} brings the others there",
            )
        return conduct.undo(self.registry)
