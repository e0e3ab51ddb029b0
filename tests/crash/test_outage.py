"""A blue/green upgrade without a firewall, killed at its calls: nobody stays stopped or is lost."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import RolledBack, StepFailed
from kafkaops.engine.journal import Journal
from kafkaops.engine.run import Runner, RunResult
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.hooking import stopped
from kafkaops.upgrade.proof import moves_of
from tests.crash.engine_harness import (
    JOURNAL,
    SOAK,
    Point,
    Scene,
    points_of,
    sweep,
    sweep_pairs,
    uncrashed,
)
from tests.crash.outage_scene import Outage
from tests.crash.test_blue_green import PAIRS, SHARE


def there() -> Scene[World]:
    return Outage().scene()


def back() -> Scene[World]:
    world = Outage()
    world.scene().play()
    return world.scene(plan=planner.way_back)


def until(phase: str, world: Outage) -> Scene[World]:
    def operate(runner: Runner[World]) -> RunResult:
        runner.until = phase
        return runner.run()

    held = world.scene(operate=operate)
    held.process()
    held.operate = lambda runner: runner.run()
    return held


def test_there_and_back_nothing_is_lost_and_nobody_stays_stopped() -> None:
    world = Outage()
    scene = world.scene()
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert (state["serves"], state["stopped"]) == ("green", False)
    assert (state["lost"], state["duplicated"]) == ([], 0)
    assert world.clients.switches == 2
    returning = world.scene(plan=planner.way_back)
    returning.play()
    state = returning.state()
    assert (state["serves"], state["stopped"]) == ("blue", False)
    assert (state["lost"], state["duplicated"]) == ([], 0)
    assert not any(host.restarts for name, host in world.hosts.items() if name != "green-1")


def test_the_outage_is_told_with_its_parts() -> None:
    world = Outage()
    world.scene().play()
    facts = {n: world.facts.get(n) for n in world.facts.names()}
    (move,) = moves_of(facts, budget=world.config.cutover.max_write_pause)
    assert move.pause is not None
    assert move.pause.kind == "outage"
    assert move.pause.total >= 30  # a JVM's cache is older than that
    names = [p.name for p in move.pause.parts]
    assert names == ["hooks-stop", "still", "proof", "commit", "names", "hooks-start"]
    assert sum(p.seconds for p in move.pause.parts) == pytest.approx(move.pause.total)
    assert move.replayed == 0


def test_killed_anywhere_it_resumes_to_the_same_end() -> None:
    assert sweep(there, reads=SOAK, share=SHARE).verdict().killed > 40


def test_killed_at_any_change_of_the_outage_it_resumes_to_the_same_end() -> None:
    expected, fuse = uncrashed(there)
    runs = [n for n, (name, _) in enumerate(fuse.calls, 1) if name == "local.run"]
    inside = [p for p in points_of(fuse, reads=False) if runs[0] <= p.call <= runs[-1] + 3]
    assert len(inside) > 60
    for point in inside:
        scene = there()
        scene.play([point])
        assert scene.state() == expected, f"{point}: {scene.outcomes}"


def test_killed_twice_it_resumes_to_the_same_end() -> None:
    swept = sweep_pairs(there, within=30, share=PAIRS)
    assert swept.verdict().scenarios > 5


def test_a_lowered_ttl_is_waited_for_although_its_process_died_at_the_change() -> None:
    """Else a client's machine could keep the old address for longer than the outage."""
    _, fuse = uncrashed(there)
    change = next(n for n, (name, _) in enumerate(fuse.calls, 1) if name == "names.change")
    for when in ("before", "after"):
        world = Outage()
        scene = world.scene()
        begun = world.clock.monotonic()
        scene.play([Point(change, when)])
        moved = world.facts.get("forward.time.names.moved")
        assert moved["monotonic"] - begun > 60 + 2  # the old TTL, and what INSYNC takes here
        assert scene.state()["serves"] == "green"


def test_the_way_back_killed_anywhere_resumes_to_the_same_end() -> None:
    end = uncrashed(back)[0]
    assert (end["serves"], end["lost"], end["duplicated"]) == ("blue", [], 0)
    assert sweep(back, reads=SOAK, share=SHARE / 2).verdict().killed > 15


def test_killed_in_the_outage_a_rollback_starts_everybody_where_they_were() -> None:
    _, fuse = uncrashed(there)
    first, last = (n for n, (name, _) in enumerate(fuse.calls, 1) if name == "local.run")
    for call in range(first + 1, last, (last - first) // 25):
        world = Outage()
        killed = world.scene()
        killed.process(Point(call, "before"))
        assert world.clients.stopped
        assert stopped(world.facts) == ["app"]  # what `run show` tells
        again = world.scene(operate=lambda runner: runner.rollback())
        again.files = killed.files
        again.process()
        assert again.outcomes == ["rolled-back"], call
        state = again.state()
        assert (state["serves"], state["stopped"], state["lost"]) == ("blue", False, [])
        assert all(values[0].startswith("127.0.1.") for _, values in state["names"])
        assert stopped(world.facts) == []


def test_killed_after_the_decision_a_way_back_first_starts_who_is_stopped() -> None:
    _, fuse = uncrashed(there)
    _, start = (n for n, (name, _) in enumerate(fuse.calls, 1) if name == "local.run")
    world = Outage()
    world.scene().process(Point(start, "before"))
    assert world.clients.stopped
    assert world.facts.get("forward.time.opened")
    scene = world.scene(plan=planner.way_back)
    scene.play()
    state = scene.state()
    assert (state["serves"], state["stopped"], state["lost"]) == ("blue", False, [])


def test_who_writes_without_a_hook_is_found_before_the_names_move() -> None:
    world = Outage()
    scene = until("gates", world)
    world.stray = "blue"
    changes = world.names.changes
    failure = returned(scene)
    assert "orders-0" in str(failure)
    assert "s after the stop hooks 1 partitions of blue do not stand still" in str(failure)
    assert world.names.changes == changes
    assert not world.clients.stopped
    world.clock.sleep(5)
    state = world.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("blue", [], 0)
    world.stray = ""
    scene.play()
    assert scene.state()["serves"] == "green"


def test_who_writes_to_blue_while_the_names_move_brings_them_back() -> None:
    world = Outage()
    scene = until("gates", world)
    world.clock.others, live = lambda: (live(), moved(world, "blue")), world.clock.others  # type: ignore[assignment,func-returns-value]
    failure = returned(scene)
    assert "after it was proven to stand still" in str(failure)
    state = world.state()
    assert not state["stopped"]
    assert all(values[0].startswith("127.0.1.") for _, values in state["names"])
    world.clock.sleep(5)
    assert world.state()["serves"] == "blue"
    assert world.state()["lost"] == []


def test_what_a_stranger_wrote_to_green_already_is_not_given_up() -> None:
    """It came by the names: going back would lose its records, so the clients follow it."""
    world = Outage()
    scene = until("gates", world)
    _, fuse = uncrashed(lambda: until_again(Outage()))
    change = next(n for n, (name, _) in enumerate(fuse.calls, 1) if name == "names.change")
    scene.process(Point(change + 5, "before"))
    assert world.clients.stopped
    world.strays("green")
    scene.play()
    state = scene.state()
    assert (state["serves"], state["stopped"], state["lost"]) == ("green", False, [])


def until_again(world: Outage) -> Scene[World]:
    return until("gates", world)


def moved(world: Outage, colour: str) -> None:
    """One record, once the names lead to green for the zone's servers."""
    here = world.names.held["bootstrap.kafka.lab"].values[0].startswith("127.0.2.")
    if here and not getattr(world, "spilled", False):
        world.spilled = True  # type: ignore[attr-defined]
        world.strays(colour)


def test_a_group_that_no_hook_stops_is_named() -> None:
    world = Outage()
    scene = until("gates", world)
    world.blue.live["other"] = True
    failure = returned(scene)
    assert "other (c at 127.0.0.1)" in str(failure)
    assert not world.clients.stopped


def test_a_start_hook_that_fails_on_green_is_tried_again_by_a_resume() -> None:
    world = Outage()
    scene = until("gates", world)
    world.machine.broken = (("app", "start"),)
    with pytest.raises(StepFailed, match="start hook of app"):
        scene.process()
    assert world.clients.stopped
    assert stopped(world.facts) == ["app"]
    world.machine.broken = ()
    scene.play()
    state = scene.state()
    assert (state["serves"], state["stopped"], state["lost"]) == ("green", False, [])


def returned(scene: Scene[World]) -> RolledBack:
    """The error of a run that goes back, as the operator gets it."""
    runner = scene.runner(Journal.open(JOURNAL, scene.clock, scene.files), scene.world)
    with pytest.raises(RolledBack) as raised:
        runner.run()
    return raised.value
