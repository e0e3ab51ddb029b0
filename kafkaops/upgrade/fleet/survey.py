"""What a plan says of the fleet: which groups and agents will be held. Nothing is changed here.

Invariant: an agent that a host has not, and an action that AWS denies, is told before the first
stop and not in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import groups
from kafkaops.upgrade.rolling.node import named

AT_ONCE = 32


def look(world: World, spec: ClusterSpec, hosts: Iterable[HostSpec]) -> list[str]:
    """Notes for the plan; none where the config asks for nothing. ConfigError for a unit that is
    not there."""
    chosen = list(hosts)
    if not chosen:
        return []
    notes = _groups(world, chosen) if spec.fleet.auto_scaling else []
    if spec.fleet.agents:
        notes += _agents(world, spec, chosen)
    return notes


def _groups(world: World, hosts: list[HostSpec]) -> list[str]:
    by_instance = {host.ec2: host.name for host in hosts}
    found = groups.of(world, by_instance)
    notes = []
    for name, members in sorted(found.items()):
        world.scaling.busy(name)  # to hear now what is not allowed
        before = sorted(world.scaling.suspended(name))
        kept = f"; {', '.join(before)} suspended already, and stay so" if before else ""
        who = named([by_instance[m.instance] for m in members])
        notes.append(f"Auto Scaling group {name} ({who}): suspended while they are down{kept}")
    inside = {m.instance for members in found.values() for m in members}
    outside = [name for instance, name in by_instance.items() if instance not in inside]
    if outside:
        notes.append(f"in no Auto Scaling group: {named(outside)}")
    return notes


def _agents(world: World, spec: ClusterSpec, hosts: list[HostSpec]) -> list[str]:
    units = list(spec.fleet.agents)

    def one(host: HostSpec) -> None:
        unknown = world.hosts[host.name].agents(units).unknown
        if unknown:
            raise ConfigError(
                "KO-AGENT-UNKNOWN",
                f"{host.name} has no unit {', '.join(unknown)}",
                where="fleet.agents",
                hint=f"on the host: systemctl status {unknown[0]}",
            )

    with ThreadPoolExecutor(min(AT_ONCE, len(hosts))) as pool:
        list(pool.map(one, hosts))
    return [f"agents stopped while a node is down, where they run: {', '.join(units)}"]
