"""Raising the protocol on the fakes of the rolling restart, in ZooKeeper mode: 3.8 to 3.9."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kafkaops.engine.step import Plan
from kafkaops.upgrade.protocol import survey
from kafkaops.upgrade.protocol.registry import REGISTRY
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.restart_scene import Restart

FILE = b"# by hand\r\nbroker.id=%d\n inter.broker.protocol.version = 3.8 \r\nlog.dirs=/a,\\\n  /b"
CONTROLLER = 2


def file(node: int, protocol: bytes = b"3.8") -> bytes:
    """The whole of its server.properties."""
    return (FILE % node).replace(b"= 3.8 ", b"= " + protocol + b" ")


class Raise(Restart):
    """Six brokers that run 3.9.2 and speak 3.8; broker 2 is the controller. `always` holds that no
    byte but the value's is changed, and that none ever starts twice."""

    registry = REGISTRY

    def __init__(self, options: Options | None = None, **more: Any) -> None:
        options = replace(options or Options(), to=(options and options.to) or "3.9")
        super().__init__(options, voters=(), **more)
        self.cluster.active = CONTROLLER
        self.cluster.finalized.clear()
        for host in self.hosts.values():
            host.node.protocol = "3.8"
            self.writes(host.node.id, file(host.node.id), ago=5000)

    def writes(self, node: int, data: bytes, ago: float = 0) -> None:
        """Somebody writes the file by hand."""
        host = self.hosts[f"blue-{node}"]
        host.files[host.properties] = data
        host.times[host.properties] = self.clock.wall() - ago

    def plan(self) -> Plan:
        return survey.plan(self.world, self.options, "run-1")

    def file(self, node: int) -> bytes:
        host = self.hosts[f"blue-{node}"]
        return host.files[host.properties]

    def spoken(self) -> dict[int, str]:
        """What each process speaks."""
        return {host.node.id: host.node.protocol for host in self.hosts.values()}

    def state(self) -> Any:
        return super().state() | {
            "protocols": self.spoken(),
            "files": {node: self.file(node).decode() for node in self.cluster.nodes},
        }

    def always(self) -> None:
        super().always()
        for node in self.cluster.nodes:
            assert self.file(node) in (file(node), file(node, b"3.9"))
