"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.features.moving import Moved
from kafkaops.ports.world import World

REGISTRY: dict[str, Callable[[Spec], Step[World]]] = {"feature-moved": Moved}
