"""Raising the protocol killed at its calls and journal writes; its way back, up to the start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.engine.journal import Journal
from kafkaops.engine.run import Runner, RunResult
from kafkaops.ports.conduct import Conduct
from kafkaops.ports.world import World
from kafkaops.upgrade.protocol import operation
from kafkaops.upgrade.protocol.raising import crossed
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import WITHOUT
from tests.crash.engine_harness import (
    JOURNAL,
    SOAK,
    NoLease,
    Point,
    Scene,
    forward,
    sweep,
    uncrashed,
)
from tests.crash.protocol_scene import CONTROLLER, Raise, file
from tests.crash.restart_scene import RACKS

SHARE = 1.0 if SOAK else 0.5
ONCE = dict.fromkeys(RACKS, 1)


def there() -> Scene[World]:
    return Raise().scene()


def back(runner: Runner[World]) -> RunResult:
    return runner.rollback()


def calls(world: Raise, name: str) -> list[int]:
    """At which of its calls an undisturbed run does this."""
    made = uncrashed(lambda: Raise(world.options).scene())[1].calls
    return [n for n, (called, _) in enumerate(made, 1) if called.endswith(name)]


def test_undisturbed_each_file_is_written_and_each_broker_started_once() -> None:
    world = Raise()
    scene = world.scene()
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert state["starts"] == ONCE
    assert state["protocols"] == dict.fromkeys(RACKS, "3.9")
    assert state["faults"] == []
    for node in RACKS:
        assert world.file(node) == file(node, b"3.9")
        host = world.hosts[f"blue-{node}"]
        assert host.rights[host.properties] == (0o640, "kafka:staff")
        assert world.facts.get(f"protocol.blue-{node}.protocol-before") == "3.8"
    assert world.plan().specs == ()  # a second time there is nothing to do


def test_the_controller_goes_in_the_last_batch_and_only_then_moves() -> None:
    world = Raise()
    plan = world.plan()
    stops = [s.args["node"] for s in plan.specs if s.kind == "node-stopped"]
    assert stops.index(CONTROLLER) >= len(stops) - 2
    seen: list[int] = []
    world.cluster.on_tick = lambda: seen.append(world.cluster.active)
    world.scene(plan=plan).play()
    assert seen[0] == CONTROLLER
    moved = next(n for n, active in enumerate(seen) if active != CONTROLLER)
    assert all(active != CONTROLLER for active in seen[moved:])


def test_killed_at_every_change_it_resumes_to_the_same_end() -> None:
    assert uncrashed(there)[0]["starts"] == ONCE
    assert sweep(there, reads=SOAK, share=SHARE).verdict().killed > 20


def test_before_the_first_start_the_way_back_restores_the_file_and_starts_what_is_down() -> None:
    for when in ("before", "after"):
        world = Raise()
        scene = world.scene()
        scene.process(Point(calls(world, "].put")[0], when))
        assert crossed(world.world, scene.plan) == ""
        scene.process(operate=back)
        world.clock.sleep(10)
        assert scene.outcomes == ["killed", "rolled-back"]
        assert all(world.file(node) == file(node) for node in RACKS)
        assert all(node.pid for node in world.cluster.nodes.values())
        assert world.spoken() == dict.fromkeys(RACKS, "3.8")
        assert crossed(world.world, scene.plan) == ""  # so a way back that is killed can go on


def test_killed_on_the_way_back_it_goes_on() -> None:
    def way_back() -> Scene[World]:
        world = Raise()
        scene = world.scene(operate=back)
        scene.process(Point(put, "after"), operate=forward)
        scene.outcomes.clear()
        return scene

    put = calls(Raise(), "].put")[0]

    assert sweep(way_back, reads=SOAK, share=SHARE).verdict().killed > 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_once_a_start_was_asked_for_there_is_no_way_back(when: str) -> None:
    world = Raise()
    scene = world.scene()
    scene.process(Point(calls(world, "unit_start")[0], when))
    first = next(s.args["host"] for s in scene.plan.specs if s.kind == "node-stopped")
    assert crossed(world.world, scene.plan) == first
    world.clock.sleep(10)
    if when == "after":
        with pytest.raises(GuardRefused) as caught:
            scene.process(operate=back)
        assert caught.value.code == "KO-IRREVERSIBLE"
        assert "cannot be lowered to 3.8 again" in caught.value.message
    scene.play()
    assert scene.state()["starts"] == ONCE


def test_started_by_somebody_else_with_the_new_file_there_is_no_way_back_either() -> None:
    world = Raise()
    scene = world.scene()
    scene.process(Point(calls(world, "].put")[0], "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if not n.pid]
    world.hosts[f"blue-{down}"].unit_start("kafka")
    assert crossed(world.world, scene.plan) == f"blue-{down}"
    world.clock.sleep(10)
    scene.play()
    assert scene.state()["starts"] == ONCE


def rolled_back(world: Raise, scene: Scene[World]) -> RunResult:
    """As the command does it."""
    journal = Journal.open(JOURNAL, world.clock, scene.files)
    directory = SimpleNamespace(look=lambda: journal, current=lambda: journal, id="run-1")
    return operation.Raise().rollback(Conduct(world.world, cast(Any, directory), NoLease()))


def test_a_host_that_died_after_its_stop_bars_the_way_back_in_words_and_can_be_left_out() -> None:
    world = Raise()
    scene = world.scene()
    scene.process(Point(calls(world, "].put")[0], "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if not n.pid]
    world.hosts[f"blue-{down}"].away = True
    with pytest.raises(GuardRefused) as caught:
        rolled_back(world, scene)
    assert (caught.value.code, caught.value.where) == ("KO-HOST-AWAY", f"blue-{down}")
    assert "whether its broker was started with the new protocol" in caught.value.message
    assert f"kafkaops run rollback run-1 --without blue-{down}" in caught.value.hint
    world.facts.put(WITHOUT, [f"blue-{down}"])
    assert rolled_back(world, scene).outcome == "rolled-back"
    assert world.starts() == dict.fromkeys(RACKS, 0)


def test_a_unit_that_starts_with_another_file_is_found_out_at_the_first_broker() -> None:
    world = Raise(Options(max_batch=1))
    for host in world.hosts.values():
        host.properties, other = "/etc/kafka/other.properties", host.properties
        host.files[host.properties] = host.files[other]
    world.always = lambda: None
    scene = world.scene()
    with pytest.raises(StepFailed) as caught:
        scene.play()
    assert caught.value.code == "KO-PROTOCOL-NOT-APPLIED"
    assert sum(world.starts().values()) == 1
    assert "systemctl restart kafka" in caught.value.hint
    own = world.world.config.blue.properties
    for host in world.hosts.values():
        host.properties = own
    [begun] = [node for node, starts in world.starts().items() if starts]
    world.hosts[f"blue-{begun}"].unit_stop("kafka")
    world.hosts[f"blue-{begun}"].unit_start("kafka")  # which is what the hint says
    world.clock.sleep(10)
    scene.process()
    assert set(world.spoken().values()) == {"3.9"}
    assert world.starts() == {**ONCE, begun: 2}


def test_a_node_held_back_from_its_batch_goes_alone_with_its_file_written() -> None:
    rows = ((1, 2, 3), (4, 5, 6))
    options = Options()
    made = uncrashed(lambda: Raise(options, rows=rows).scene())[1].calls
    stops = [n for n, (name, _) in enumerate(made, 1) if name.endswith("unit_stop")]
    world = Raise(options, rows=rows)
    scene = world.scene()
    gates = [s for s in scene.plan.specs if s.kind == "gate-open"]
    place = next(i for i, s in enumerate(gates) if len(s.args["mates"]) == 2)
    scene.process(Point(stops[place], "after"))
    [down] = [n.id for n in world.cluster.nodes.values() if n.pid == 0]
    [left] = set(gates[place].args["mates"].values()) - {down}
    row = next(r for r in rows if left in r)
    third = next(n for n in row if n != left)
    world.cluster.down(third)
    world.cluster.nodes[third].boot = 600.0
    world.cluster.start(third)
    scene.process()
    assert any(f"blue-{left}: held back" in line for line in world.said)
    assert scene.outcomes == ["killed", "done"]
    assert world.file(left) == file(left, b"3.9")
    assert world.spoken()[left] == "3.9"
    assert world.starts()[left] == 1


def test_files_that_say_it_and_processes_that_started_since_are_left_alone() -> None:
    world = Raise()
    world.writes(1, file(1, b"3.9"), ago=5000)
    world.cluster.nodes[1].protocol = "3.9"
    world.writes(3, file(3, b"3.9"))  # written, and not restarted since
    plan = world.plan()
    stops = {s.args["node"] for s in plan.specs if s.kind == "node-stopped"}
    assert stops == set(RACKS) - {1}
    assert "blue-1 speaks 3.9 already" in plan.notes
    world.scene(plan=plan).play()
    assert world.starts() == {**ONCE, 1: 0}
    assert world.spoken() == dict.fromkeys(RACKS, "3.9")
