"""A record changed by somebody while a move is under way: a clear refusal, and nothing written over
it, on the way there, on the way back, when it is undone, and for a plan that was saved before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused, OpsError
from kafkaops.engine.run import Runner, RunResult
from kafkaops.ports.names import Record
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner, survey
from kafkaops.upgrade.blue_green.operation import BlueGreen as Operation
from tests.crash.blue_green_scene import BlueGreen
from tests.crash.conducting import Processes
from tests.crash.engine_harness import JOURNAL, Scene

NAME, THEIRS = "b2.kafka.lab", "127.0.9.9"
Operate = Callable[[Runner[World]], RunResult]


def until(phase: str) -> Operate:
    def operate(runner: Runner[World]) -> RunResult:
        runner.until = phase
        return runner.run()

    return operate


def held(world: BlueGreen, phase: str) -> Scene[World]:
    scene = world.scene(operate=until(phase))
    scene.play()
    assert scene.outcomes == ["held"]
    return scene


def after(scene: Scene[World], world: BlueGreen, operate: Operate) -> Scene[World]:
    """A further process on the same run."""
    again = world.scene(operate=operate)
    again.files = scene.files
    return again


def changed(world: BlueGreen) -> Record:
    """Somebody points a name elsewhere; the record as it was."""
    before = world.names.held[NAME]
    world.names.held[NAME] = replace(before, values=(THEIRS,))
    return before


def refused(world: BlueGreen, do: Callable[[], object]) -> OpsError:
    """The error of what is done; that no record was touched by it."""
    records, changes = dict(world.names.held), world.names.changes
    with pytest.raises(OpsError) as error:
        do()
    assert error.value.code == "KO-NAMES-DRIFT"
    assert (world.names.held, world.names.changes) == (records, changes)
    assert NAME in error.value.message
    assert THEIRS in error.value.message
    return error.value


def test_on_the_way_there_it_is_refused_and_goes_on_once_it_is_put_back() -> None:
    world = BlueGreen()
    scene = held(world, "gates")
    before = changed(world)
    error = refused(world, after(scene, world, lambda runner: runner.run()).play)
    assert "since planning: b2.kafka.lab A was 127.0.1.2, is 127.0.9.9" in error.message
    assert "b1.kafka.lab" not in error.message
    assert world.clients.last == "blue"
    world.names.held[NAME] = before
    again = after(scene, world, lambda runner: runner.run())
    again.play()
    assert again.outcomes == ["done"]


def test_after_our_own_change_only_theirs_is_named() -> None:
    """A process that died between the change and its proof."""
    world = BlueGreen()
    scene = held(world, "names")
    lines = scene.files.held[JOURNAL].splitlines(keepends=True)
    done = next(
        n for n, line in enumerate(lines) if b'"kind":"done"' in line and b'"names"' in line
    )
    del scene.files.held[JOURNAL.with_suffix(".head")]
    scene.files.held[JOURNAL] = b"".join(lines[:done])
    before = changed(world)
    assert before.values == ("127.0.2.2",)
    error = refused(world, after(scene, world, lambda runner: runner.run()).play)
    assert f"{NAME} is {THEIRS}, expected 127.0.1.2 or 127.0.2.2" in error.message
    assert "b1.kafka.lab" not in error.message


def test_when_the_move_is_undone_it_is_not_written_over() -> None:
    world = BlueGreen()
    scene = held(world, "names")
    before = changed(world)
    error = refused(world, after(scene, world, lambda runner: runner.rollback()).play)
    assert f"{NAME} is {THEIRS}, expected 127.0.1.2 or 127.0.2.2" in error.message
    assert "no record was changed" in error.hint
    world.names.held[NAME] = before
    again = after(scene, world, lambda runner: runner.rollback())
    again.play()
    state = again.state()
    assert (state["serves"], state["lost"]) == ("blue", [])
    assert all(values[0].startswith("127.0.1.") for _, values in state["names"])


def test_on_the_way_back_it_is_not_written_over() -> None:
    world = BlueGreen()
    world.scene().play()
    scene = world.scene(plan=planner.way_back, operate=until("gates"))
    scene.play()
    before = changed(world)

    def further() -> Scene[World]:
        again = world.scene(plan=planner.way_back)
        again.files = scene.files
        return again

    error = refused(world, further().play)
    assert f"{NAME} is {THEIRS}, expected 127.0.1.2 or 127.0.2.2" in error.message
    assert "kafkaops cutover show" in error.hint
    world.names.held[NAME] = before
    again = further()
    again.play()
    state = again.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("blue", [], 0)


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (lambda r: replace(r, values=(THEIRS,)), "expected 127.0.1.2 or 127.0.2.2"),
        (lambda r: replace(r, routing="weighted"), "routing weighted, not a simple one"),
        (lambda r: replace(r, kind="CNAME", values=("b9.kafka.lab",)), "is a CNAME"),
        (lambda r: None, "has no A record"),
    ],
)
def test_a_rollback_after_the_cut_is_refused_before_it_begins(
    theirs: Callable[[Record], Record | None], words: str
) -> None:
    world = BlueGreen()
    there = world.scene()
    there.play()
    before = world.names.held.pop(NAME)
    record = theirs(before)
    if record is not None:
        world.names.held[NAME] = record
    processes = Processes(there)
    processes.process(lambda conduct: _kept(conduct, there))
    files = dict(processes.files.held)
    with pytest.raises(GuardRefused, match=words) as error:
        processes.process(Operation().rollback)
    assert error.value.code == "KO-NAMES-DRIFT"
    assert processes.files.held == files, "nothing was begun"
    world.names.held[NAME] = before
    processes.process(Operation().rollback)
    assert processes.outcomes[-1] == "done"
    assert there.state()["serves"] == "blue"


def _kept(conduct: object, scene: Scene[World]) -> RunResult:
    """The run that moved over has its journal in the run's directory."""
    conduct.run.begin(scene.plan)  # type: ignore[attr-defined]
    return RunResult("run-1", "done", (), (), 0.0)


def test_a_plan_that_was_saved_before_is_refused_with_what_changed() -> None:
    world = BlueGreen()
    seen = survey.look(world.world)
    harmless = replace(seen, findings=tuple(f for f in seen.findings if not f.blocks))
    plan = survey.plan(world.world, harmless, "run-1")
    before = changed(world)
    processes = Processes(world.scene())

    def begin() -> None:
        processes.process(lambda conduct: Operation().begin(conduct, plan))

    records = dict(world.names.held)
    with pytest.raises(GuardRefused, match=rf"{NAME} A.*127\.0\.1\.2.*{THEIRS}") as error:
        begin()
    assert error.value.code == "KO-PLAN-DRIFT"
    assert error.value.hint.startswith("plan again: kafkaops upgrade")
    assert (world.names.held, world.names.changes) == (records, 0)
    assert processes.files.held == {}, "nothing was begun"
    world.names.held[NAME] = before
    begin()
    assert processes.outcomes == ["done"]
