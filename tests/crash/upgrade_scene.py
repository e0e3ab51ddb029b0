"""A rolling upgrade on the fakes of the rolling restart: 3.9.2 to 4.3.1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.step import Plan
from kafkaops.ports.versions import Tarball
from kafkaops.upgrade.rolling import upgrading
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.registry import REGISTRY
from tests.crash.fake_node_host import NodeHost
from tests.crash.restart_scene import Restart

OLD, NEW = "3.9.2", "4.3.1"


class OneVersion:
    """Implements `ports.versions.Versions`. `gone`: the source is there no more."""

    gone = False

    def sha512(self, release: str) -> str:
        return f"sum-{release}"

    def tarball(self, release: str) -> Tarball:
        if self.gone:
            raise ConfigError("KO-VERSION-SOURCE", f"{release} is not there", where="versions")
        if release not in (OLD, NEW):
            raise ConfigError("KO-VERSION-UNKNOWN", f"no {release} here", where="versions")
        return Tarball(release, self.sha512(release), Path(f"/tarballs/{release}.tgz"), size=1000)


class Upgrade(Restart):
    """`to` is the release; hosts run 3.9.2 by the link."""

    registry = REGISTRY

    def __init__(self, options: Options | None = None, **more: Any) -> None:
        super().__init__(replace(options or Options(), to=(options and options.to) or NEW), **more)
        self.world = replace(self.world, versions=OneVersion())

    def plan(self) -> Plan:
        return upgrading.plan(self.world, self.options, "run-1")

    def upgraded(self, *nodes: int) -> None:
        """These run the new version already, by an earlier run."""
        for node in nodes:
            host = self.hosts[f"blue-{node}"]
            host.node.version, host.links["/opt/kafka/current"] = NEW, f"versions/{NEW}"

    def versions(self) -> dict[int, str]:
        return {host.node.id: host.node.version for host in self.hosts.values()}

    def endings(self, notes: str) -> dict[str, Any]:
        """By host, what was written down of the end of its process when its link was turned."""
        found: dict[str, Any] = {}
        for host in self.hosts.values():

            def switch(path: str, to: str, host: NodeHost = host, real: Any = host.switch) -> None:
                found[host.name] = self.facts.get(f"{notes}.{host.name}.ended")
                real(path, to)

            host.switch = switch  # type: ignore[method-assign]
        return found

    def state(self) -> Any:
        return super().state() | {
            "versions": self.versions(),
            "links": {host.name: host.links["/opt/kafka/current"] for host in self.hosts.values()},
        }


def in_zookeeper_mode() -> Upgrade:
    """From 3.8.1 to 3.9.2, the protocol pinned."""
    world = Upgrade(Options(to="3.9.2"), voters=())
    for host in world.hosts.values():
        host.node.version, host.node.protocol = "3.8.1", "3.8"
        host.links["/opt/kafka/current"] = "versions/3.8.1"
        host.unpacked = {}
        host.files[host.properties] = b"inter.broker.protocol.version=3.8\n"
    world.cluster.finalized.clear()
    return world
