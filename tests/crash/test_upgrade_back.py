"""The way back of a rolling upgrade while a broker that it stopped has a process and is not up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import OpsError, StepFailed, TimedOut
from kafkaops.engine.step import Plan
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import ACCEPTED
from tests.crash.engine_harness import SOAK, Scene, sweep
from tests.crash.restart_scene import VOTERS
from tests.crash.upgrade_scene import NEW, OLD, Upgrade

SHORT = Options(gate_timeout=600.0, return_timeout=600.0)
HANGS = "INFO Loaded 40 logs in 3ms (kafka.log.LogManager)\nINFO Waiting for the controller\n"
LOADS = (
    "INFO Loaded 40 logs in 3ms (kafka.log.LogManager)\n"  # of the process before
    "INFO Recovering 40 logs from /d since no clean shutdown file was found\n"
    "INFO Completed load of Log(dir=/d/t-1) with 1 segments in 3ms (7/40 completed in /d)\n"
)


def ended(scene: Scene[World]) -> OpsError:
    with pytest.raises(OpsError) as caught:
        scene.process()
    return caught.value


def there(world: Upgrade, *, code: str, where: str) -> Plan:
    """The plan of a run that ended so on the way there."""
    plan = world.plan()
    error = ended(world.scene(plan=plan))
    assert (error.code, error.where) == (code, where)
    return plan


def order(plan: Plan) -> list[int]:
    return [s.args["node"] for s in plan.specs if s.kind == "node-stopped"]


def upgraded(world: Upgrade) -> set[int]:
    return {node for node, version in world.versions().items() if version == NEW}


def hanging(log: str = HANGS, node: int = 4, options: Options = SHORT) -> Upgrade:
    world = Upgrade(options)
    world.cluster.nodes[node].hangs_on = NEW
    world.hosts[f"blue-{node}"].log = log
    return world


@pytest.mark.parametrize("node", [4, 102])
def test_one_that_hangs_on_the_new_version_goes_back_first(node: int) -> None:
    world = hanging(node=node)
    plan = there(world, code="KO-STEP-TIMEOUT", where=f"up-blue-{node}")
    back = upgrading.way_back(world.world, plan)
    assert order(back)[0] == node
    scene = world.scene(plan=back)
    scene.play()
    state = scene.state()
    assert (upgraded(world), state["faults"]) == (set(), [])
    assert set(state["links"].values()) == {f"versions/{OLD}"}
    assert upgrading.way_back(world.world, plan).specs == ()


@pytest.mark.parametrize("down", [False, True], ids=["it hangs", "it has no process"])
def test_one_that_was_in_no_isr_is_back_in_those_that_it_was_in_before_the_way_there(
    down: bool,
) -> None:
    world = hanging(options=replace(SHORT, only=("4",)))
    world.upgraded(*VOTERS)
    plan = there(world, code="KO-STEP-TIMEOUT", where="up-blue-4")
    if down:
        world.hosts["blue-4"].unit_stop("kafka")
    world.cluster.nodes[4].catch_up = 500.0
    scene = world.scene(plan=upgrading.way_back(world.world, plan))
    scene.play()
    parts = [p for p in world.cluster.parts.values() if 4 in p.replicas]
    assert all(4 in p.isr for p in parts)
    assert all(p.leader == 4 for p in parts if p.replicas[0] == 4)


@pytest.mark.parametrize("later", [0.0, 3.0], ids=lambda s: f"planned {s:g} s later")
def test_one_that_ends_over_and_over_is_told_of_and_goes_back_first(later: float) -> None:
    world = Upgrade(SHORT)
    world.cluster.nodes[4].loops_on = NEW
    world.hosts["blue-4"].log = LOADS  # it never gets to their end
    plan = world.plan()
    scene = world.scene(plan=plan)
    for _ in range(2):  # a resume waits for it anew
        error = ended(scene)
        assert isinstance(error, StepFailed)
        assert (error.code, error.where) == ("KO-NODE-ENDED", "blue-4")
        assert "its unit started it again 3 times" in error.message
        assert "(7/40 completed" in error.message
    for _ in range(30):  # whether a process of it runs just then or not
        back = upgrading.way_back(world.world, plan)
        assert order(back)[0] == 4
        world.clock.sleep(0.5)
    world.clock.sleep(later)  # it has a process for 3 s, and none for as many
    scene = world.scene(plan=upgrading.way_back(world.world, plan))
    scene.play()
    assert (upgraded(world), scene.state()["faults"]) == (set(), [])


@pytest.mark.parametrize("log", [LOADS, ""])
def test_one_that_may_be_recovering_its_logs_is_not_stopped(log: str) -> None:
    world = hanging(log)
    plan = there(world, code="KO-STEP-TIMEOUT", where="up-blue-4")
    node = world.cluster.nodes[4]
    pid = node.pid
    scene = world.scene(plan=upgrading.way_back(world.world, plan))
    error = ended(scene)
    assert isinstance(error, TimedOut)
    assert (error.code, node.pid) == ("KO-GATE-NOT-UP", pid)
    assert "systemctl stop kafka" in error.hint
    world.hosts["blue-4"].unit_stop("kafka")  # which is the consent
    scene.process()
    assert (scene.outcomes, upgraded(world)) == (["done"], set())


def test_one_that_has_recovered_its_logs_meanwhile_goes_back_like_the_others() -> None:
    world = hanging(LOADS)
    plan = there(world, code="KO-STEP-TIMEOUT", where="up-blue-4")
    scene = world.scene(plan=upgrading.way_back(world.world, plan))
    begun = world.clock.now
    passed: list[Any] = []

    def tick() -> None:
        if world.clock.now > begun + 100:
            world.cluster.nodes[4].hangs_on = ""
        if not world.cluster.nodes[4].pid and not passed:
            passed.append(sorted(world.cluster.snapshot().brokers, key=lambda b: b.id))

    world.cluster.on_tick = tick
    scene.play()
    assert (upgraded(world), scene.state()["faults"]) == (set(), [])
    assert len(passed[0]) == 5, "it was stopped while another was down"


def test_a_topic_of_one_replica_made_meanwhile_is_refused_by_the_gate_and_not_for_good() -> None:
    world = Upgrade(SHORT)
    plan = world.plan()
    world.scene(plan=plan).play()
    world.cluster.topic("lonely", [(4,)], 1)
    back = upgrading.way_back(world.world, plan)
    scene = world.scene(plan=back)
    error = ended(scene)
    assert (error.code, world.starts()[4]) == ("KO-RF-ONE", 1)
    assert "--accept-unavailable lonely" in error.hint
    world.facts.put(ACCEPTED, ["lonely"])
    scene.process()
    assert (scene.outcomes, upgraded(world)) == (["done"], set())


def test_what_was_accepted_on_the_way_there_is_so_on_the_way_back() -> None:
    world = Upgrade(SHORT)
    plan = world.plan()
    world.scene(plan=plan).play()
    world.cluster.topic("lonely", [(4,)], 1)
    world.facts.put(ACCEPTED, ["lonely"])
    back = upgrading.way_back(world.world, plan)
    assert any("accepted, not always writable: lonely-0" in note for note in back.notes)
    scene = world.scene(plan=back)
    scene.play()
    assert (scene.outcomes, upgraded(world)) == (["done"], set())


def test_killed_as_it_takes_back_one_that_hangs_it_resumes_to_the_same_end() -> None:
    def back() -> Scene[World]:
        world = hanging(options=replace(SHORT, only=("4", "1")))
        world.upgraded(*VOTERS)
        plan = there(world, code="KO-STEP-TIMEOUT", where="up-blue-4")
        return world.scene(plan=upgrading.way_back(world.world, plan))

    assert sweep(back, reads=SOAK, share=1.0 if SOAK else 0.2).verdict().killed > 10
