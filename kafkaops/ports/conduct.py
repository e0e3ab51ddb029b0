"""What one process needs to work on a run, whatever the operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.events import Listener
from kafkaops.engine.history import History
from kafkaops.engine.journal import Journal
from kafkaops.engine.lease import Lease
from kafkaops.engine.plan_json import drift
from kafkaops.engine.run import Registry, Runner, RunResult
from kafkaops.engine.step import Plan
from kafkaops.engine.store import RunDirectory
from kafkaops.ports.world import World


@dataclass
class Conduct:
    """What one process needs to work on a run. `watch` is handed each runner before it runs, so
    that an interrupt reaches it; `confirm` answers go/no-go questions."""

    world: World
    run: RunDirectory
    lease: Lease
    events: Listener | None = None
    confirm: Callable[[str], bool] | None = None
    until: str | None = None
    watch: Callable[[Runner[World]], None] = lambda runner: None

    def runner(self, journal: Journal, registry: Registry[World]) -> Runner[World]:
        """The engine on this journal, known to `watch`."""
        made = Runner(
            journal.plan,
            registry,
            self.world,
            journal,
            self.lease,
            self.world.clock,
            self.events,
            confirm=self.confirm,
            until=self.until,
            resume=f"kafkaops run resume {self.run.id}",
        )
        self.watch(made)
        return made

    def refuse_drift(self, plan: Plan, now: Mapping[str, Any], again: str) -> None:
        """GuardRefused (KO-PLAN-DRIFT), with `again` as the command that plans anew, where what the
        plan was made from is not what there is `now`."""
        changed = drift(plan.snapshot, now)
        if changed:
            raise GuardRefused(
                "KO-PLAN-DRIFT",
                "what the plan was made from changed since:\n"
                + "\n".join(f"  {line}" for line in changed),
                hint=f"plan again: {again}",
            )

    def begin(
        self, plan: Plan, registry: Registry[World], now: Mapping[str, Any], again: str
    ) -> RunResult:
        """A new run of this plan, unless it has drifted."""
        self.refuse_drift(plan, now, again)
        return self.carry(plan, registry)

    def carry(self, plan: Plan, registry: Registry[World]) -> RunResult:
        """This plan, as the next one of the run."""
        return self.runner(self.run.begin(plan), registry).run()

    def resume(self, registry: Registry[World]) -> RunResult:
        """Go on with whatever the run was doing, its way back included."""
        journal = self.run.current()
        runner = self.runner(journal, registry)
        return runner.rollback() if History(journal).rolling_back else runner.run()

    def undo(self, registry: Registry[World]) -> RunResult:
        """Undo what its newest journal has done, and end the run."""
        return self.runner(self.run.current(), registry).rollback()
