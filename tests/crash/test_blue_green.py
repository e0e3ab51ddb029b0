"""A blue/green upgrade killed at its calls and journal writes; the end is always the same."""

from __future__ import annotations

from dataclasses import replace

from kafkaops.engine.run import Runner, RunResult
from kafkaops.model.cluster import Acl
from kafkaops.ports.world import World
from kafkaops.upgrade import proof_groups
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.proof import MoveProof, moves_of
from tests.crash.blue_green_scene import APP, NODES, PASSWORD, TOPIC, BlueGreen
from tests.crash.engine_harness import (
    SOAK,
    Point,
    Scene,
    points_of,
    sweep,
    sweep_pairs,
    uncrashed,
)

SHARE, PAIRS = (1.0, 0.25) if SOAK else (1 / 3, 0.004)
"""Of the points, and of their pairs."""


def there() -> Scene[World]:
    return BlueGreen().scene()


def test_undisturbed_it_ends_on_green_with_nothing_lost() -> None:
    world = BlueGreen()
    scene = world.scene()
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert state["serves"] == "green"
    assert (state["lost"], state["duplicated"]) == ([], 0)
    assert world.clients.switches == 2  # began on blue, moved once
    (move,) = _moves(world)
    assert [(p.group, p.skipped) for p in move.positions] == [("readers", 0)] * 3
    assert (move.skipped, proof_groups.unknown(move.positions)) == (0, ())
    assert state["users"] == [(APP, PASSWORD)]  # and not the one without a secret
    assert state["mirrors"] == {"forward": "STOPPED", "back": "RUNNING"}
    assert all(fenced == name.startswith("blue") for name, (fenced, _) in state["fences"].items())


def test_an_election_while_clients_arrive_is_named_with_its_partition() -> None:
    def until_cut(runner: Runner[World]) -> RunResult:
        runner.until = "cutover"
        return runner.run()

    quiet, shaken = BlueGreen(), BlueGreen()
    for world in (quiet, shaken):
        scene = world.scene(operate=until_cut)
        scene.play()
        if world is shaken:
            world.green.elections[next(iter(world.green.logs))] += 1
        again = world.scene()
        again.files = scene.files
        again.play()
    moved = [move.elected for world in (quiet, shaken) for move in _moves(world)]
    assert moved == [(), (str(next(iter(shaken.green.logs))),)]


def _moves(world: BlueGreen) -> tuple[MoveProof, ...]:
    return moves_of(
        {n: world.facts.get(n) for n in world.facts.names()},
        budget=world.config.cutover.max_write_pause,
    )


def test_killed_anywhere_it_resumes_to_the_same_end() -> None:
    assert sweep(there, reads=SOAK, share=SHARE).verdict().killed > 50


def test_killed_twice_it_resumes_to_the_same_end() -> None:
    swept = sweep_pairs(there, within=20, share=PAIRS)
    assert swept.verdict().scenarios > 5


def test_killed_inside_the_pause_blue_takes_writes_again_with_nobody_resuming() -> None:
    """From the fence to the disarming: the kernels' timers alone bring blue back."""
    _, fuse = uncrashed(there)
    inside = _in_the_pause(fuse.calls)
    assert len(inside) > 30
    for call in inside:
        world = BlueGreen()
        world.scene().process(Point(call, "before"))
        world.clock.sleep(world.config.cutover.max_write_pause + 1)
        assert world.clients.reach(1) == "blue", f"killed before call {call}: blue stays shut"
        assert world.clients.last == "blue"


def test_the_way_back_after_the_cut_loses_nothing() -> None:
    def back() -> Scene[World]:
        world = BlueGreen()
        world.scene().play()
        return world.scene(plan=planner.way_back)

    end = uncrashed(back)[0]
    assert (end["serves"], end["lost"], end["duplicated"]) == ("blue", [], 0)
    assert sweep(back, reads=SOAK, share=SHARE / 2).verdict().killed > 20


def test_a_task_of_the_mirror_back_that_failed_meanwhile_does_not_bar_the_way_back() -> None:
    world = BlueGreen()
    world.scene().play()
    world.connect["back"].failed = True
    scene = world.scene(plan=planner.way_back)
    scene.play()
    state = scene.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("blue", [], 0)


def test_rollback_before_the_cut_leaves_blue_as_it_was() -> None:
    world = BlueGreen()

    def until_names(runner: Runner[World]) -> RunResult:
        runner.until = "names"
        return runner.run()

    world.scene(operate=until_names).play()
    scene = world.scene(operate=lambda runner: runner.rollback())
    _, fuse = uncrashed(lambda: _held(until_names))
    assert len(fuse.calls) > 20
    for point in points_of(fuse, reads=False)[::3]:
        scene = _held(until_names)
        scene.play([point])
        state = scene.state()
        assert state["serves"] == "blue"
        assert state["lost"] == []
        assert not any(fenced for fenced, _ in state["fences"].values())
        assert not scene.world.clusters["green"].scram_users()
        assert all(values[0].startswith("127.0.1.") for _, values in state["names"])


def test_rollback_before_the_cut_leaves_green_with_what_it_had() -> None:
    world = _met()
    had = _settings(world)

    def until_gates(runner: Runner[World]) -> RunResult:
        runner.until = "gates"
        return runner.run()

    _, fuse = uncrashed(lambda: _held(until_gates, _met()))
    for point in (None, *points_of(fuse, reads=False)[::7]):
        world = _met()
        scene = _held(until_gates, world)
        assert _settings(world) != had, "parity changed nothing that could be taken back"
        scene.play([] if point is None else [point])
        assert _settings(world) == had


def _met() -> BlueGreen:
    """Blue with an ACL and configs; green with an ACL and a config of its own on that topic."""
    world = BlueGreen()
    acl = Acl("TOPIC", TOPIC, "LITERAL", "User:app", "*", "READ", "ALLOW")
    world.blue.acls.add(acl)
    world.blue.alter_topic_config(TOPIC, {"retention.ms": "1000", "min.insync.replicas": "1"})
    world.green.acls.add(replace(acl, principal="User:green"))
    world.green.create_topic(TOPIC, dict.fromkeys(range(3), NODES), {"retention.ms": "777"})
    return world


def _settings(world: BlueGreen) -> tuple[object, ...]:
    return set(world.green.acls), world.green.topics()[TOPIC].config.values


def _held(until: object, world: BlueGreen | None = None) -> Scene[World]:
    world = world or BlueGreen()
    scene = world.scene(operate=until)  # type: ignore[arg-type]
    scene.play()
    files = scene.files
    again = world.scene(operate=lambda runner: runner.rollback())
    again.files = files
    return again


def _in_the_pause(calls: list[tuple[str, bool]]) -> list[int]:
    """Numbers of the calls from the fence's first shot to the first disarming."""
    runs = [n for n, (name, _) in enumerate(calls, 1) if name.endswith(".run")]
    begin = runs[0]
    loads = (n for n, (name, _) in enumerate(calls, 1) if n > begin and name.endswith(".firewall"))
    return list(range(begin + 12, next(loads) + 1))  # the fence's own loads are runs of commands
