"""What one process needs to work on a run, whatever the operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kafkaops.engine.events import Listener
from kafkaops.engine.journal import Journal
from kafkaops.engine.lease import Lease
from kafkaops.engine.run import Registry, Runner
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
