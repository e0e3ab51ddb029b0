"""`run finalize` killed at its calls and journal writes: the way back ends once, and whole."""

from __future__ import annotations

import pytest

from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from tests.crash.blue_green_scene import BlueGreen
from tests.crash.engine_harness import SOAK, Scene, further, sweep, sweep_pairs, uncrashed
from tests.crash.outage_scene import Outage

SHARE, PAIRS = (1.0, 0.25) if SOAK else (1 / 2, 0.01)


def finalized(kind: type[BlueGreen]) -> Scene[World]:
    world = kind()
    world.scene().play()
    return world.scene(plan=planner.finalize)


def with_firewall() -> Scene[World]:
    return finalized(BlueGreen)


def without() -> Scene[World]:
    return finalized(Outage)


def test_undisturbed_everything_is_as_it_was_but_green_serves_and_blue_stays_shut() -> None:
    state, _ = uncrashed(with_firewall)
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)
    assert state["ttls"] == {60}
    assert set(state["settings"].values()) == {b"node.id=1\n"}
    assert not any(state["workers"].values())
    assert all(fenced == name.startswith("blue") for name, (fenced, _) in state["fences"].items())


@pytest.mark.parametrize("make", [with_firewall, without])
def test_killed_anywhere_it_resumes_to_the_same_end(make: type[Scene[World]]) -> None:
    assert sweep(make, share=SHARE).verdict().killed > 15


@pytest.mark.parametrize("make", [with_firewall, without])
def test_killed_twice_it_resumes_to_the_same_end(make: type[Scene[World]]) -> None:
    assert sweep_pairs(make, within=20, reads=True, share=PAIRS).verdict().scenarios > 5


def test_a_further_one_finds_nothing_to_do() -> None:
    assert further(with_firewall, anew=True) == ()
