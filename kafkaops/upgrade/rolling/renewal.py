"""New volume keys for a cluster: a roll that makes each broker's encrypted volumes anew.

One broker at a time, each in sync again before the next; controllers keep theirs, for a voter that
forgets can lose metadata that was committed. There is no way back: an undo starts what is down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.step import Plan
from kafkaops.ports.operation import Operation
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import survey as fleet
from kafkaops.upgrade.rolling import planner, survey
from kafkaops.upgrade.rolling.choosing import Options, choose
from kafkaops.upgrade.rolling.registry import REGISTRY

OPERATION = "renew"


def plan(world: World, options: Options, run: str) -> Plan:
    """The plan. ConfigError where the cluster has no encrypted volumes."""
    spec = survey.cluster_spec(world, options)
    if spec.volumes is None:
        raise ConfigError(
            "KO-VOLUME-NONE",
            f"the config has no `volumes` for {spec.name}",
            hint="docs/volumes.md shows the section",
        )
    options = replace(options, max_batch=1, whole_racks=False)
    state = world.clusters[options.cluster].snapshot()
    chosen = choose(spec, state, options)
    voters = set(state.quorum.voters) if state.quorum else set()
    hosts = {node: host for node, host in chosen.hosts.items() if node not in voters}
    left = [
        f"{host.name} keeps its volumes: node {node} is a controller, and a voter that forgets can"
        " lose committed metadata"
        for node, host in chosen.hosts.items()
        if node in voters
    ]
    left += [*chosen.left, *fleet.look(world, spec, hosts.values())]
    return planner.roll(
        world.config,
        state,
        hosts,
        options,
        planner.Way(OPERATION, OPERATION, renews=True),
        id=run,
        created=world.clock.wall(),
        left=left,
    )


class Renewal(Operation):
    registry = REGISTRY
    deed = "makes volumes anew"

    def snapshot(self, world: World, plan: Plan) -> Mapping[str, Any]:
        return survey.snapshot(world, Options.of(plan.snapshot["options"]))

    def again(self, plan: Plan) -> str:
        options = Options.of(plan.snapshot["options"])
        wait = f" --return-timeout {options.return_timeout:g}"
        words = f"--cluster {options.cluster} --volume-key{options.chosen}{wait}"
        return f"kafkaops volume rotate {words} --plan"
