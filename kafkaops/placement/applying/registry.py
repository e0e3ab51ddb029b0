"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.placement.applying import dirs_moving, electing, moving, throttling
from kafkaops.ports.world import World

REGISTRY: dict[str, Callable[[Spec], Step[World]]] = {
    "throttled": throttling.Throttled,
    "partitions-moved": moving.Moved,
    "dirs-moved": dirs_moving.DirsMoved,
    "unthrottled": throttling.Unthrottled,
    "leaders-elected": electing.Led,
}
