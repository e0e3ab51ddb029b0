"""Commands that stop and start the clients which cannot move by themselves.

A hook is an argument list, never a shell line of ours. One that fails or overruns its timeout
stops the cutover before the fence; nothing is assumed of a client that did not say it stopped.
"""

from __future__ import annotations

from kafkaops.config.schema import ClientGroup
from kafkaops.engine.errors import StepFailed
from kafkaops.ports.world import World


def stop(world: World) -> list[str]:
    """Stop every `hooks` group; their names in the order stopped. StepFailed names the hook."""
    return [_run(world, group, "stop") for group in _hooked(world)]


def start(world: World) -> list[str]:
    """Start them again, in reverse order."""
    return [_run(world, group, "start") for group in reversed(_hooked(world))]


def _hooked(world: World) -> list[ClientGroup]:
    return [group for group in world.config.clients if group.moves == "hooks"]


def _run(world: World, group: ClientGroup, verb: str) -> str:
    argv = group.stop if verb == "stop" else group.start
    host = world.local if group.host is None else world.hosts[group.host]
    world.say(f"{verb} {group.name}: {' '.join(argv)}")
    ran = host.run(argv, timeout=group.timeout)
    if ran.code != 0:
        said = (ran.err or ran.out).strip().splitlines()[-1:] or ["nothing"]
        raise StepFailed(
            "KO-HOOK-FAILED",
            f"the {verb} hook of {group.name} ended with {ran.code}: {said[0]}",
            where=host.name,
            hint=f"run it by hand: {' '.join(argv)}",
        )
    return group.name
