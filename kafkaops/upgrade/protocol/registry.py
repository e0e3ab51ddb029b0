"""Maps the kind of a spec to the class of its step: those of a restart, and four of its own."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet.guarded import guarded
from kafkaops.upgrade.protocol import raising
from kafkaops.upgrade.rolling.registry import REGISTRY as ROLLING

OWN: dict[str, Callable[[Spec], Step[World]]] = {
    "protocol-written": raising.Written,
    "protocol-started": raising.StartedWith,
    "protocol-spoken": raising.Spoken,
    "protocol-rested": raising.RestedWith,
}
REGISTRY = ROLLING | guarded(OWN)
