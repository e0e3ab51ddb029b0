"""A rolling restart as an operator drives it.

Invariant: going back starts again what is down for us, and claims no more: a restart that was
done cannot be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.engine.step import Plan
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import survey
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.registry import REGISTRY


class Restart(Operation):
    """The plan has drifted when the cluster's nodes changed."""

    registry = REGISTRY
    deed = "is a restart"

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        return survey.snapshot(world, Options.of(plan.snapshot["options"]))

    def again(self, plan: Plan) -> str:
        return f"kafkaops restart{Options.of(plan.snapshot['options']).flags} --plan"
