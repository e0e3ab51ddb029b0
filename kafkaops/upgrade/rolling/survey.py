"""What a restart is planned from: the cluster and its hosts, read once, and what speaks against it.

Invariant: nothing is changed here; a host that cannot do what the plan asks of it is named before
the first stop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.engine.step import Plan
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.host import Host
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import survey as fleet
from kafkaops.upgrade.rolling import planner
from kafkaops.upgrade.rolling.choosing import Options, choose

AT_ONCE = 32
"""Hosts that are asked at the same time."""
NODE_ID = re.compile(rb"^\s*(?:node|broker)\.id\s*[=:]\s*(\d+)\s*$", re.MULTILINE)


def plan(world: World, options: Options, run: str) -> Plan:
    """The plan of a restart; one without steps where everybody was left alone for `since`."""
    spec = cluster_spec(world, options)
    state = world.clusters[options.cluster].snapshot()
    chosen = choose(spec, state, options)
    units = _units(world, spec, chosen.hosts)
    why = _reasons(world, spec, chosen.hosts, units, options)
    left = [*chosen.left]
    left += [
        f"{chosen.hosts[n].name} is not restarted: {words}" for n, words in sorted(why.items())
    ]
    hosts = {n: h for n, h in chosen.hosts.items() if n not in why}
    left += fleet.look(world, spec, hosts.values())
    return planner.roll(
        world.config,
        state,
        hosts,
        options,
        id=run,
        created=world.clock.wall(),
        left=left,
    )


def snapshot(world: World, options: Options) -> dict[str, object]:
    """The same values as in a plan, as they are now."""
    state: ClusterState = world.clusters[options.cluster].snapshot(full=False)
    return planner.snapshot_of(state, options)


def cluster_spec(world: World, options: Options) -> ClusterSpec:
    return world.config.blue if options.cluster == "blue" else world.config.green


def _reasons(
    world: World,
    spec: ClusterSpec,
    hosts: Mapping[int, HostSpec],
    units: Mapping[int, Unit],
    options: Options,
) -> dict[int, str]:
    """Who is left alone, and why."""
    found: dict[int, str] = {}
    for node, unit in units.items():
        if options.since is not None and unit.started > options.since:
            found[node] = "it started since"
        elif options.changed and not outdated(world.hosts[hosts[node].name], unit, spec):
            found[node] = "its configuration was not changed since it started"
    return found


def outdated(host: Host, unit: Unit, spec: ClusterSpec) -> bool:
    """Whether the broker's properties or its unit were written after its process started."""
    files = [spec.properties, *([unit.file] if unit.file else [])]
    times = [host.changed(file) for file in files]
    return unit.stale or any(at is not None and at > unit.started for at in times)


def _units(world: World, spec: ClusterSpec, hosts: Mapping[int, HostSpec]) -> dict[int, Unit]:
    """The broker's unit of each host. Each must run, under the node id that the config says."""

    def look(node: int) -> Unit:
        name = hosts[node].name
        unit = world.hosts[name].unit(spec.service)
        if not unit.running:
            raise GuardRefused(
                "KO-UNIT-NOT-RUNNING",
                f"the unit {spec.service} of {name} is {unit.active}, and node {node} is up:"
                " is it another host's?",
                where=name,
                hint="compare the config's `hosts` and `service` with the host",
            )
        found = NODE_ID.search(world.hosts[name].read(spec.properties) or b"")
        if found and int(found[1]) != node:
            raise ConfigError(
                "KO-NODE-OTHER",
                f"{name} is node {int(found[1])} by its own {spec.properties}, and node {node} by"
                " the config",
                where=name,
                hint="correct node_id in the config",
            )
        return unit

    nodes = list(hosts)
    if not nodes:
        return {}
    with ThreadPoolExecutor(min(AT_ONCE, len(nodes))) as pool:
        return dict(zip(nodes, pool.map(look, nodes), strict=True))
