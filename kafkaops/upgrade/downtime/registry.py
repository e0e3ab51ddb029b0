"""Maps the kind of a spec to the class of its step: an outage's own, and a roll's."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.downtime import opening, steps
from kafkaops.upgrade.fleet.guarded import guarded
from kafkaops.upgrade.rolling import registry

OWN: dict[str, Callable[[Spec], Step[World]]] = {
    "clients-stopped": steps.ClientsStopped,
    "clients-started": steps.ClientsStarted,
    "outage-closed": steps.Closed,
    "outage-still": steps.Still,
    "outage-down": steps.Down,
    "outage-runs": steps.Runs,
    "outage-led": opening.Led,
    "outage-opened": opening.Opened,
}
REGISTRY = registry.REGISTRY | guarded(OWN)
