"""Volumes of a whole cluster: installed, prepared and rotated, killed at every call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from kafkaops.engine.errors import OpsError
from kafkaops.engine.run import Runner, RunResult
from kafkaops.ports.facts import Facts
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.volumes import host_file
from kafkaops.volumes.cluster.asking import (
    BACKUP,
    CLOSE,
    ERASE,
    INSTALL,
    MOUNT,
    OPEN,
    PREPARE,
    REWRAP,
    ROTATE,
    Asked,
)
from kafkaops.volumes.cluster.on_host import status
from kafkaops.volumes.cluster.planner import Packed
from kafkaops.volumes.module import COMMAND, CURRENT, ON_PATH
from tests.crash.engine_harness import Scene, sweep
from tests.crash.volumes_scene import Volumes, _digest, hosts_file
from tests.unit.volumes.fake_disks import OTHER_ARN


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    file = tmp_path / "module.tar.gz"
    file.write_bytes(b"a module")
    return Packed("kafkaops-1-0a", str(file), _digest(file))


def rollback(runner: Runner[World]) -> RunResult:
    return runner.rollback()


def test_an_install_puts_module_file_and_units_and_can_be_taken_back(packed: Packed) -> None:
    world = Volumes(Asked(INSTALL, "blue"), packed)
    before = world.state()
    scene = world.scene()
    scene.play()
    for name, host in world.hosts.items():
        assert host.links[CURRENT] == packed.name, name
        assert f"{CURRENT}.tar.gz" not in host.files
        assert hosts_file(host).node == int(name.rpartition("-")[2])
        assert hosts_file(host).broker is (name != "blue-100")
        assert "kafkaops-volume@data-1.service" in host.enabled
        assert host.stage.disks.formats == 0, "an install formats nothing"
    scene.operate = rollback
    scene.process()
    assert world.state() == before


def test_an_install_has_roots_shell_find_the_command_and_leaves_what_is_there(
    packed: Packed,
) -> None:
    world = Volumes(Asked(INSTALL, "blue"), packed)
    world.hosts["blue-1"].files[ON_PATH] = b"somebody's"
    world.hosts["blue-2"].links[ON_PATH] = "/opt/other/kafkaops"
    before = world.state()
    scene = world.scene()
    scene.play()
    assert ON_PATH not in world.hosts["blue-1"].links
    assert world.hosts["blue-1"].files[ON_PATH] == b"somebody's"
    assert world.hosts["blue-2"].links[ON_PATH] == "/opt/other/kafkaops"
    assert world.hosts["blue-3"].links[ON_PATH] == "../../../opt/kafkaops/current/bin/kafkaops"
    scene.operate = rollback
    scene.process()
    assert world.state() == before


def test_an_install_killed_anywhere_ends_the_same(packed: Packed) -> None:
    def make() -> Scene[World]:
        return Volumes(Asked(INSTALL, "blue", ("blue-1",)), packed).scene()

    assert sweep(make, reads=False).verdict().killed > 20


def test_blank_disks_are_made_one_host_after_another_controllers_last() -> None:
    world = Volumes(Asked(PREPARE, "blue"))
    scene = world.scene()
    assert [spec.args["host"] for spec in scene.plan.specs][-1] == "blue-100"
    scene.play()
    assert all(h.stage.disks.facts.at is not None for h in world.hosts.values())
    assert ("prepare", "data-1", "--yes", "-o", "json") in world.hosts["blue-1"].typed
    label = world.hosts["blue-100"].cli.spec.label
    assert ("prepare", "data-1", "--confirm", label, "-o", "json") in world.hosts["blue-100"].typed


def test_a_broker_that_never_was_up_is_no_controller() -> None:
    world = Volumes(Asked(PREPARE, "blue", ("blue-3", "blue-100")))
    world.cluster.parts.clear()
    world.cluster.topic("orders", [(1, 2), (2, 1)], 1)
    world.cluster.nodes[3].pid = 0
    made = world.plan()
    assert [spec.args["broker"] for spec in made.specs] == [True, False]
    assert [note for note in made.notes if "node 3" in note] == []
    world.scene().play()
    assert ("prepare", "data-1", "--yes", "-o", "json") in world.hosts["blue-3"].typed


def test_a_broker_with_a_vote_is_asked_for_as_a_controller() -> None:
    world = Volumes(Asked(PREPARE, "blue", ("blue-1", "blue-2")), voters=(1, 100))
    made = world.plan()
    assert [(s.args["broker"], s.args["voter"]) for s in made.specs] == [
        (True, True),
        (True, False),
    ]
    assert [note for note in made.notes if "node 1 is a controller" in note]
    world.scene().play()
    label = world.hosts["blue-1"].cli.spec.label
    assert ("prepare", "data-1", "--confirm", label, "-o", "json") in world.hosts["blue-1"].typed
    assert ("prepare", "data-1", "--yes", "-o", "json") in world.hosts["blue-2"].typed


@pytest.mark.parametrize("verb", [PREPARE, ROTATE, REWRAP, BACKUP, OPEN, MOUNT, CLOSE])
def test_killed_anywhere_each_volume_opens_and_none_is_made_twice(verb: str) -> None:
    def make() -> Scene[World]:
        world = Volumes(Asked(verb, "blue", ("blue-1", "blue-100"), key=_key(verb)))
        if verb != PREPARE:
            world.prepared()
        if verb in (OPEN, MOUNT):
            for host in world.hosts.values():
                host.stage.disks.reboot()
        return world.scene()

    assert sweep(make, reads=False).verdict().killed >= 8


def _key(verb: str) -> str:
    return OTHER_ARN if verb == REWRAP else ""


@pytest.mark.parametrize("verb", [ROTATE, REWRAP])
def test_copies_that_a_hosts_role_may_not_delete_are_deleted_from_here(verb: str) -> None:
    world = Volumes(Asked(verb, "blue", ("blue-1", "blue-2"), key=_key(verb))).prepared()
    for host in world.hosts.values():
        host.stage.copies.keeps = True
    old = set(world.hosts["blue-1"].stage.copies.objects)
    world.scene().play()
    for name in ("blue-1", "blue-2"):
        stage = world.hosts[name].stage
        assert len(stage.copies.objects) == 1
        assert not old & set(stage.copies.objects)
        assert stage.opens(world.hosts[name].cli.spec)
        [row] = status(cast(Host, world.hosts[name]), "data-1", "--local")
        assert not row["rotating"]


def test_a_rotation_that_was_begun_on_a_host_is_finished_and_is_the_new_key() -> None:
    world = Volumes(Asked(ROTATE, "blue", ("blue-1",))).prepared()
    host = world.hosts["blue-1"]
    host.stage.copies.keeps = True
    assert host.run([COMMAND, "volume", "rotate", "--yes", "-o", "json"]).code != 0
    made = len(host.stage.kms.secrets)
    world.scene().play()
    assert len(host.stage.kms.secrets) == made, "a second new key"


def left() -> Volumes:
    """blue-3 has no replica any more, and is to be erased."""
    world = Volumes(Asked(ERASE, "blue", ("blue-3",))).prepared()
    world.cluster.parts.clear()
    world.cluster.topic("orders", [(1, 2), (2, 1)], 1)
    return world


def test_what_left_the_cluster_is_erased_killed_anywhere() -> None:
    world = left()
    world.scene().play()
    disks = world.hosts["blue-3"].stage.disks
    assert (disks.locks, disks.facts.header, disks.facts.mapping) == ({}, None, None)
    assert world.hosts["blue-3"].stage.copies.objects == {}
    assert all(h.stage.disks.facts.at for n, h in world.hosts.items() if n != "blue-3")

    def make() -> Scene[World]:
        world = left()
        world.hosts["blue-3"].stage.copies.keeps = True
        return world.scene(erases=True)

    assert sweep(make, reads=False).verdict().killed >= 4


def test_in_zookeeper_mode_nobody_votes() -> None:
    world = Volumes(Asked(ERASE, "blue", ("blue-3",)), voters=()).prepared()
    assert world.cluster.snapshot(full=False).quorum is None
    world.cluster.parts.clear()
    world.cluster.topic("orders", [(1, 2), (2, 1)], 1)
    assert [spec.args["voter"] for spec in world.plan().specs] == [False]


@pytest.mark.parametrize("verb", [OPEN, MOUNT, CLOSE, BACKUP, ROTATE, REWRAP])
def test_what_does_not_depend_on_the_cluster_asks_nothing_of_it(verb: str) -> None:
    world = Volumes(Asked(verb, "blue", ("blue-1",), key=_key(verb))).prepared()
    if verb in (OPEN, MOUNT):
        world.hosts["blue-1"].stage.disks.reboot()
    object.__setattr__(world.world, "clusters", {})
    scene = world.scene()
    scene.protocols = {"hosts": Host, "facts": Facts}
    scene.play()
    assert scene.outcomes == ["done"]


@pytest.mark.parametrize("verb", [INSTALL, PREPARE])
def test_a_cluster_that_was_never_started_is_not_asked(verb: str, packed: Packed) -> None:
    asked = Asked(verb, "blue", ("blue-1",), new=True)
    world = Volumes(asked, packed if verb == INSTALL else None)
    if verb == PREPARE:  # by a file that `install --new-cluster` wrote: every node may have a vote
        cli = world.hosts["blue-1"].cli
        cli.spec = replace(cli.spec, voter=True)
    object.__setattr__(world.world, "clusters", {})
    scene = world.scene()
    scene.protocols = {"hosts": Host, "facts": Facts}
    scene.play()
    assert scene.outcomes == ["done"]
    if verb == PREPARE:
        assert world.hosts["blue-1"].stage.disks.facts.at is not None
    else:
        assert hosts_file(world.hosts["blue-1"]).voter


def test_a_host_that_is_away_does_not_keep_the_others_from_theirs() -> None:
    world = Volumes(Asked(MOUNT, "blue")).prepared()
    for name in ("blue-1", "blue-2"):
        world.hosts[name].stage.disks.reboot()
    world.hosts["blue-2"].away = True
    assert {spec.args["host"] for spec in world.plan().specs} == {"blue-1", "blue-2"}


@pytest.mark.parametrize(
    ("host", "code", "said"),
    [
        ("blue-3", "KO-VOLUME-HOLDS", "node 3 holds 3 replicas, as of orders-0"),
        ("blue-100", "KO-VOLUME-VOTES", "node 100 has a vote"),
    ],
)
def test_what_did_not_leave_is_not_erased(host: str, code: str, said: str) -> None:
    world = Volumes(Asked(ERASE, "blue", (host,))).prepared()
    with pytest.raises(OpsError, match=said) as caught:
        world.scene().process()
    assert caught.value.code == code
    assert world.hosts[host].stage.disks.facts.at is not None
    assert {line[0] for line in world.hosts[host].typed} == {"status"}


def test_the_only_in_sync_replica_is_not_made_anew() -> None:
    world = Volumes(Asked(PREPARE, "blue", ("blue-1",)))
    world.cluster.topic("lonely", [(2,), (1,)], 1)
    scene = world.scene()
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert "lonely-1" in caught.value.message
    assert world.hosts["blue-1"].stage.disks.formats == 0


def test_a_refusal_of_the_host_is_told_with_its_code_and_hint() -> None:
    world = Volumes(Asked(ROTATE, "blue", ("blue-2",)))
    with pytest.raises(OpsError) as caught:
        world.scene().process()
    assert caught.value.code == "KO-VOLUME-BLANK"
    assert caught.value.where == "blue-2"
    assert "on blue-2: kafkaops volume prepare data-1" in caught.value.hint


def test_a_host_without_the_module_is_named() -> None:
    world = Volumes(Asked(MOUNT, "blue", ("blue-2",)))
    world.hosts["blue-2"].module = False
    with pytest.raises(OpsError, match="not on blue-2"):
        world.plan()


def test_a_host_where_all_is_so_is_left_out_of_the_plan(packed: Packed) -> None:
    world = Volumes(Asked(INSTALL, "blue"), packed)
    world.scene().play()
    assert world.plan().specs == ()
    assert world.plan().notes == ("already so on 4 hosts",)
    changed = world.hosts["blue-2"]
    changed.files[host_file.PATH] += b" "
    made = world.plan()
    assert {spec.args["host"] for spec in made.specs} == {"blue-2"}
    assert "volume-units" in {spec.kind for spec in made.specs}, "systemd is to read it again"
    assert made.notes[-1] == "already so on 3 hosts"


def test_an_unknown_host_or_volume_is_refused_before_anything() -> None:
    with pytest.raises(OpsError, match="no host 'blue-9'"):
        Volumes(Asked(MOUNT, "blue", ("blue-9",))).plan()
    with pytest.raises(OpsError, match="no volume 'data-9'"):
        Volumes(Asked(MOUNT, "blue", (), ("data-9",))).plan()
