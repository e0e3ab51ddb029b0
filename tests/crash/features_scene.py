"""A change of feature levels on fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.store import MemoryFacts
from kafkaops.features import survey
from kafkaops.features.asking import DOWNGRADE, FINALIZE, Asked
from kafkaops.features.registry import REGISTRY
from kafkaops.model.features import FeatureNode
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from tests.crash.engine_harness import Scene
from tests.crash.fake_features import LevelCluster, node
from tests.crash.fake_world import world_of
from tests.crash.restart_scene import config

AT_3_9 = {"metadata.version": 21}
AT_4_1 = {"metadata.version": 27, "transaction.version": 2, "group.version": 1}
UP = Asked(FINALIZE, to="4.3")
DOWN = Asked(DOWNGRADE, to="4.0")


class Levels:
    """One fresh world."""

    def __init__(
        self,
        asked: Asked = UP,
        finalized: Mapping[str, int] = AT_3_9,
        nodes: Sequence[FeatureNode] = (node(1), node(2), node(3)),
    ) -> None:
        self.asked = asked
        self.clock = FakeClock()
        self.cluster = LevelCluster(self.clock, finalized, nodes)
        self.world = world_of(config((1, 2, 3)), self.clock, {"blue": self.cluster}, MemoryFacts())

    def state(self) -> Any:
        """What must be the same however often the run died."""
        self.clock.sleep(60)
        return {"held": dict(self.cluster.held), "updates": sorted(self.cluster.updates)}

    def scene(
        self, operate: Callable[[Runner[World]], RunResult] = lambda runner: runner.run()
    ) -> Scene[World]:
        return Scene(
            plan=survey.plan(self.world, self.asked, "run-1"),
            registry=REGISTRY,
            world=self.world,
            clock=self.clock,
            protocols={"clusters": Cluster},
            state=self.state,
            operate=operate,
        )
