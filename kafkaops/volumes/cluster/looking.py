"""`volume status` of every host of a cluster, asked side by side."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafkaops.config.schema import HostSpec
from kafkaops.engine.errors import OpsError
from kafkaops.ports.world import World
from kafkaops.volumes.cluster.on_host import status
from kafkaops.volumes.cluster.planner import chosen

AT_ONCE = 16
UNKNOWN = {
    "state": "unknown",
    "next": "",
    "good": False,
    "mode": "",
    "key_age": None,
}


def statuses(
    world: World, colour: str, hosts: tuple[str, ...], volumes: tuple[str, ...]
) -> list[Mapping[str, Any]]:
    """A row a volume, with its `host`; a host that cannot be asked has one row that says why."""
    spec = world.config.blue if colour == "blue" else world.config.green
    wanted = chosen(spec, hosts)
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
        found = list(pool.map(lambda host: _of(world, host, volumes), wanted))
    return [row for rows in found for row in rows]


def _of(world: World, host: HostSpec, volumes: tuple[str, ...]) -> list[Mapping[str, Any]]:
    try:
        return [{"host": host.name, **row} for row in status(world.hosts[host.name], *volumes)]
    except OpsError as error:
        told = {"code": error.code, "why": error.message, "hint": error.hint}
        return [{"host": host.name, "volume": "-", **UNKNOWN, **told}]
