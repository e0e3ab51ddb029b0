"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet.guarded import guarded
from kafkaops.upgrade.rolling import (
    catching_up,
    gating,
    installing,
    leading,
    renewing,
    resting,
    soaking,
    starting,
    stopping,
)

REGISTRY: dict[str, Callable[[Spec], Step[World]]] = {
    "version-ready": installing.VersionReady,
    "version-tried": installing.Tried,
    "gate-open": gating.GateOpen,
    "node-stopped": stopping.Stopped,
    "node-switched": installing.Switched,
    "volume-renewed": renewing.Renewed,
    "node-started": starting.Started,
    "node-up": starting.Up,
    "node-in-sync": catching_up.InSync,
    "leaders-back": leading.LeadersBack,
    "node-soaked": soaking.Soaked,
    "node-rested": resting.Rested,
}
REGISTRY = guarded(REGISTRY)
