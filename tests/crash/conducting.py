"""Operations as an operator drives them, one process after the other, on one run in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from kafkaops.engine.journal import Journal
from kafkaops.engine.parallel import in_turn
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.store import RunDirectory
from kafkaops.ports.conduct import Conduct
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

Operate = Callable[[Conduct], RunResult]


class InTurn(Conduct):
    """The steps of a batch one after the other, so that calls can be counted."""

    def runner(self, journal: Journal, registry: Any) -> Runner[World]:
        made = super().runner(journal, registry)
        made._parallel = in_turn
        return made


class Processes:
    """Of one run: `scene` has the world (`world`, `clock`, `protocols`, `always`). How each ended
    is kept: `killed`, or its outcome."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.files = MemoryFiles()
        self.outcomes: list[str] = []

    def process(self, operate: Operate, point: Point | None = None) -> Fuse:
        scene = self.scene
        fuse = Fuse(point, scene.always)
        files = cast(Any, FusedFiles(self.files, fuse))
        directory = RunDirectory(Path("run-1"), scene.clock, files)
        world = tap_world(scene.world, scene.protocols, fuse)
        conduct = InTurn(world, directory, NoLease(), confirm=lambda question: True)
        try:
            self.outcomes.append(operate(conduct).outcome)
        except Killed:
            self.outcomes.append("killed")
        return fuse
