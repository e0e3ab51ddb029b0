"""Hosts of the config that are no node of the cluster: told from brokers that are only down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.config.schema import HostSpec
from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.upgrade.rolling import inventory
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.restart_scene import Restart
from tests.crash.upgrade_scene import Upgrade
from tests.unit.upgrade.rolls import gates


def known(world: Any, *more: tuple[str, int]) -> Any:
    """The same world, with these hosts in the config too."""
    blue = world.world.config.blue
    added = tuple(HostSpec(name=name, node_id=n, address=f"h{n}") for name, n in more)
    spec = blue.model_copy(update={"hosts": (*blue.hosts, *added)})
    config = world.world.config.model_copy(update={"blue": spec})
    world.world = replace(world.world, config=config)
    return world


def down(world: Any, node: int) -> Any:
    world.cluster.die(node)
    world.clock.sleep(5)
    return world


@pytest.mark.parametrize("kind", [Restart, Upgrade])
def test_a_host_that_is_no_node_is_refused_before_anything(kind: Any) -> None:
    with pytest.raises(GuardRefused) as caught:
        known(kind(), ("stray", 77)).plan()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-HOST-NO-NODE", 5)
    assert "stray: node 77 is no node of blue" in caught.value.message


@pytest.mark.parametrize("kind", [Restart, Upgrade])
@pytest.mark.parametrize("some", [{"only": ("1", "100", "101", "102")}, {"rack": "a"}])
def test_where_some_were_asked_for_it_is_a_note(kind: Any, some: dict[str, Any]) -> None:
    world = kind(Options(**some))
    if kind is Upgrade:
        world.upgraded(100, 101, 102)
    notes = known(world, ("stray", 77)).plan().notes
    assert any("KO-HOST-NO-NODE:stray: node 77 is no node of blue" in note for note in notes)


def test_a_broker_that_is_down_is_no_stranger_to_a_restart() -> None:
    plan = down(Restart(), 5).plan()
    assert 5 not in {n for batch in gates(plan) for n in batch}
    assert any("blue-5: broker 5 is down: it holds replicas" in note for note in plan.notes)


def test_nor_to_an_upgrade_which_waits_until_all_are_up() -> None:
    with pytest.raises(GuardRefused) as caught:
        down(Upgrade(), 5).plan()
    assert "blue-5: broker 5 is down: it holds replicas" in caught.value.message
    assert "no node of" not in caught.value.message


def test_controllers_that_are_down_or_only_follow_are_told_apart() -> None:
    world = known(Restart(), ("ctl-103", 103))
    down(world, 102)
    state = world.cluster.snapshot()
    quorum = replace(state.quorum, observers={103: 90})
    spec = world.world.config.blue
    [found] = inventory.find(spec, replace(state, quorum=quorum), Options())
    assert (found.subject, found.note) == ("ctl-103", True)
    assert "follows the controllers" in found.reason
    [found] = inventory.find(spec, replace(state, quorum=quorum), Options(to="4.3.1"))
    assert found.blocks


def test_a_host_without_a_node_is_somebody_elses() -> None:
    world = known(Restart())
    hosts = (*world.world.config.blue.hosts, HostSpec(name="tool", address="t"))
    spec = world.world.config.blue.model_copy(update={"hosts": hosts})
    assert list(inventory.find(spec, world.cluster.snapshot(), Options())) == []


@pytest.mark.parametrize("kind", [Restart, Upgrade])
def test_two_hosts_with_one_node_id(kind: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        known(kind(), ("twin", 3)).plan()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-NODE-TWICE", 4)
    assert "blue-3, twin" in caught.value.message
