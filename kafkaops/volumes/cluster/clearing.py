"""Copies of volumes in S3, deleted by whoever runs this: a host's own role deletes none.

Invariant: the copy of the token that opens the volume stays, unless the volume is to be erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.volumes.cluster.on_host import status, typed


def refused(error: StepFailed, home: str) -> bool:
    """Whether a host was stopped by that alone. `home` is the URI below which a volume's copies
    lie, empty where it has none."""
    return error.code == "KO-AWS-DENIED" and bool(home)


def delete(world: World, home: str, row: Mapping[str, Any], *, but: str = "") -> None:
    """The copies of the header that the volume has (of any, where it has none), but for the token
    of this id. `row` is of `volume status`. ConfigError KO-AWS-DENIED where these rights do not
    do it either."""
    own = f"{home}{row['uuid']}/" if row["uuid"] else home
    for uri in world.copies.listed(own):
        if not (but and uri.endswith(f"/token-{but}.json")):
            world.say(f"{row['volume']}: delete {uri}")
            world.copies.delete(uri)


def erase(world: World, host: Host, volume: str, label: str, home: str) -> None:
    """Close it and erase it; a host that may not delete copies has destroyed nothing yet."""
    typed(host, "close", volume)
    argv = ("erase", volume, "--confirm", label)
    try:
        typed(host, *argv)
    except StepFailed as error:
        if not refused(error, home):
            raise
        [row] = status(host, volume, "--local")
        delete(world, home, row)
        typed(host, *argv)
