"""One feature moved to another level: one request, which the controller makes or refuses whole.

Invariant: before each request the controller is asked to try it; what it would refuse is not begun.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkaops.engine.step import Blocked, Progress, Spec, State
from kafkaops.features import refusals
from kafkaops.features.asking import Change
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World


@dataclass(frozen=True)
class Moved:
    """Done when every broker shows the level, or one beyond it. `spec.args`: `cluster` (colour),
    `cluster_id`, `feature`, `old`, `new`."""

    spec: Spec

    @property
    def change(self) -> Change:
        args = self.spec.args
        return Change(str(args["feature"]), int(args["old"]), int(args["new"]))

    @property
    def way_back(self) -> Change:
        return Change(self.change.feature, self.change.new, self.change.old)

    def check(self, world: World) -> State:
        return self._state(world, self.change)

    def safe(self, world: World) -> Blocked | None:
        return self._tried(world, self.change)

    def act(self, world: World) -> None:
        self._move(world, self.change)

    def safe_undo(self, world: World) -> Blocked | None:
        if self._state(world, self.way_back) is not State.TODO:
            return None
        return self._tried(world, self.way_back)

    def undo(self, world: World) -> None:
        if self._state(world, self.way_back) is State.TODO:
            self._move(world, self.way_back)

    def progress(self, world: World) -> Progress | None:
        shown = self._shown(world)
        late = [str(n) for n, level in sorted(shown.items()) if not _there(self.change, level)]
        detail = f"broker {', '.join(late[:5])}" if late else ""
        return Progress(len(shown) - len(late), float(len(shown)), "brokers", detail)

    def _cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]

    def _shown(self, world: World) -> dict[int, int]:
        found = self._cluster(world).finalized_features()
        return {node: levels.get(self.change.feature, 0) for node, levels in found.items()}

    def _state(self, world: World, change: Change) -> State:
        there = [_there(change, level) for level in self._shown(world).values()]
        if not any(there):
            return State.TODO
        return State.DONE if all(there) else State.PENDING

    def _tried(self, world: World, change: Change) -> Blocked | None:
        cluster = self._cluster(world)
        said = cluster.try_features((change.way,))
        if not said:
            return None
        found = refusals.judged(cluster.features(), said)
        return Blocked(found.code, found.message, found.hint, transient=False)

    def _move(self, world: World, change: Change) -> None:
        self._cluster(world).update_features((change.way,))


def _there(change: Change, level: int) -> bool:
    return level >= change.new if change.raises else level <= change.new
