"""Agents of hosts that are held: written down first, and renewed while we live.

Invariant: a host that may hold agents for us is known before it is told to. The host's own timer
starts them again should we die; while we live it is armed anew long before that.
"""

from __future__ import annotations

from typing import Any

from kafkaops.engine.errors import OpsError, Unreachable
from kafkaops.ports.facts import Facts
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import since

PREFIX = "fleet.agents."
EARLY = 3.0
"""The timer is armed anew after one part in so many of its time."""


def held(facts: Facts) -> dict[str, dict[str, Any]]:
    """The hosts that may hold agents for us: `units`, `seconds`, and when it was `renewed`."""
    names = [n for n in facts.names() if n.startswith(PREFIX)]
    found = {n.removeprefix(PREFIX): facts.get(n) for n in names}
    return {host: kept for host, kept in found.items() if kept}


def hold(world: World, host: str, units: list[str], seconds: float) -> None:
    _stamp(world, host, units, seconds)
    world.hosts[host].agents_hold(units, seconds=seconds)


def renew(world: World, *, force: str = "") -> None:
    """Arm the timers anew whose time is a third over, and that of the host `force`. One that cannot
    be reached now is tried at the next look: its own time is long enough for that."""
    for host, kept in held(world.facts).items():
        if host != force and since(world, kept["renewed"]) < float(kept["seconds"]) / EARLY:
            continue
        try:
            _stamp(world, host, list(kept["units"]), float(kept["seconds"]))
            world.hosts[host].agents_arm(seconds=float(kept["seconds"]))
        except OpsError as error:
            world.say(f"the agents of {host} may come back early: {error.message}")


def _stamp(world: World, host: str, units: list[str], seconds: float) -> None:
    clock = world.clock
    now = {"wall": clock.wall(), "monotonic": clock.monotonic()}
    world.facts.put(PREFIX + host, {"units": units, "seconds": seconds, "renewed": now})


def give(world: World, host: str, *, forget: bool = False) -> None:
    """Start again what the host remembers, and forget it. `forget` it also where the host does not
    answer: its own timer starts them, should it ever come back."""
    kept = held(world.facts).get(host)
    if kept is None:
        return
    try:
        _give(world, host, kept)
    except Unreachable as error:
        if not forget:
            raise
        world.say(f"{host} does not answer ({error.message}): it starts its agents itself")
    world.facts.put(PREFIX + host, None)


def _give(world: World, host: str, kept: dict[str, Any]) -> None:
    there = world.hosts[host]
    before = there.agents(kept["units"]).held
    there.agents_back()
    states = there.agents(before).states
    failed = [unit for unit, state in states.items() if state in ("failed", "not-found")]
    if failed:
        world.say(f"{host}: started again, and failed by itself: {', '.join(failed)}")
