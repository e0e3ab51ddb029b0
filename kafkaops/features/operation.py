"""A change of feature levels as an operator drives it.

Invariant: going back is refused at a level that cannot be lowered, before anything is undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.engine.step import Plan
from kafkaops.features import survey
from kafkaops.features.asking import Asked
from kafkaops.features.registry import REGISTRY
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World


class FeatureChange(Operation):
    """The plan has drifted when levels or nodes changed. Going back moves every level to where it
    was, as far as it can be."""

    registry = REGISTRY
    deed = "changes feature levels"

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        return survey.snapshot(world, Asked.of(plan.snapshot["options"]))

    def again(self, plan: Plan) -> str:
        asked = Asked.of(plan.snapshot["options"])
        return f"kafkaops features {asked.verb}{asked.flags} --plan"
