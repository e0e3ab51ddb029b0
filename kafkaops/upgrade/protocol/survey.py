"""What raising the protocol is planned from: the cluster, and the file and process of every broker.

Invariant: nothing is changed here; every broker is asked, not only those that are to be raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.step import Plan
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade import refusals as upgrade_refusals
from kafkaops.upgrade.fleet import survey as fleet
from kafkaops.upgrade.install.release import running
from kafkaops.upgrade.protocol import planner, refusals
from kafkaops.upgrade.protocol.refusals import Look
from kafkaops.upgrade.protocol.setting import FORMAT, NAME, Protocol, spoken, values
from kafkaops.upgrade.refusals_codes import accept
from kafkaops.upgrade.refusals_early import Faults
from kafkaops.upgrade.rolling.choosing import Options, choose
from kafkaops.upgrade.rolling.survey import cluster_spec


def plan(world: World, options: Options, run: str) -> Plan:
    """The plan, one without steps where every broker speaks it; GuardRefused with every reason."""
    to = Protocol.wanted(str(options.to))
    spec = cluster_spec(world, options)
    state = world.clusters[options.cluster].snapshot()
    refusals.refuse_kraft(state, spec.name, options.cluster, to)
    chosen = choose(spec, state, options)
    faults = Faults()
    looks = _looks(world, spec, state, chosen.hosts, faults)
    releases = tuple(world.config.versions)
    found = list(refusals.find(state, spec, looks, to, releases, options.flag))
    found = list(accept(found, world.config.accept))
    upgrade_refusals.refuse(found, faults.found)
    left = [*chosen.left, *map(str, found), *(w for one in looks if (w := _left(one, to)))]
    left += fleet.look(world, spec, [chosen.hosts[n.node] for n in looks if not n.speaks(to)])
    return planner.plan(
        world.config,
        state,
        {one.node: chosen.hosts[one.node] for one in looks if not one.speaks(to)},
        looks,
        options,
        id=run,
        created=world.clock.wall(),
        left=left,
    )


def snapshot(world: World, options: Options) -> dict[str, Any]:
    """The same values as in a plan, as they are now."""
    spec = cluster_spec(world, options)
    state = world.clusters[options.cluster].snapshot()
    faults = Faults()
    looks = _looks(world, spec, state, choose(spec, state, options).hosts, faults)
    upgrade_refusals.refuse((), faults.found)
    return planner.snapshot_of(state, looks, options)


def _left(one: Look, to: Protocol) -> str:
    if not one.speaks(to):
        return ""
    if one.values:
        return f"{one.host} speaks {to} already"
    return (
        f"{one.host} speaks {to} because its file says nothing: with newer software it would speak"
        f" something newer at once; set {NAME} there before the next upgrade"
    )


def _looks(
    world: World,
    spec: ClusterSpec,
    state: ClusterState,
    hosts: Mapping[int, HostSpec],
    faults: Faults,
) -> list[Look]:
    said = spoken(state)

    def one(node: int) -> Look:
        return _look(world.hosts[hosts[node].name], node, spec, said.get(node))

    return list(faults.asked(hosts, one).values())


def _look(host: Host, node: int, spec: ClusterSpec, said: Protocol | None) -> Look:
    unit = host.unit(spec.service)
    now = running(host.open_files(unit.pid)) if unit.pid else None
    data = host.read(spec.properties) or b""
    formats = values(data, FORMAT)
    return Look(
        host.name,
        node,
        unit,
        now.release if now else None,
        values(data, NAME),
        host.changed(spec.properties),
        said,
        Protocol.of(formats[-1]) if formats else None,
    )
