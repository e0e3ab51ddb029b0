"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import (
    catching_up,
    gating,
    leading,
    resting,
    soaking,
    starting,
    stopping,
)

REGISTRY: dict[str, Callable[[Spec], Step[World]]] = {
    "gate-open": gating.GateOpen,
    "node-stopped": stopping.Stopped,
    "node-started": starting.Started,
    "node-up": starting.Up,
    "node-in-sync": catching_up.InSync,
    "leaders-back": leading.LeadersBack,
    "node-soaked": soaking.Soaked,
    "node-rested": resting.Rested,
}
