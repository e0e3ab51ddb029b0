"""After a move without a firewall: blue stays open, so it is looked at until the way back ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.engine.step import Spec, State
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import clearing, planner
from kafkaops.upgrade.blue_green.clearing import TopicsCleared
from kafkaops.upgrade.blue_green.settling import Baked
from tests.crash.engine_harness import Scene
from tests.crash.outage_scene import Outage


def moved() -> Outage:
    world = Outage()
    world.scene().play()
    return world


def finalized(world: Outage) -> Scene[World]:
    scene = world.scene(plan=planner.finalize)
    scene.play()
    return scene


def test_the_end_needs_no_firewall_and_retires_the_mirrors() -> None:
    world = moved()
    assert finalized(world).outcomes == ["done"]
    assert not any(host.services.get("mirror") for host in world.hosts.values())
    assert all(r.ttl == 60 for r in world.names.held.values())


def test_a_group_that_is_left_on_blue_is_named_and_bars_the_end() -> None:
    world = moved()
    world.blue.live["forgotten"] = True
    with pytest.raises(GuardRefused, match=r"forgotten \(c at 127\.0\.0\.1\)") as refused:
        finalized(world)
    assert refused.value.code == "KO-STILL-THERE"


def test_a_record_that_the_mirror_did_not_write_bars_the_end() -> None:
    world = moved()
    world.strays("blue")
    with pytest.raises(GuardRefused, match="not written by the mirror: orders-0@") as refused:
        finalized(world)
    assert refused.value.code == "KO-STRANGER"


def test_blue_is_watched_while_green_bakes() -> None:
    world = moved()
    args = {"src": "blue", "dst": "green"}
    step = Baked(Spec(id="bake", kind="baked", title="bake", phase="bake", args=args))
    assert step.check(world.world) is State.DONE
    world.strays("blue")
    with pytest.raises(StepFailed, match="not written by the mirror"):
        step.check(world.world)


def test_green_is_emptied_only_when_nothing_grows_there() -> None:
    world = moved()
    world.scene(plan=planner.way_back).play()
    (spec,) = clearing.plan(world.config, id="clear-1", created=0.0).specs
    step = TopicsCleared(spec)
    world.stray = "green"
    blocked = step.safe(world.world)
    assert blocked is not None
    assert (blocked.code, blocked.transient) == ("KO-CLEAR-USED", True)
    assert "somebody writes to green: orders-0" in blocked.reason
    world.stray = ""
    assert step.safe(replace(world.world)) is None
