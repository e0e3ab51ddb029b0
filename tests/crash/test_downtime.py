"""An upgrade with an outage: killed at its calls and journal writes, and back."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.engine.run import Runner, RunResult
from kafkaops.engine.step import State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.world import World
from kafkaops.upgrade.downtime import operation
from kafkaops.upgrade.downtime.opening import Led
from kafkaops.upgrade.downtime.stages import last, stages
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import UNCLEAN, WITHOUT
from tests.crash.conducting import Processes
from tests.crash.downtime_scene import NODES, Outage, back_of, without_the_last
from tests.crash.engine_harness import SOAK, sweep
from tests.crash.restart_scene import RACKS, VOTERS
from tests.crash.upgrade_scene import NEW, OLD

SHARE = 1.0 if SOAK else 1 / 8


def test_undisturbed_everybody_runs_the_new_version_after_one_outage() -> None:
    world = Outage()
    scene = world.scene()
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert state["starts"] == dict.fromkeys(NODES, 1)
    assert state["versions"] == dict.fromkeys(NODES, NEW)
    assert (state["closed"], state["faults"]) == ([], [])
    assert all(sorted(p.isr) == sorted(p.replicas) for p in world.cluster.parts.values())
    begun, over = (world.facts.get(f"downtime.outage-{end}") for end in ("begun", "over"))
    assert begun is not None
    assert over is not None
    assert 5 < over["monotonic"] - begun["monotonic"] < 300
    assert world.plan().specs == ()


def test_brokers_that_run_the_version_already_are_closed_to_clients_too_and_stay_up() -> None:
    world = Outage()
    world.upgraded(1, 4, 100)
    plan = world.plan()
    assert not any("wait at the start" in note for note in plan.notes)
    scene = world.scene(plan=plan)
    for name in ("blue-1", "blue-2"):
        stop = world.hosts["blue-5"].unit_stop

        def seen(service: str, *, timeout: float, name: str = name, stop: Any = stop) -> Any:
            assert world.hosts[name].closed
            return stop(service, timeout=timeout)

        world.hosts["blue-5"].unit_stop = seen  # type: ignore[method-assign]
    scene.play()
    state = scene.state()
    assert scene.outcomes == ["done"]
    assert state["starts"] == {n: int(n not in (1, 4, 100)) for n in NODES}
    assert (state["versions"], state["closed"]) == (dict.fromkeys(NODES, NEW), [])


def test_nobody_is_stopped_while_clients_can_write_and_controllers_stop_last() -> None:
    world = Outage()
    order: list[int] = []
    for host in world.hosts.values():
        stop = host.unit_stop

        def seen(name: str, *, timeout: float = 330.0, host: Any = host, stop: Any = stop) -> Any:
            assert not world.cluster.serving()
            order.append(host.node.id)
            return stop(name, timeout=timeout)

        host.unit_stop = seen
    world.scene().play()
    assert set(order[-3:]) == set(VOTERS)
    assert sorted(order) == sorted(NODES)


def test_stages_keep_replicas_apart_until_the_last() -> None:
    state = Outage().cluster.snapshot()
    order = stages(state, NODES)
    assert order[-1] == VOTERS
    for topic in state.topics.values():
        for part in topic.partitions:
            for nodes in order[:-1]:
                assert len(set(nodes) & set(part.replicas)) <= 1
    waits = last(state, order)
    assert all(len(nodes) == 1 for nodes in waits.values())
    assert waits[TopicPartition("orders", 0)][0] in order[-2]


def test_combined_nodes_keep_a_majority_to_the_last_stage() -> None:
    world = Outage(voters=(2, 4, 5))
    order = stages(world.cluster.snapshot(), RACKS)
    assert set(order[-1]) <= {2, 4, 5}
    assert len(order[-1]) == 2
    assert world.cluster.active in order[-1]


def test_killed_at_every_change_it_resumes_to_the_same_end() -> None:
    assert sweep(lambda: Outage().scene(), reads=SOAK, share=SHARE).verdict().killed > 10


@pytest.mark.parametrize("broken", ["blue-101", "blue-4"])
def test_a_start_that_fails_leaves_clients_out_and_the_way_back_lets_them_in(broken: str) -> None:
    world = Outage()
    world.hosts[broken].refused.add(NEW)
    plan = world.plan()
    with pytest.raises(StepFailed) as caught:
        world.scene(plan=plan).play()
    assert caught.value.where == broken
    assert not world.cluster.serving()
    scene = world.scene(plan=back_of(world, plan))
    scene.play()
    state = scene.state()
    assert state["versions"] == dict.fromkeys(NODES, OLD)
    assert (state["closed"], state["faults"]) == ([], [])


def test_back_from_the_end_is_an_outage_of_its_own() -> None:
    world = Outage()
    plan = world.plan()
    world.scene(plan=plan).play()
    back = back_of(world, plan)
    assert {"outage-closed", "outage-still"} <= {s.kind for s in back.specs}
    scene = world.scene(plan=back)
    scene.play()
    state = scene.state()
    assert state["versions"] == dict.fromkeys(NODES, OLD)
    assert (state["starts"], state["closed"]) == (dict.fromkeys(NODES, 2), [])


def test_a_link_that_an_older_kafkaops_kept_from_the_root_can_be_turned_back() -> None:
    world, conducted = Outage(), operation.Outage()
    plan, processes = world.plan(), Processes(world)
    processes.process(lambda conduct: conducted.begin(conduct, plan))
    for name in world.hosts:
        world.facts.put(f"downtime.{name}.link-before", f"/opt/kafka/versions/{OLD}")
    processes.process(conducted.rollback)
    assert world.versions() == dict.fromkeys(NODES, OLD)
    assert set(world.state()["links"].values()) == {f"versions/{OLD}"}


def until_still(runner: Runner[World]) -> RunResult:
    """Held with clients shut out and nobody stopped."""
    runner.until = "still"
    return runner.run()


def test_with_the_tool_gone_the_kernels_let_clients_in_again() -> None:
    world = Outage()
    world.scene(operate=until_still).play()
    assert not world.cluster.serving()
    world.clock.sleep(world.options.outage + 1)
    assert world.cluster.serving()


def test_before_anybody_was_stopped_going_back_opens_the_listener() -> None:
    world = Outage()
    held = world.scene(operate=until_still)
    held.play()
    back = world.scene(operate=lambda runner: runner.rollback())
    back.files = held.files
    back.play()
    assert world.cluster.serving()
    assert set(world.starts().values()) == {0}


def test_a_partition_whose_last_replica_does_not_come_back_keeps_clients_out() -> None:
    world = Outage(options=Options(outage=36000.0))
    _, scene, host = without_the_last(world)
    world.facts.put(WITHOUT, [host])
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert caught.value.code == "KO-PARTITION-OFFLINE"
    assert not world.cluster.serving()
    world.facts.put(UNCLEAN, ["orders"])
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.cluster.serving()
    assert all(part.leader >= 0 for part in world.cluster.parts.values())
    assert sum("unclean election" in line for line in world.said) == 1


def test_a_host_that_is_gone_with_its_machine_is_left_out_too() -> None:
    world = Outage(options=Options(outage=36000.0))
    _, scene, host = without_the_last(world)
    world.hosts[host].away = True
    world.facts.put(WITHOUT, [host])
    world.facts.put(UNCLEAN, ["orders"])
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.cluster.serving()


def test_a_broker_that_is_up_cannot_be_left_out_before_the_ends_stand_still() -> None:
    """It would be neither closed nor stopped, and take writes while the others are away."""
    world = Outage()
    world.facts.put(WITHOUT, ["blue-4"])
    scene = world.scene()
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-WITHOUT-ALIVE", 7)
    assert "blue-4" in caught.value.message
    assert world.cluster.serving()
    assert set(world.starts().values()) == {0}
    assert not any(host.closed for host in world.brokers)
    world.cluster.die(4)
    world.hosts["blue-4"].away = True
    world.brokers.remove(world.hosts["blue-4"])  # nobody can write to it any more
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.versions() == {**dict.fromkeys(NODES, NEW), 4: OLD}


def test_once_clients_were_let_in_nobody_is_elected_by_what_was_proven_before() -> None:
    world = Outage(options=Options(outage=36000.0))
    plan = world.plan()
    world.scene(plan=plan).play()
    world.facts.put(UNCLEAN, ["*"])
    part = world.cluster.parts[TopicPartition("orders", 0)]
    part.leader, part.isr = -1, [99]
    led = Led(next(s for s in plan.specs if s.kind == "outage-led"))
    assert led.check(world.world) is State.DONE


def test_when_the_timer_has_let_clients_in_nobody_is_elected() -> None:
    world = Outage(options=Options(outage=7200.0))
    plan, _, host = without_the_last(world)
    world.clock.sleep(7200)
    world.facts.put(WITHOUT, [host])
    world.facts.put(UNCLEAN, ["*"])
    led = Led(next(s for s in plan.specs if s.kind == "outage-led"))
    assert led.check(world.world) is State.TODO
    blocked = led.safe(world.world)
    assert blocked is not None
    assert (blocked.code, blocked.transient) == ("KO-OUTAGE-OVER", False)
    with pytest.raises(StepFailed, match="opened"):
        led.act(world.world)


def test_a_listener_that_a_resume_closed_again_was_open_all_the_same() -> None:
    world = Outage(options=Options(outage=7200.0))
    _, scene, host = without_the_last(world)
    scene.always = lambda: None  # some partitions are led while others have nobody
    world.clock.sleep(7200)
    assert world.cluster.serving()
    world.facts.put(WITHOUT, [host])
    world.facts.put(UNCLEAN, ["*"])
    with pytest.raises(OpsError, match="its timer had opened it meanwhile") as caught:
        scene.process()
    assert caught.value.code == "KO-OUTAGE-OVER"
    assert not any("unclean election" in line for line in world.said)


def test_ends_are_proven_anew_where_clients_were_in_before_anybody_was_stopped() -> None:
    world = Outage()
    held = world.scene(operate=until_still)
    held.play()
    before = world.facts.get("downtime.still")["orders/0"]
    world.clock.sleep(world.options.outage + 1)
    assert world.cluster.written[TopicPartition("orders", 0)] > before
    held.operate = lambda runner: runner.run()
    held.process()
    assert held.outcomes[-1] == "done"
    assert world.facts.get("downtime.still")["orders/0"] > before


def test_nobody_is_elected_who_was_not_in_sync_before_the_outage() -> None:
    world = Outage(options=Options(outage=36000.0))
    last_of = without_the_last(Outage(options=Options(outage=36000.0)))[2]
    part = next(
        p
        for p in world.cluster.parts.values()
        if p.replicas[-1] != world.hosts[last_of].node.id
        and world.hosts[last_of].node.id in p.replicas
    )
    behind = part.replicas[-1]
    part.isr.remove(behind)
    part.ready[behind] = 1e9
    world.cluster.nodes[behind].catch_up = 1e9
    _, scene, host = without_the_last(world)
    world.facts.put(WITHOUT, [host])
    world.facts.put(UNCLEAN, ["*"])
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert caught.value.code == "KO-ELECT-LOSES"
    assert not world.cluster.serving()
