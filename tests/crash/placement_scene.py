"""A placement on fakes: six brokers in three racks, data that takes seconds to copy, and whatever
an operator does to the run: go on, call off, take back."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaops.engine.errors import GuardRefused, OpsError
from kafkaops.engine.journal import Journal
from kafkaops.engine.lease import Lease
from kafkaops.engine.parallel import in_turn
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Plan
from kafkaops.engine.store import MemoryFacts, RunDirectory
from kafkaops.placement.applying import operation, survey
from kafkaops.placement.applying.planner import Options
from kafkaops.placement.moves import DirMove, Move
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.facts import Facts
from kafkaops.ports.world import World
from tests.crash.engine_harness import (
    Fuse,
    FusedFiles,
    Killed,
    MemoryFiles,
    NoLease,
    Point,
    tap_world,
)
from tests.crash.fake_nodes import LiveClock
from tests.crash.fake_placing import MIB, PlacingCluster
from tests.crash.fake_world import world_of
from tests.crash.restart_scene import config

RACKS: dict[int, str | None] = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
ROWS = ((1, 2, 3), (2, 3, 1), (3, 1, 2), (1, 2, 3), (2, 3, 1), (3, 1, 2))
GOALS = ((4, 2, 1), (5, 3, 1), (3, 1, 5), (2, 1, 3), (2, 3, 1, 4), (3, 1))
"""Another leader and broker, another leader, a broker; order only; more replicas; fewer."""
RATE = 80 * MIB
PRIOR = {
    "topics": {"orders": {"leader.replication.throttled.replicas": "9:1"}},
    "brokers": {
        1: {"leader.replication.throttled.rate": "12345"},
        2: {"follower.replication.throttled.rate": "777"},
    },
}
"""What an operator had set: on the way there broker 2 only sends, on the way back it receives."""
SEED = 5
ORDERS = [f"orders-{i}" for i in range(6)]
PROTOCOLS: dict[str, type[Any]] = {"clusters": Cluster, "facts": Facts}
Operate = Callable[[Conduct], RunResult]


class Scene:
    """One fresh world, and the processes that work on its run, one after the other."""

    def __init__(
        self,
        goals: Sequence[Sequence[int]] = GOALS,
        rows: Sequence[Sequence[int]] = ROWS,
        *,
        throttle: int | None = RATE,
        dirs: Sequence[DirMove] = (),
        concurrency: int = 2,
        **cluster: Any,
    ) -> None:
        self.clock = LiveClock()
        racks = dict(RACKS)
        self.cluster = PlacingCluster(self.clock, racks, **cluster)
        self.cluster.throttled = throttle is not None
        self.cluster.topic("orders", rows)
        self.cluster.topic("others", ((1, 2, 3), (4, 5, 6)))
        self.cluster.topic_own = {t: dict(v) for t, v in PRIOR["topics"].items()}  # type: ignore[attr-defined]
        self.cluster.broker_own = {b: dict(v) for b, v in PRIOR["brokers"].items()}  # type: ignore[attr-defined]
        self.clock.sleep(2)
        self.options = Options(throttle=throttle, concurrency=concurrency, reserve=0)
        self.dirs = tuple(dirs)
        self.moves = [
            Move(tp, part.replicas, tuple(goals[tp.partition]), part.whole)
            for tp, part in sorted(self.cluster.parts.items())
            if tp.topic == "orders" and part.replicas != tuple(goals[tp.partition])
        ]
        self.said: list[str] = []
        self.files = MemoryFiles()
        self.facts = MemoryFacts()
        self.outcomes: list[str] = []
        self.world = world_of(
            config(tuple(RACKS)), self.clock, {"blue": self.cluster}, self.facts, self.said.append
        )
        self.start = self.state()

    def plan(self) -> Plan:
        return survey.plan(self.world, self.moves, self.dirs, self.options, "run-1")

    def state(self) -> dict[str, Any]:
        """What must be the same however often the run died."""
        self.clock.sleep(3)
        return {
            "replicas": {str(tp): p.replicas for tp, p in self.cluster.parts.items()},
            "leaders": {str(tp): p.leader for tp, p in self.cluster.parts.items()},
            "moving": {str(tp) for tp in self.cluster.reassignments()},
            "throttles": self.throttles(),
            "paths": {f"{tp} {b}": path for (tp, b), path in self.cluster.paths.items()},
            "arriving": dict(self.cluster.arriving),
        }

    def throttles(self) -> Mapping[str, Any]:
        """Of brokers and topics on which anything is set."""
        return {
            "brokers": {b: own for b, own in self.cluster.broker_own.items() if own},
            "topics": {t: own for t, own in self.cluster.topic_own.items() if own},
        }

    def always(self) -> None:
        self.cluster.watch()
        assert not self.cluster.faults, self.cluster.faults

    def process(
        self, operate: Operate, point: Point | None = None, lease: Lease | None = None
    ) -> Fuse:
        """One process; how it ended is kept: `killed`, or its outcome."""
        fuse = Fuse(point, self.always)
        directory = RunDirectory(Path("run-1"), self.clock, cast(Any, FusedFiles(self.files, fuse)))
        conduct = _Conduct(
            tap_world(self.world, PROTOCOLS, fuse),
            directory,
            lease or NoLease(),
            confirm=lambda question: True,
        )
        try:
            self.outcomes.append(operate(conduct).outcome)
        except Killed:
            self.outcomes.append("killed")
        return fuse

    def journals(self) -> list[Path]:
        return [p for p in sorted(self.files.held) if p.suffix == ".jsonl"]


class _Conduct(Conduct):
    """The steps of a batch one after the other, so that calls can be counted."""

    def runner(self, journal: Journal, registry: Any) -> Runner[World]:
        made = super().runner(journal, registry)
        made._parallel = in_turn
        return made


def forward(scene: Scene) -> Operate:
    """Begin the run, or go on with it."""
    plan = scene.plan()

    def operate(conduct: Conduct) -> RunResult:
        if conduct.run.journals():
            return operation.resume(conduct)
        return operation.begin(conduct, plan)

    return operate


def moved() -> Scene:
    return Scene()


def undisturbed(make: Callable[[], Scene]) -> tuple[dict[str, Any], Fuse]:
    scene = make()
    fuse = scene.process(forward(scene))
    assert scene.outcomes == ["done"]
    return scene.state(), fuse


def some(points: list[Point], share: float, seed: int = SEED) -> list[Point]:
    chance = random.Random(seed)
    return [p for p in points if chance.random() < share]


def go_on(scene: Scene, operate: Operate, wait: float = 5.0) -> None:
    """Processes until one is not killed; `wait` seconds before each."""
    for _ in range(6):
        scene.clock.sleep(wait)
        scene.process(operate)
        if scene.outcomes[-1] != "killed":
            return
    raise AssertionError(scene.outcomes)


def error_of(scene: Scene, operate: Operate) -> OpsError:
    with pytest.raises(OpsError) as caught:
        scene.process(operate)
    return caught.value


def call_of(scene: Scene, name: str, nth: int = 1) -> int:
    """The number of the nth call of this name in an undisturbed run of the same scene."""
    twin = Scene(speed=scene.cluster.speed)
    calls = twin.process(forward(twin)).calls
    found = [n for n, (called, _) in enumerate(calls, 1) if called.endswith(f".{name}")]
    return found[nth - 1]


def over_or(cancel: Operate) -> Operate:
    """A run that had just ended has nothing to cancel."""

    def operate(conduct: Any) -> Any:
        try:
            return cancel(conduct)
        except GuardRefused as refused:
            if refused.code != "KO-PLACEMENT-OVER":
                raise
            return operation.resume(conduct)

    return operate
