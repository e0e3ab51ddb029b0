"""Who writes to blue although it is fenced is an alarm until the way back is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import Exit, GuardRefused, StepFailed
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import Spec
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.finalizing import Quiet
from tests.crash.blue_green_scene import BlueGreen, config
from tests.crash.engine_harness import Scene
from tests.crash.outage_scene import Outage, hooked

BAKE = 600.0


def baking(kind: type[BlueGreen] = BlueGreen) -> tuple[BlueGreen, Scene[World]]:
    """A move that is held before its bake."""
    base = config()
    slow = base.model_copy(update={"gates": base.gates.model_copy(update={"bake": BAKE})})
    world = kind() if kind is Outage else kind(slow)
    world.config = hooked(slow) if kind is Outage else slow
    world.world = replace(world.world, config=world.config)

    def until_back(runner: Runner[World]) -> RunResult:
        runner.until = "back"
        return runner.run()

    scene = world.scene(operate=until_back)
    scene.process()
    assert scene.outcomes == ["held"]
    scene.operate = lambda runner: runner.run()
    return world, scene


@pytest.mark.parametrize("kind", [BlueGreen, Outage])
def test_one_that_comes_during_the_bake_ends_it(kind: type[BlueGreen]) -> None:
    world, scene = baking(kind)
    live, due = world.clock.others, world.clock.monotonic() + BAKE / 2
    written: list[float] = []

    def others() -> None:
        live()
        if not written and world.clock.monotonic() >= due:
            written.append(world.clock.monotonic())
            world.strays("blue")

    world.clock.others = others
    with pytest.raises(
        StepFailed, match=r"1 records on blue .* by the mirror: orders-0@"
    ) as failed:
        scene.play()
    assert (failed.value.code, failed.value.exit) == ("KO-STRANGER", Exit.STEP_FAILED)
    assert written
    assert world.clock.monotonic() - written[0] < 30  # at a look of the bake, not at its end
    assert "accept KO-STRANGER:TOPIC" in failed.value.hint


def test_a_bake_that_nobody_disturbs_ends() -> None:
    world, scene = baking()
    scene.play()
    assert scene.outcomes[-1] == "done"
    assert world.state()["mirrors"]["back"] == "RUNNING"


def moved() -> BlueGreen:
    world = BlueGreen()
    world.scene().play()
    return world


def test_one_that_came_before_the_end_bars_it_and_nothing_is_changed() -> None:
    world = moved()
    world.strays("blue")
    before, changes = world.state(), world.names.changes
    with pytest.raises(GuardRefused, match="orders-0@") as refused:
        world.scene(plan=planner.finalize).play()
    assert (refused.value.code, refused.value.exit) == ("KO-STRANGER", Exit.GUARD)
    assert (world.state(), world.names.changes) == (before, changes)
    assert world.hosts["blue-1"].services["mirror"]


@pytest.mark.parametrize(("glob", "ends"), [("orders", True), ("ord*", True), ("other", False)])
def test_what_was_accepted_by_name_bars_the_end_no_more(glob: str, ends: bool) -> None:
    world = moved()
    world.strays("blue")
    accepting = world.config.model_copy(update={"accept": (f"KO-STRANGER:{glob}",)})
    world.world = replace(world.world, config=accepting)
    scene = world.scene(plan=planner.finalize)
    if ends:
        scene.play()
        assert scene.outcomes == ["done"]
        assert not any(host.services.get("mirror") for host in world.hosts.values())
    else:
        with pytest.raises(GuardRefused):
            scene.play()


def test_the_end_waits_until_blue_is_compared_to_its_end_and_a_dead_mirror_runs_again() -> None:
    world = moved()
    world.hosts["blue-1"].services.pop("mirror")
    world.connect["back"].failed = True
    for _ in range(30):
        world.live()  # thirty records a broker that nobody copies
    step = Quiet(Spec("quiet", "blue-quiet", "", "finalize", {"src": "blue", "dst": "green"}))
    blocked = step.safe(world.world)
    assert blocked is not None
    assert (blocked.code, blocked.transient) == ("KO-VERIFY-BEHIND", True)
    world.clock.sleep(10)
    step.safe(world.world)  # the worker answers by now, and its task is started again
    world.clock.sleep(60)
    assert step.safe(world.world) is None
