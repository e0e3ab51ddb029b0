"""`run rollback` after every step of a blue/green upgrade, and after a failure past the cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaops.engine.errors import OpsError, StepFailed, TimedOut
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.history import FAILED
from kafkaops.engine.run import RunResult
from kafkaops.engine.stepping import Interrupted
from kafkaops.engine.store import RunDirectory
from kafkaops.ports.conduct import Conduct
from kafkaops.upgrade.blue_green import operation, planner
from kafkaops.upgrade.blue_green.move import moved as carried
from kafkaops.upgrade.blue_green.operation import moved_over
from kafkaops.upgrade.blue_green.planner import CUT, DECIDED
from kafkaops.upgrade.blue_green.registry import REGISTRY
from kafkaops.upgrade.blue_green.returning import BEGIN
from tests.crash.blue_green_scene import APP, PASSWORD, SETTINGS, BlueGreen, config
from tests.crash.conducting import Processes
from tests.crash.engine_harness import Killed

CONFIG = config()
CONFIG = CONFIG.model_copy(update={"gates": CONFIG.gates.model_copy(update={"bake": 30.0})})
PLAN = planner.forward(CONFIG, id="run-1", created=0.0)
INSIDE = [s.id for s in PLAN.specs if s.critical == CUT]
LAST = PLAN.specs[-1].id
PAST = [s.id for s in PLAN.specs][[s.id for s in PLAN.specs].index(DECIDED) :]
OPERATION = operation.BlueGreen()


class Run(Processes):
    """An upgrade that somebody stops after one of its steps, and takes up again as they like."""

    def __init__(self) -> None:
        self.world = BlueGreen(CONFIG)
        super().__init__(self.world.scene())

    def until(self, step: str) -> None:
        """Up to the end of this step; inside the pause, where nobody can hold, its process dies."""

        def operate(conduct: Conduct) -> RunResult:
            def hear(event: Event) -> None:
                if event.step == step and event.kind in {Kind.DONE, Kind.SKIPPED}:
                    if step in INSIDE:
                        raise Killed(step)
                    runner.request_stop()

            conduct.events = hear
            runner = conduct.runner(conduct.run.begin(PLAN), REGISTRY)
            try:
                return runner.run()
            except Interrupted:
                return RunResult("run-1", "stopped", (), (), 0.0)

        self.process(operate)

    def back(self) -> None:
        self.process(OPERATION.rollback)

    def phase_that_failed(self) -> str:
        records = (
            RunDirectory(Path("run-1"), self.world.clock, cast(Any, self.files)).look().records
        )
        step = [r.data["step"] for r in records if r.kind == FAILED][-1]
        return next(s.phase for s in PLAN.specs if s.id == step)


def judge(world: BlueGreen, *, moved: bool) -> None:
    """Blue serves as it did before; green holds nobody back, unless clients have been there: then
    it is fenced for good."""
    world.clock.sleep(5)
    state = world.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("blue", [], 0)
    assert all(values[0].startswith("127.0.1.") for _, values in state["names"])
    assert {r.ttl for r in world.names.held.values()} == {60}
    for name, fence in state["fences"].items():
        assert fence == (moved and name.startswith("green"), None), name
    for name, host in world.hosts.items():
        files = [data for path, data in host.files.items() if path.endswith(".nft")]
        kept = any(b"add element" in data for data in files)
        assert kept == (moved and name.startswith("green")), name
        assert BEGIN not in host.files[SETTINGS].decode(), name
        assert not host.services.get("mirror"), name
    assert not any(c.state == "RUNNING" for d, c in world.connect.items() if d == "forward")
    users = {world.blue.users[APP], *([world.green.users[APP]] if moved else [])}
    assert users == {PASSWORD}
    assert bool(world.green.users) == moved
    assert bool(carried(world.green.topics())) == moved  # what was created there is deleted
    assert world.blue.broker_settings.get("producer.id.expiration.ms") in {None, "86400000"}
    before = len(world.clients.acknowledged)
    world.clock.sleep(2)
    assert {c for c, _ in world.clients.acknowledged[before:]} == {"blue"}


@pytest.mark.parametrize("step", [s.id for s in PLAN.specs])
def test_after_any_step_blue_serves_again_and_nothing_is_lost(step: str) -> None:
    run = Run()
    run.until(step)
    moved = moved_over(run.world.world)
    assert moved == (step in PAST)
    assert run.outcomes == ["killed" if step in INSIDE else "done" if step == LAST else "stopped"]
    run.back()
    assert run.outcomes[1:] == ["done" if moved else "rolled-back"]
    judge(run.world, moved=moved)


def ghost(world: BlueGreen) -> Callable[[], object]:
    """A group that consumes before the cut and never comes to green; its session ends."""
    world.blue.live["ghost"] = True
    return lambda: world.blue.live.update(ghost=False)


def no_properties(world: BlueGreen) -> Callable[[], object]:
    files = world.hosts["blue-2"].files
    kept = files.pop(SETTINGS)
    return lambda: files.update({SETTINGS: kept})


def refused_by_connect(world: BlueGreen) -> Callable[[], object]:
    connect: Any = world.connect["back"]
    connect.validate = lambda plugin, config: ("no such class",)
    return lambda: connect.__dict__.pop("validate")


def fails_for_ever(world: BlueGreen) -> Callable[[], object]:
    connect: Any = world.connect["back"]
    connect.restart_failed = lambda name: None
    live = world.clock.others

    def others() -> None:  # at the first sleep, which is the bake's
        connect.failed = True
        live()

    def cure() -> None:
        world.clock.others = live
        connect.__dict__.pop("restart_failed")

    world.clock.others = others
    return cure


@pytest.mark.parametrize(
    ("held", "fault", "failure", "code", "phase"),
    [
        ("names", ghost, TimedOut, "KO-STEP-TIMEOUT", "settle"),
        ("clients", no_properties, StepFailed, "KO-NO-PROPERTIES", "back"),
        ("clients", refused_by_connect, StepFailed, "KO-MIRROR-CONFIG", "back"),
        ("strangers", fails_for_ever, StepFailed, "KO-MIRROR-FAILED", "bake"),
    ],
)
def test_after_a_failure_past_the_cut_the_way_back_loses_nothing(
    held: str,
    fault: Callable[[BlueGreen], Callable[[], object]],
    failure: type[OpsError],
    code: str,
    phase: str,
) -> None:
    run = Run()
    run.until(held)
    cure = fault(run.world)
    with pytest.raises(failure) as failed:
        run.process(OPERATION.resume)
    assert (failed.value.code, run.phase_that_failed()) == (code, phase)
    cure()
    run.back()
    assert run.outcomes == ["stopped", "done"]
    judge(run.world, moved=True)
