"""A rolling restart on fakes whose hosts are in Auto Scaling groups and have agents.

A group a rack; the controllers are in none. What the operator had suspended or stopped before is to
be so after. `always` is an observer of its own: while a node is down, nothing may end its instance
and no agent of its host runs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from kafkaops.ports.scaling import Scaling
from tests.crash.fake_scaling import FakeScaling
from tests.crash.restart_scene import PROTOCOLS, RACKS, Restart

AGENTS = ("puppet.service", "chef-client.timer")
BEFORE = {"asg-a": ["AZRebalance", "Launch"], "asg-b": [], "asg-c": []}


def instance(host: str) -> str:
    return f"i-{int(host.removeprefix('blue-')):x}"


def fleet_of(blue: Any, auto_scaling: bool = True, agents: tuple[str, ...] = AGENTS) -> Any:
    """The cluster's config with a fleet, and an instance for each host."""
    document = blue.model_dump(mode="json")
    document["fleet"] = {"auto_scaling": auto_scaling, "agents": list(agents)}
    for host in document["hosts"]:
        host["instance"] = instance(host["name"])
    return type(blue).model_validate(document)


class FleetRestart(Restart):
    """`loud`: the run may be left with a node down, and all given back. Before another scene in a
    class's bases it gives that one a fleet."""

    protocols = PROTOCOLS | {"scaling": Scaling}

    def __init__(self, *some: Any, **more: Any) -> None:
        super().__init__(*some, **more)
        self.ticks = self.cluster.on_tick
        self.loud = False
        groups: dict[str, list[str]] = {}
        for node, rack in RACKS.items():
            groups.setdefault(f"asg-{rack}", []).append(f"i-{node:x}")
        self.scaling = FakeScaling(self.clock, groups)
        self.scaling.by_hand("asg-a", *BEFORE["asg-a"])
        self.clock.sleep(10)
        for name, host in self.hosts.items():
            host.units = {"puppet.service": "active", "chef-client.timer": "active"}
            if name == "blue-1":
                host.units["chef-client.timer"] = "inactive"
        self.cluster.on_tick = self.tick
        config = self.world.config
        self.world = dataclasses.replace(
            self.world,
            config=config.model_copy(update={"blue": fleet_of(config.blue)}),
            scaling=self.scaling,
        )

    def tick(self) -> None:
        self.ticks()
        self.observe()

    def observe(self) -> None:
        for host in self.hosts.values():
            host.timer()
            if self.cluster.up(host.node.id) or self.loud:  # not while it recovers its logs
                continue
            ending = self.scaling.may_end(instance(host.name))
            agents = [u for u, state in host.units.items() if state != "inactive"]
            if ending or agents:
                self.cluster.faults.append(f"{host.name} was down under {ending} {agents}")

    def always(self) -> None:
        self.observe()
        super().always()

    def fleet(self) -> dict[str, Any]:
        """What is held, as it really is."""
        return {
            "suspended": {n: sorted(g.suspended) for n, g in self.scaling.groups.items()},
            "agents": {n: dict(h.units) for n, h in self.hosts.items()},
            "remembered": [n for n, h in self.hosts.items() if h.remembered or h.returns],
        }

    def state(self) -> Any:
        return super().state() | self.fleet()


def as_before(world: FleetRestart) -> None:
    """Everything is as it was before the run."""
    expected = FleetRestart().fleet()
    assert expected["suspended"] == BEFORE
    assert world.fleet() == expected
