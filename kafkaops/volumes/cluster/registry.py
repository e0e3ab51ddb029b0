"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import steps

REGISTRY: dict[str, Callable[[Spec], Step[World]]] = {
    "volume-module": steps.ModuleThere,
    "volume-file": steps.FileThere,
    "volume-units": steps.UnitsEnabled,
    "volume-prepared": steps.Prepared,
    "volume-mounted": steps.Mounted,
    "volume-rotated": steps.Rotated,
    "volume-typed": steps.Typed,
    "volume-rewrapped": steps.Rewrapped,
    "volume-erased": steps.Erased,
}
