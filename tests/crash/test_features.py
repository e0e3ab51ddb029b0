"""A change of feature levels killed at every call and journal write; and trouble that comes."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed, TimedOut
from kafkaops.engine.run import Runner, RunResult
from kafkaops.features.asking import DOWNGRADE, FINALIZE, Asked
from kafkaops.model.features import Range
from kafkaops.ports.world import World
from tests.crash.engine_harness import Point, Scene, further, raised, sweep, sweep_pairs, uncrashed
from tests.crash.features_scene import AT_4_1, DOWN, UP, Levels

ENDS = {
    "metadata.version": 30,
    "transaction.version": 2,
    "group.version": 1,
    "eligible.leader.replicas.version": 1,
    "share.version": 1,
    "streams.version": 1,
}


def up() -> Scene[World]:
    return Levels().scene()


def down() -> Scene[World]:
    return Levels(DOWN, AT_4_1 | {"share.version": 1}).scene()


def back() -> Scene[World]:
    """Up to 4.2 from 4.1, which can be taken back, and then back."""

    def rollback(runner: Runner[World]) -> RunResult:
        return runner.rollback()

    scene = Levels(Asked(FINALIZE, to="4.2"), AT_4_1).scene(rollback)
    scene.prepare = lambda runner: runner.run()
    return scene


def test_undisturbed_every_level_is_moved_once_and_metadata_version_first() -> None:
    world = Levels()
    scene = world.scene()
    scene.play()
    assert scene.outcomes == ["done"]
    assert scene.state()["held"] == ENDS, "kraft.version was not asked for"
    assert [name for name, _, _ in world.cluster.updates] == list(ENDS)


def test_lowered_metadata_version_comes_last() -> None:
    world = Levels(DOWN, AT_4_1 | {"share.version": 1})
    scene = world.scene()
    scene.play()
    assert world.cluster.updates == [("share.version", 1, 0), ("metadata.version", 27, 25)]


@pytest.mark.parametrize("make", [up, down, back])
def test_killed_anywhere_it_resumes_to_the_same_end_and_moves_nothing_twice(make: object) -> None:
    swept = sweep(make)  # type: ignore[arg-type]
    assert swept.verdict().killed > 20


@pytest.mark.parametrize("make", [up, down])
def test_killed_twice_it_resumes_to_the_same_end(make: object) -> None:
    swept = sweep_pairs(make, share=0.08)  # type: ignore[arg-type]
    assert swept.verdict().scenarios > 20


def test_a_second_run_finds_nothing_to_do() -> None:
    assert further(up, anew=True) == ()
    assert further(down, anew=True) == ()


def test_going_back_restores_every_level() -> None:
    scene = back()
    scene.play()
    assert scene.outcomes == ["rolled-back"]
    assert scene.state()["held"] == AT_4_1


def test_going_back_is_refused_where_there_is_no_way_back_and_nothing_is_undone() -> None:
    world = Levels()
    scene = world.scene(lambda runner: runner.rollback())
    scene.prepare = lambda runner: runner.run()
    with pytest.raises(GuardRefused) as refused:
        scene.play()
    assert refused.value.code == "KO-IRREVERSIBLE"
    assert "4.0-IV1" in refused.value.message
    assert world.state()["held"] == ENDS


def test_a_ghost_that_registers_meanwhile_stops_it_before_the_next_level() -> None:
    world = Levels()
    scene = world.scene()
    calls = uncrashed(up)[1].calls
    first = next(n for n, (name, _) in enumerate(calls, 1) if name.endswith("update_features"))
    scene.process(Point(first, "after"))
    world.cluster.hidden["Controller 9"] = {"metadata.version": Range(7, 30)}
    error = raised(scene)
    assert isinstance(error, StepFailed)
    assert (error.code, int(error.exit)) == ("KO-FEATURE-GHOST", 8)
    assert "controller 9" in error.message.lower()
    world.cluster.hidden.clear()
    scene.play()
    assert scene.state()["held"] == ENDS


def test_refused_before_the_first_level_nothing_is_changed() -> None:
    world = Levels()
    scene = world.scene()
    world.cluster.hidden["Controller 9"] = {}
    error = raised(scene)
    assert (error.code, int(error.exit)) == ("KO-FEATURE-GHOST", 5)
    assert world.cluster.updates == []


def test_a_cluster_that_cannot_be_reached_is_waited_for() -> None:
    world = Levels()
    scene = world.scene()
    world.cluster.away = True
    error = raised(scene)
    assert isinstance(error, TimedOut)
    world.cluster.away = False
    scene.play()
    assert scene.state()["held"] == ENDS


def test_what_somebody_else_raised_meanwhile_counts_as_done() -> None:
    world = Levels()
    scene = world.scene()
    world.cluster.held |= ENDS
    world.cluster.before = dict(world.cluster.held)
    scene.play()
    assert world.cluster.updates == []


def test_kraft_version_by_its_name_is_a_step_without_a_way_back() -> None:
    world = Levels(Asked(FINALIZE, features=(("kraft.version", 1),)))
    plan = world.scene().plan
    assert [bool(s.irreversible) for s in plan.specs] == [True]
    asked = Asked(DOWNGRADE, features=(("kraft.version", 0),))
    with pytest.raises(GuardRefused, match=r"of release 3\.9, for Kafka"):
        Levels(asked, {"metadata.version": 30, "kraft.version": 1}).scene()
    assert UP.to_json() == Asked.of(UP.to_json()).to_json()
