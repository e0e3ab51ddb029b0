"""A rolling upgrade in ZooKeeper mode: what is refused, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.upgrade.rolling import upgrading
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.upgrade_scene import OLD, Upgrade, in_zookeeper_mode


def test_in_zookeeper_mode_both_ways_to_four_are_named() -> None:
    world = Upgrade(voters=())
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert "KO-ZOOKEEPER" in caught.value.message
    assert "migrate it to KRaft" in caught.value.message
    assert "blue-green" in caught.value.message


def test_in_zookeeper_mode_the_protocol_version_must_be_pinned() -> None:
    world = Upgrade(Options(to="3.9.2"), voters=())
    for host in world.hosts.values():
        host.node.version = "3.8.1"
        host.links["/opt/kafka/current"] = "versions/3.8.1"
        host.unpacked = {}
        if host.name != "blue-2":
            host.files["/opt/kafka/config/server.properties"] = (
                b"inter.broker.protocol.version=3.8\n"
            )
    world.cluster.finalized.clear()
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert caught.value.code == "KO-PROTOCOL-NOT-PINNED"
    assert "blue-2" in caught.value.message
    host = world.hosts["blue-2"]
    host.files["/opt/kafka/config/server.properties"] = b"inter.broker.protocol.version: 3.8\n"
    assert world.plan().specs


def test_in_zookeeper_mode_it_rolls_and_goes_back_while_the_protocol_stays() -> None:
    world = in_zookeeper_mode()
    world.cluster.active = 4
    plan = world.plan()
    stops = [s.args["node"] for s in plan.specs if s.kind == "node-stopped"]
    assert stops.index(4) >= len(stops) - 2
    world.scene(plan=plan).play()
    assert set(world.versions().values()) == {"3.9.2"}
    assert {host.node.protocol for host in world.hosts.values()} == {"3.8"}
    world.scene(plan=upgrading.way_back(world.world, plan)).play()
    assert set(world.versions().values()) == {"3.8.1"}
    assert (world.cluster.faults, set(world.starts().values())) == ([], {2})


@pytest.mark.parametrize("where", ["file", "process"])
def test_in_zookeeper_mode_a_raised_protocol_shuts_the_way_back(where: str) -> None:
    world = in_zookeeper_mode()
    plan = world.plan()
    world.scene(plan=plan).play()
    host = world.hosts["blue-3"]
    if where == "file":
        host.files[host.properties] = b"inter.broker.protocol.version=3.9\n"
    else:
        host.node.protocol = "3.9-IV0"
    with pytest.raises(GuardRefused) as caught:
        upgrading.way_back(world.world, plan)
    assert caught.value.code == "KO-PROTOCOL-RAISED"
    assert "3.8.1 does not know that" in caught.value.message


def test_in_zookeeper_mode_software_older_than_the_protocol_is_refused() -> None:
    world = in_zookeeper_mode()
    world.options = replace(world.options, to=OLD)
    for host in world.hosts.values():
        host.files[host.properties] = b"inter.broker.protocol.version=4.0\n"
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert "KO-PROTOCOL-NEWER" in f"{caught.value.code} {caught.value.message}"


def test_in_zookeeper_mode_a_release_of_4_is_refused_before_its_tarball_is_asked_for() -> None:
    world = Upgrade(Options(to="4.2.0"), voters=())
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert caught.value.code == "KO-ZOOKEEPER"
