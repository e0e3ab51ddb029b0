"""Volumes made anew broker by broker: killed anywhere, each is erased once and no data is lost."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import pytest

from kafkaops.cli.main import run
from kafkaops.config.volumes import Volumes
from kafkaops.engine.errors import OpsError
from kafkaops.engine.step import Plan
from kafkaops.ports.host import Ran
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling import renewal
from kafkaops.volumes.module import COMMAND
from tests.crash.engine_harness import Scene, sweep
from tests.crash.fake_node_host import NodeHost
from tests.crash.restart_scene import VOTERS, Restart
from tests.unit.cli.test_volume import OnHost
from tests.unit.volumes.fake_disks import ARN, Stage

PASSWORD = "s3://keys/password"
DISK = {"name": "data-1", "device": "instance-store:1", "mountpoint": "/var/lib/kafka/data-1"}


class DiskHost(NodeHost):
    """A node's host with one encrypted volume, mounted, that Kafka uses while it runs."""

    def __init__(self, *args: Any, mode: str = "wrapped") -> None:
        super().__init__(*args)
        self.stage = Stage()
        more = {"wrapped": {}, "ephemeral": {"key": ""}, "s3": {"object": PASSWORD, "copies": ""}}
        self.cli = OnHost(
            self.stage, node=self.node.id, cluster="blue", **more[mode] | {"mode": mode}
        )
        self.erased = 0
        self.typed("prepare", "--yes")
        self.stage.disks.inside = "xfs: records"

    def typed(self, *argv: str) -> Ran:
        return self.run([COMMAND, "volume", *argv, "-o", "json"])

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        if argv[0].endswith(COMMAND):
            if argv[2] in ("close", "erase"):
                assert not self.node.pid, "its volume was taken from a running node"
            self.erased += argv[2] == "erase" and self.stage.disks.inside == "xfs: records"
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(list(argv[1:]), self.cli)
            return Ran(code, out.getvalue(), err.getvalue())
        return super().run(argv, stdin=stdin, timeout=timeout)

    def query(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        return self.run(argv, timeout=timeout)

    def mounted(self, path: str) -> str | None:
        at = self.stage.disks.facts.at
        return None if at is None else at.source


class Renew(Restart):
    def __init__(self, mode: str = "wrapped", **more: Any) -> None:
        super().__init__(**more)
        for name, host in list(self.hosts.items()):
            self.hosts[name] = DiskHost(name, host.node, self.cluster, mode=mode)
        known = {"mode": mode, "key": ARN, "object": PASSWORD, "disks": [DISK]}
        dropped = {"wrapped": ("object",), "s3": (), "ephemeral": ("key", "object")}[mode]
        volumes = Volumes.model_validate({k: v for k, v in known.items() if k not in dropped})
        blue = self.world.config.blue.model_copy(update={"volumes": volumes})
        config = self.world.config.model_copy(update={"blue": blue})
        object.__setattr__(self.world, "config", config)
        object.__setattr__(self.world, "hosts", self.hosts)

    def plan(self) -> Plan:
        return renewal.plan(self.world, self.options, "run-1")

    def disk(self, node: int) -> DiskHost:
        host = self.hosts[f"blue-{node}"]
        assert isinstance(host, DiskHost)
        return host

    def state(self) -> Any:
        kept = super().state()
        kept["erased"] = {n.id: self.disk(n.id).erased for n in self.cluster.nodes.values()}
        kept["mounted"] = {n: self.disk(n).mounted("") for n in kept["erased"]}
        return kept


@pytest.mark.parametrize("mode", ["wrapped", "s3", "ephemeral"])
def test_each_broker_is_made_anew_alone_and_controllers_are_left(mode: str) -> None:
    world = Renew(mode)
    scene = world.scene()
    assert any("keeps its volumes" in note for note in scene.plan.notes)
    scene.play()
    assert scene.outcomes == ["done"]
    erased = {n.id: world.disk(n.id).erased for n in world.cluster.nodes.values()}
    assert erased == {n: int(n not in VOTERS) for n in erased}
    for node in (1, 2, 3, 4, 5, 6):
        assert world.disk(node).stage.disks.inside == "xfs: empty"
        assert world.disk(node).mounted("")
        if mode == "wrapped":
            assert world.disk(node).stage.opens(world.disk(node).cli.spec)
    assert world.starts() == {n: int(n not in VOTERS) for n in erased}


def test_killed_anywhere_each_is_erased_once() -> None:
    def make() -> Scene[World]:
        return Renew(rows=((1, 2, 3), (4, 5, 6))).scene()

    swept = sweep(make, reads=False, share=0.1)
    assert swept.verdict().killed > 20


def test_what_only_it_holds_is_not_erased() -> None:
    world = Renew()
    scene = world.scene()
    broker = world.disk(2)
    stop = broker.unit_stop

    def and_alone(*args: Any, **more: Any) -> Any:
        ended = stop(*args, **more)
        world.cluster.topic("new", [(2,)], 1)
        return ended

    broker.unit_stop = and_alone  # type: ignore[method-assign]
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert "new-0" in caught.value.message
    assert broker.erased == 0
    assert broker.stage.disks.inside == "xfs: records"
