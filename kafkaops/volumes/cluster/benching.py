"""`volume bench` of the hosts of a cluster, one disk after another: two that share a network, or a
machine below them, would measure each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafkaops.config.schema import HostSpec
from kafkaops.engine.errors import OpsError
from kafkaops.ports.world import World
from kafkaops.volumes import inventory
from kafkaops.volumes.bench.measuring import Order
from kafkaops.volumes.cluster.on_host import TIMEOUT, typed
from kafkaops.volumes.cluster.planner import chosen

Disk = tuple[HostSpec, str]


def disks(
    world: World, colour: str, hosts: tuple[str, ...], volumes: tuple[str, ...]
) -> list[Disk]:
    """Each host and volume asked for, in the config's order. ConfigError for one that is not
    there, KO-VOLUME-NONE where the cluster has none."""
    spec = world.config.blue if colour == "blue" else world.config.green
    return [
        (host, volume.name)
        for host in chosen(spec, hosts)
        for volume in inventory.host_file(spec, host, world.config.aws, broker=True).chosen(volumes)
    ]


def measured(
    world: World,
    todo: list[Disk],
    order: Order,
    flags: tuple[str, ...],
    say: Callable[[int, HostSpec, str], None],
) -> Iterator[tuple[Mapping[str, Any], OpsError | None]]:
    """A row a disk, with its `host`: its figures, or why there are none, and the error then. `say`
    hears of each before it is measured. `flags` are those of `volume bench`."""
    for number, (host, volume) in enumerate(todo, 1):
        say(number, host, volume)
        try:
            document = typed(
                world.hosts[host.name],
                *("bench", volume, "--yes", *flags),
                timeout=order.takes + TIMEOUT,
            )
        except OpsError as error:
            told = {"code": error.code, "why": error.message, "hint": error.hint}
            yield {"host": host.name, "volume": volume, **told}, error
        else:
            yield {"host": host.name, **document["volumes"][0]}, None
