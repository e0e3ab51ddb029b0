"""Hosts that cannot be used: a restart and an upgrade end before anybody was stopped, with the
exit code that docs/rolling.md and docs/hosts.md say, and a resume goes on once it is cured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.adapters.host_ssh import SshHost
from kafkaops.adapters.host_ssm import SsmHost
from kafkaops.config.schema import Aws
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, TimedOut
from kafkaops.lab.front import Front
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api as Route53Api
from kafkaops.lab.ssm import Commands
from kafkaops.lab.ssm_rest import Api
from kafkaops.ports.host import Host
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.fake_node_host import NodeHost
from tests.crash.restart_scene import Restart
from tests.crash.test_upgrade import NODES, ONCE
from tests.crash.upgrade_scene import NEW, OLD, Upgrade

BAD = "blue-3"


def untouched(world: Restart) -> None:
    """Nobody was stopped, and no link was turned."""
    assert set(world.starts().values()) == {0}
    assert all(node.pid for node in world.cluster.nodes.values())
    assert {host.links["/opt/kafka/current"] for host in world.hosts.values()} == {
        f"versions/{OLD}"
    }
    assert world.cluster.faults == []


# known before anything


def over_ssh(directory: Path, script: str) -> SshHost:
    """A host whose `ssh` is a script of the test."""
    program = directory / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return SshHost(
        BAD,
        "127.0.1.3",
        target="ops@blue-3",
        control_dir=str(directory / "control"),
        program=str(program),
    )


FAILS = "echo '{}' >&2; exit 255".format
ROOT = 'for last; do :; done; case $last in "id -u") echo 0; exit;; esac'
USER = """\
for last; do :; done
case $last in
  "id -u") echo 1000 ;;
  *"sudo -n -- true"*) echo "sudo: a password is required" >&2; exit 1 ;;
  *) touch "$0.ran" ;;
esac"""
NO_UNIT = f"{ROOT}\necho LoadState=not-found; echo ActiveState=inactive; echo MainPID=0"
BY_SSH = {
    "refused": (FAILS("ssh: connect to host blue-3 port 22: Connection refused"), "KO-SSH-REFUSED"),
    "an unknown host key": (FAILS("Host key verification failed."), "KO-SSH-HOST-KEY"),
    "another host key": (
        FAILS("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @"),
        "KO-SSH-HOST-KEY-CHANGED",
    ),
    "no key of ours": (FAILS("ops@blue-3: Permission denied (publickey)."), "KO-SSH-DENIED"),
    "sudo wants a password": (USER, "KO-HOST-SUDO"),
    "a unit that does not exist": (NO_UNIT, "KO-UNIT-UNKNOWN"),
}
COMMANDS: list[Callable[[], Restart]] = [Restart, Upgrade]


def refused(world: Restart, host: Host) -> OpsError:
    """What planning says with this host in place of the fake one."""
    before = {name: dict(one.files) for name, one in world.hosts.items()}
    world.world = replace(world.world, hosts={**world.hosts, BAD: host})
    with pytest.raises(OpsError) as caught:
        world.plan()
    untouched(world)
    assert {name: one.files for name, one in world.hosts.items()} == before
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("make", COMMANDS)
@pytest.mark.parametrize("trouble", BY_SSH)
def test_over_ssh(tmp_path: Path, make: Callable[[], Restart], trouble: str) -> None:
    script, code = BY_SSH[trouble]
    error = refused(make(), over_ssh(tmp_path, script))
    assert (error.code, int(error.exit)) == (code, 4)
    assert BAD in f"{error.where} {error.message}"
    assert not (tmp_path / "ssh.ran").exists()


@pytest.fixture
def ssm() -> Iterator[str]:
    """The lab's SSM, which no agent of ours is connected to."""
    world = Restart()
    commands = Commands({}, world.clock, spawn=lambda work: work(), taken=0.0)
    zone = Zone("kafka.lab.", "Z0LAB")
    front = Front(Route53Api(zone), ("127.0.0.1", 0), ("127.0.0.1", 9), Api(commands))
    front.start()
    yield f"http://127.0.0.1:{front.server.server_port}"
    front.server.shutdown()
    front.server.server_close()


@pytest.mark.parametrize("make", COMMANDS)
def test_an_agent_that_is_offline(
    make: Callable[[], Restart], ssm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "lab")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "lab")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    world = make()
    aws = Aws(endpoint_url=ssm)
    host = SsmHost(BAD, "127.0.1.3", instance="i-03", aws=aws, clock=world.clock)
    error = refused(world, host)
    assert (error.code, int(error.exit)) == ("KO-SSM-OFFLINE", 4)


# found only once it is brought there


def finished(world: Upgrade) -> None:
    state = world.state()
    assert state["versions"] == dict.fromkeys(NODES, NEW)
    assert (state["starts"], state["faults"]) == (ONCE, [])
    for host in world.hosts.values():
        assert whole(host)


def whole(host: NodeHost) -> bool:
    """Whether the new version lies there with its mark, and nothing of the tarball is left."""
    home = f"/opt/kafka/versions/{NEW}"
    marked = host.files.get(f"{home}/.kafkaops-sha512") == f"sum-{NEW}\n".encode()
    return marked and home in host.unpacked and f"/opt/kafka/versions/.{NEW}.tgz" not in host.files


@pytest.mark.parametrize("what", ["upload", "unpack", "put"])
def test_a_disk_that_fills_while_a_version_is_brought(what: str) -> None:
    """There was room when it was planned."""
    world = Upgrade()
    scene = world.scene()
    bad = world.hosts[BAD]
    bad.full = {what}
    for _ in range(2):  # a resume before there is room finds the same
        with pytest.raises(StepFailed) as caught:
            scene.process()
        error = caught.value
        assert (error.code, error.where, int(error.exit)) == ("KO-HOST-DISK", BAD, 8)
        untouched(world)
        assert not whole(bad)
        assert bad.tried == []
    bad.full = set()
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world)


def test_a_host_that_goes_away_before_its_version_is_brought_is_waited_for() -> None:
    world = Upgrade()
    scene = world.scene()
    world.hosts[BAD].away = True
    with pytest.raises(TimedOut) as caught:
        scene.process()
    assert int(caught.value.exit) == 7
    assert f"{BAD} does not answer" in caught.value.message
    untouched(world)
    world.hosts[BAD].away = False
    scene.process()
    finished(world)


def test_a_trial_that_failed_is_tried_again_by_a_resume() -> None:
    world = Upgrade()
    scene = world.scene()
    world.hosts[BAD].line = ("java", "-jar", "kafka-agent.jar")
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert (caught.value.code, caught.value.where) == ("KO-VERSION-TRIAL", BAD)
    untouched(world)
    world.hosts[BAD].line = ("java", "-cp", "x", "kafka.Kafka", "s.p")
    scene.process()
    finished(world)


def test_a_tarball_of_another_release_than_it_says() -> None:
    """An address that the hosts fetch from was looked into by nobody before."""
    world = Upgrade()
    scene = world.scene()
    home = f"/opt/kafka/versions/{NEW}"
    unpack = NodeHost.unpack

    def other(tarball: str, directory: str, *, owner: str = "") -> None:
        unpack(world.hosts[BAD], tarball, directory, owner=owner)
        world.hosts[BAD].unpacked[directory] = "4.2.0"

    world.hosts[BAD].unpack = other  # type: ignore[method-assign]
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert (caught.value.code, caught.value.where) == ("KO-VERSION-OTHER", BAD)
    untouched(world)
    assert home not in world.hosts[BAD].unpacked
    assert f"/opt/kafka/versions/.{NEW}.tgz" not in world.hosts[BAD].files
    del world.hosts[BAD].unpack  # type: ignore[method-assign]
    scene.process()
    finished(world)


def test_sudo_that_is_taken_away_in_the_middle_leaves_nobody_down() -> None:
    """Found at the first stop of that host: the run ends, and goes on once it is back."""
    world = Restart(Options(only=("1", "2")))
    scene = world.scene()
    [second] = [s.args["host"] for s in scene.plan.specs if s.kind == "node-stopped"][1:]
    host = world.hosts[second]
    reached = host._reached

    def wants() -> None:
        if any(world.starts().values()):
            raise ConfigError("KO-HOST-SUDO", f"{second} wants a password", where=second)
        reached()

    host._reached = wants  # type: ignore[method-assign]
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-HOST-SUDO", 8)
    assert all(node.pid for node in world.cluster.nodes.values())
    assert (world.starts()[host.node.id], sum(world.starts().values())) == (0, 1)
    host._reached = reached  # type: ignore[method-assign]
    world.clock.sleep(10)
    scene.process()
    assert (world.starts()[1], world.starts()[2], world.cluster.faults) == (1, 1, [])
