"""Every node of a cluster with its host: what runs there, since when, and what would start next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import OpsError
from kafkaops.ports.world import World
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.release import running
from kafkaops.upgrade.refusals_early import AT_ONCE
from kafkaops.upgrade.rolling.survey import outdated


@dataclass(frozen=True)
class Entry:
    """`started` in epoch seconds, 0 where nothing runs; `next` is what the link says, "" without
    one; `outdated`: its configuration was changed since it started; `trouble` why it could not be
    asked."""

    host: str
    node: int | None
    unit: str = ""
    release: str = ""
    next: str = ""
    started: float = 0.0
    outdated: bool = False
    trouble: str = ""


def roster(world: World, spec: ClusterSpec) -> list[Entry]:
    """Ask all hosts, side by side. One that cannot be asked says why."""
    with ThreadPoolExecutor(min(AT_ONCE, len(spec.hosts))) as pool:
        return list(pool.map(lambda host: _entry(world, spec, host), spec.hosts))


def _entry(world: World, spec: ClusterSpec, host: HostSpec) -> Entry:
    there = world.hosts[host.name]
    try:
        unit = there.unit(spec.service)
        found = running(there.open_files(unit.pid)) if unit.pid else None
        link = there.link(Place(spec.install.directory).link) if spec.install else None
        return Entry(
            host.name,
            host.node_id,
            f"{unit.active} ({unit.sub})",
            str(found.release) if found else "",
            (link or "").rpartition("/")[2],
            unit.started,
            bool(unit.pid) and outdated(there, unit, spec),
        )
    except OpsError as error:
        return Entry(host.name, host.node_id, trouble=f"{error.code}: {error.message}")
