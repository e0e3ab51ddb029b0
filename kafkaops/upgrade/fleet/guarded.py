"""Steps of a node while its host's fleet is held: proven once more before each stop, renewed while
anything is waited for.

Invariant: no node is stopped unless, at that look, nothing that is to be held acts. What somebody
else lets act again meanwhile is told and not undone: only a new process holds it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kafkaops.engine.step import Blocked, Spec, State, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import agents, groups
from kafkaops.upgrade.fleet.steps import (
    AgentsBack,
    AgentsHeld,
    ScalingBack,
    ScalingHeld,
    trouble,
)
from kafkaops.upgrade.rolling.node import NodeStep, named

Make = Callable[[Spec], Step[World]]

STEPS: Mapping[str, Make] = {
    "scaling-held": ScalingHeld,
    "scaling-back": ScalingBack,
    "agents-held": AgentsHeld,
    "agents-back": AgentsBack,
}
STOPPING = {"node-stopped", "node-rested", "protocol-rested", "outage-down"}
"""Kinds that stop a node."""


class Guarded:
    """A step with `fleet` in its arguments: the host's `instance` ("" for none), `agents` and
    `seconds`."""

    def __init__(self, inner: Step[World], spec: Spec) -> None:
        self._inner, self._spec = inner, spec
        self._node = NodeStep(spec)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def check(self, world: World) -> State:
        agents.renew(world)
        return self._inner.check(world)

    def safe(self, world: World) -> Blocked | None:
        agents.renew(world)
        blocked = self._inner.safe(world)
        if blocked is not None or not self._stops(world):
            return blocked
        loose = self._loose(world)
        if loose is None or not self._mate_away(world):
            return loose
        # as the gate does: nothing waits while a node of the same batch is away
        self._node.hold(world, loose.reason, own=True)
        world.say(f"{self._node.name}: held back, for {loose.reason}; alone once the others are")
        return None

    def act(self, world: World) -> None:
        if self._stops(world):
            agents.renew(world, force=self._node.name if self._units else "")
        self._inner.act(world)

    def undo(self, world: World) -> None:
        self._inner.undo(world)

    @property
    def _units(self) -> list[str]:
        return list(self._spec.args["fleet"]["agents"])

    def _stops(self, world: World) -> bool:
        """Whether its next act is the stop itself."""
        return (
            self._spec.kind in STOPPING
            and self._node.get(world, "ended") is None
            and self._node.unit(world).pid > 0
            and self._inner.check(world) is State.TODO
        )

    def _mate_away(self, world: World) -> bool:
        if self._spec.kind != "node-stopped":
            return False
        others = [host for host in self._node.mates if host != self._node.name]
        return any(self._node.of(host).awaited(world) for host in others)

    def _loose(self, world: World) -> Blocked | None:
        """What acts, though it is to be held."""
        if self._units:
            running = self._node.host(world).agents(self._units).running
            if running:
                return Blocked(
                    "KO-FLEET-AGENTS",
                    f"{named(running)} of {self._node.name} runs again, and not for us",
                    "see who started it; a resume stops it anew",
                )
        instance = str(self._spec.args["fleet"]["instance"])
        found = groups.of(world, [instance]) if instance else {}
        for name in found:
            acting = groups.lacking(world, name)
            if acting:
                return Blocked(
                    "KO-FLEET-RESUMED",
                    f"{named(acting)} of Auto Scaling group {name} was resumed, and not by us",
                    "see who resumed it; a resume suspends it anew",
                )
        return trouble(world, found)


def guarded(makers: Mapping[str, Make]) -> dict[str, Make]:
    """These steps, each guarded where its arguments have a fleet; and those of the fleet."""

    def wrapped(make: Make) -> Make:
        def made(spec: Spec) -> Step[World]:
            inner = make(spec)
            return Guarded(inner, spec) if "fleet" in spec.args else inner

        return made

    return {kind: wrapped(make) for kind, make in makers.items()} | dict(STEPS)
