"""How fast a placement is, and how far: a throttle that would never end, and a rate that is
measured and tuned while it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import operation
from kafkaops.placement.applying.moving import Moved
from kafkaops.placement.applying.planner import Options
from kafkaops.placement.applying.throttle import FOLLOWER_RATE, LEADER_RATE
from tests.crash.engine_harness import Point
from tests.crash.fake_placing import MIB
from tests.crash.placement_scene import (
    PRIOR,
    Scene,
    forward,
    go_on,
    undisturbed,
)


def tuned() -> Scene:
    """A rate that is measured, and measured anew while it runs: clients write less and less."""
    scene = Scene(speed=MIB // 2, written=2 * MIB)
    scene.options = Options(link=100 * MIB, concurrency=2, reserve=0)
    return scene


def test_it_tells_how_far_it_is_and_which_replica_is_last() -> None:
    scene = Scene(speed=2 * MIB)
    wave = next(s for s in scene.plan().specs if s.id == "wave-2")
    step = Moved(wave)
    step.act(scene.world)
    scene.clock.sleep(3)
    found = step.progress(scene.world)
    assert found is not None
    assert (found.done, found.total, found.unit) == (18.0, 120.0, "MiB")
    assert found.detail.startswith("slowest orders-"), found.detail
    assert found.detail.endswith(", 34 MiB to go")
    scene.clock.sleep(60)
    found = step.progress(scene.world)
    assert found is not None
    assert (found.done, found.detail) == (120.0, "")


def test_a_rate_that_is_measured_is_tuned_while_it_runs_and_given_back() -> None:
    scene = tuned()
    plan = scene.plan()
    first = plan.specs[0].args["ours"]["brokers"]["2"]["leader.replication.throttled.rate"]
    # broker 1 leads three partitions: 2 MiB/s each to two followers and a consumer
    assert abs(int(first) - 0.9 * (100 - 18) * MIB) < MIB / 10
    seen: set[str] = set()

    def look() -> None:
        own = scene.cluster.broker_own.get(2, {})
        seen.add(own.get("leader.replication.throttled.rate", ""))
        if scene.cluster.reassignments():
            scene.cluster.written = 0.0

    scene.cluster.on_tick = look
    scene.process(lambda conduct: operation.begin(conduct, plan))
    assert scene.outcomes == ["done"]
    assert str(90 * MIB) in seen, seen
    assert any("held to 90 MiB/s" in line for line in scene.said)
    assert scene.state()["throttles"] == PRIOR


def test_killed_while_a_rate_is_tuned_it_is_given_back_all_the_same() -> None:
    expected, fuse = undisturbed(tuned)
    names = [n for n, (name, _) in enumerate(fuse.calls, 1) if "alter_broker" in name]
    assert len(names) >= 3
    for call in names:
        for when in ("before", "after"):
            scene = tuned()
            operate = forward(scene)
            scene.process(operate, Point(call, when))
            go_on(scene, operate)
            assert scene.state() == expected, (call, when)


def test_every_wave_begins_with_the_rate_that_was_tuned_last() -> None:
    scene = tuned()
    scene.options = Options(link=100 * MIB, concurrency=1, reserve=0)
    scene.cluster.speed = MIB // 4
    operate = forward(scene)
    seen: dict[int, set[str]] = {}

    def look() -> None:
        scene.cluster.written = 0.0
        copies = [r for r in scene.cluster.requests if any(len(to or ()) > 2 for to in r.values())]
        for tp, moving in scene.cluster.reassignments().items():
            if moving.adding and tp in copies[-1]:
                for broker in moving.adding:
                    own = scene.cluster.broker_own[broker][FOLLOWER_RATE]
                    seen.setdefault(len(scene.cluster.requests), set()).add(own)

    scene.cluster.on_tick = look
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert len(seen) > 2
    assert [rates for _, rates in sorted(seen.items())][1:] == [{str(90 * MIB)}] * (len(seen) - 1)


def test_the_way_back_has_a_rate_of_its_own() -> None:
    scene = tuned()
    operate = forward(scene)
    scene.cluster.on_tick = lambda: setattr(scene.cluster, "written", 0.0)
    scene.process(operate)
    assert scene.facts.get("placement.rates") == [90 * MIB]
    first: list[str] = []

    def look() -> None:
        rate = scene.cluster.broker_own.get(1, {}).get(LEADER_RATE)
        if rate not in (None, "12345"):
            first.append(rate)

    scene.cluster.written = 2 * MIB
    scene.cluster.on_tick = look
    scene.process(operation.rollback)
    assert scene.outcomes == ["done", "done"]
    assert int(first[0]) < 80 * MIB, "what clients write is measured anew"
    assert scene.state() == scene.start


def test_what_cannot_be_measured_does_not_end_a_run() -> None:
    scene = tuned()
    operate = forward(scene)
    gone, headless = TopicPartition("others", 0), TopicPartition("others", 1)

    def change() -> None:
        if scene.cluster.reassignments() and gone in scene.cluster.parts:
            del scene.cluster.parts[gone]  # deleted: the brokers show it for a moment more
            part = scene.cluster.parts[headless]
            scene.cluster.parts[headless] = replace(part, leader=-1)

    scene.cluster.on_tick = change
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert any("not measured anew" in line for line in scene.said), scene.said


def test_a_rate_that_an_operator_set_is_not_tuned() -> None:
    scene = tuned()
    operate = forward(scene)

    def change() -> None:
        if scene.cluster.reassignments() and scene.cluster.written:
            scene.cluster.written = 0.0
            scene.cluster.broker_own[3][LEADER_RATE] = "999"

    scene.cluster.on_tick = change
    scene.process(operate)
    assert scene.outcomes == ["done"]
    assert scene.throttles()["brokers"] == {**PRIOR["brokers"], 3: {LEADER_RATE: "999"}}


def test_a_throttle_below_what_clients_write_is_refused() -> None:
    scene = Scene(written=5 * MIB)
    scene.options = Options(throttle=4 * MIB, concurrency=1, reserve=0)
    with pytest.raises(GuardRefused, match=r"never end: clients write 5(\.0)? MiB/s") as refused:
        scene.plan()
    assert refused.value.code == "KO-PLACEMENT-NEVER-ENDS"
    scene.options = Options(throttle=6 * MIB, concurrency=1, reserve=0)
    assert scene.plan().specs
