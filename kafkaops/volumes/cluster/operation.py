"""Work on the volumes of a cluster as an operator drives it.

Invariant: going back takes away what was installed; a format or a new key stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.engine.step import Plan
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import planner, survey
from kafkaops.volumes.cluster.asking import Asked
from kafkaops.volumes.cluster.planner import Packed
from kafkaops.volumes.cluster.registry import REGISTRY


class VolumeWork(Operation):
    """The plan has drifted when brokers came or went."""

    registry = REGISTRY
    deed = "works on volumes"

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        asked, module = Asked.of(plan.snapshot["options"]), str(plan.snapshot["module"])
        packed = Packed(module, "", "") if module else None
        return planner.snapshot_of(survey.look(world, asked), asked, packed)

    def again(self, plan: Plan) -> str:
        asked = Asked.of(plan.snapshot["options"])
        only = "".join(f" --only {name}" for name in asked.hosts)
        return f"kafkaops volume {asked.verb} --cluster {asked.cluster}{only} --plan"
