"""An upgrade with an outage on the fakes of the rolling upgrade, and trouble to come in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kafkaops.cli.rolls import summary
from kafkaops.config.schema import ClientGroup
from kafkaops.engine.errors import OpsError
from kafkaops.engine.step import Plan
from kafkaops.ports.host import Host, Ran
from kafkaops.upgrade.downtime import operation, planner
from kafkaops.upgrade.downtime.registry import REGISTRY
from kafkaops.upgrade.downtime.stages import stages
from tests.crash.fake_host import FakeHost
from tests.crash.fake_nodes import LiveClock
from tests.crash.restart_scene import RACKS, VOTERS
from tests.crash.upgrade_scene import OLD, Upgrade

NODES = (*RACKS, *VOTERS)


class Machine(FakeHost):
    """Where the clients that have hooks run; it can do nothing but what hooks tell it. Those in
    `broken` fail, and do what they were told all the same."""

    def __init__(self, clock: LiveClock) -> None:
        super().__init__("here", "127.0.0.1", clock)
        self.stopped: set[str] = set()
        self.broken: set[tuple[str, ...]] = set()

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        self.ran.append(tuple(argv))
        name, verb = argv
        (self.stopped.add if verb == "stop" else self.stopped.discard)(name)
        return Ran(1, "", "it hangs") if tuple(argv) in self.broken else Ran(0, "", "")


class Outage(Upgrade):
    """Clients write as long as a broker's CLIENT listener is open and its partition can be led;
    Kafka itself writes to its own topics whoever is shut out. `apps` are clients with hooks."""

    registry = REGISTRY

    def __init__(self, *, apps: Sequence[str] = (), **more: Any) -> None:
        super().__init__(**more)
        self.machine = Machine(self.clock)
        groups = [
            ClientGroup(name=a, moves="hooks", groups=("*",), stop=(a, "stop"), start=(a, "start"))
            for a in apps
        ]
        settings = self.world.config.model_copy(update={"clients": tuple(groups)})
        self.world = replace(self.world, config=settings, local=cast(Any, self.machine))
        self.protocols = {**self.protocols, "local": Host}
        self.brokers = [h for h in self.hosts.values() if h.node.broker]
        self.cluster.serving = lambda: any(not host.closed for host in self.brokers)
        self.cluster.on_tick = self.write

    def write(self) -> None:
        serving = self.cluster.serving()
        for tp, part in self.cluster.parts.items():
            if part.leader >= 0 and (serving or tp.topic.startswith("__")):
                self.cluster.written[tp] += 1

    def plan(self) -> Plan:
        return operation.plan(self.world, self.options, "run-1")

    def state(self) -> Any:
        return super().state() | {
            "closed": [h.name for h in self.brokers if h.closed],
            "stopped": sorted(self.machine.stopped),
        }


def back_of(world: Outage, there: Plan) -> Plan:
    hosts = dict.fromkeys(str(s.args["host"]) for s in there.specs if s.args.get("host"))
    touched = [h for h in hosts if world.facts.get(f"downtime.{h}.mark") is not None]
    over = world.facts.get("downtime.outage-over") is not None
    return planner.way_back(
        there, lambda host: (OLD, f"versions/{OLD}"), touched, world.clock.wall(), over=over
    )


def without_the_last(world: Outage) -> tuple[Plan, Any, str]:
    """An outage that waits for a broker that partitions were left to: plan, scene, host."""
    plan = world.plan()
    order = stages(world.cluster.snapshot(), NODES)
    lonely = order[-2][0]
    world.cluster.nodes[lonely].broken = True
    scene = world.scene(plan=plan)
    with pytest.raises(OpsError) as caught:
        scene.play()
    assert f"blue-{lonely}" in str(caught.value.message)
    assert not world.cluster.serving()
    return plan, scene, f"blue-{lonely}"


def ended(world: Outage, plan: Plan) -> Any:
    """The run as the commands that tell of it see it."""
    directory = SimpleNamespace(facts=lambda: world.facts)
    return SimpleNamespace(directory=directory, last=SimpleNamespace(plan=plan))


def told(world: Outage, plan: Plan) -> list[str]:
    """What the end of the run says."""
    return summary(ended(world, plan))
