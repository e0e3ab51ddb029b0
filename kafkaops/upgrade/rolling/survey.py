"""What a restart is planned from: the cluster and its hosts, read once, and what speaks against it.

Invariant: nothing is changed here; a host that cannot do what the plan asks of it is named before
the first stop.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.engine.step import Plan
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.host import Host
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.upgrade import refusals
from kafkaops.upgrade.fleet import survey as fleet
from kafkaops.upgrade.install.properties import settings
from kafkaops.upgrade.refusals_early import Faults
from kafkaops.upgrade.rolling import inventory, planner
from kafkaops.upgrade.rolling.choosing import Options, choose


def plan(world: World, options: Options, run: str) -> Plan:
    """The plan of a restart; one without steps where everybody was left alone for `since`."""
    spec = cluster_spec(world, options)
    state = world.clusters[options.cluster].snapshot()
    chosen = choose(spec, state, options)
    found, faults = list(inventory.find(spec, state, options)), Faults()
    units = _units(world, spec, chosen.hosts, faults)
    why = _reasons(world, spec, chosen.hosts, units, options, faults)
    refusals.refuse(found, faults.found)
    left = [*chosen.left, *map(str, found)]
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
    faults: Faults,
) -> dict[int, str]:
    """Who is left alone, and why."""

    def reason(node: int) -> str:
        if options.since is not None and units[node].started > options.since:
            return "it started since"
        host = world.hosts[hosts[node].name]
        if options.changed and not outdated(host, units[node], spec):
            return "its configuration was not changed since it started"
        return ""

    said = faults.asked({node: hosts[node] for node in units}, reason)
    return {node: words for node, words in said.items() if words}


def outdated(host: Host, unit: Unit, spec: ClusterSpec) -> bool:
    """Whether the broker's properties, its unit or a drop-in of that (`systemctl edit` writes one,
    and reloads) were written after its process started."""
    files = [spec.properties, *([unit.file] if unit.file else []), *unit.drop_ins]
    times = [host.changed(file) for file in files]
    return unit.stale or any(at is not None and at > unit.started for at in times)


def _units(
    world: World, spec: ClusterSpec, hosts: Mapping[int, HostSpec], faults: Faults
) -> dict[int, Unit]:
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
        known = settings(world.hosts[name].read(spec.properties) or b"")
        said = known.get("node.id", known.get("broker.id", ""))
        if said.isdecimal() and int(said) != node:
            raise ConfigError(
                "KO-NODE-OTHER",
                f"{name} is node {int(said)} by its own {spec.properties}, and node {node} by the"
                " config",
                where=name,
                hint="correct node_id in the config",
            )
        return unit

    return faults.asked(hosts, look)
