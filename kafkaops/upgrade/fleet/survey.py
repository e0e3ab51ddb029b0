"""What a plan says of the fleet: which groups and agents will be held. Nothing is changed here.

Invariant: an agent that a host has not, and an action that AWS denies, is told before the first
stop and not in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.errors import ConfigError
from kafkaops.ports.world import World
from kafkaops.upgrade import refusals
from kafkaops.upgrade.fleet import groups
from kafkaops.upgrade.refusals_early import Faults
from kafkaops.upgrade.rolling.node import named


def look(world: World, spec: ClusterSpec, hosts: Iterable[HostSpec]) -> list[str]:
    """Notes for the plan; none where the config asks for nothing. ConfigError for a unit that is
    not there."""
    chosen, faults = list(hosts), Faults()
    if not chosen:
        return []
    notes = []
    if spec.fleet.auto_scaling:
        notes += faults.tried(lambda: _groups(world, chosen)) or []
    if spec.fleet.agents:
        notes += _agents(world, spec, chosen, faults)
    refusals.refuse((), faults.found)
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


def _agents(world: World, spec: ClusterSpec, hosts: list[HostSpec], faults: Faults) -> list[str]:
    units = list(spec.fleet.agents)

    def one(name: str) -> None:
        unknown = world.hosts[name].agents(units).unknown
        if unknown:
            raise ConfigError(
                "KO-AGENT-UNKNOWN",
                f"{name} has no unit {', '.join(unknown)}",
                where="fleet.agents",
                hint=f"on the host: systemctl status {unknown[0]}",
            )

    faults.asked({host.name: host for host in hosts}, one)
    return [f"agents stopped while a node is down, where they run: {', '.join(units)}"]
