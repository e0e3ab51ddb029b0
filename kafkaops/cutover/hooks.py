"""Commands that stop and start the clients which cannot move by themselves.

A hook is an argument list, never a shell line of ours. One that fails or overruns its timeout
stops the cutover before the fence; nothing is assumed of a client that did not say it stopped.
Hooks must bear being repeated: after a crash a start may reach a client that runs.
"""

from __future__ import annotations

from collections.abc import Collection

from kafkaops.config.schema import ClientGroup
from kafkaops.engine.errors import StepFailed
from kafkaops.ports.world import World


def names(world: World) -> list[str]:
    """The groups that move by hooks, in the order to stop them."""
    return [group.name for group in _hooked(world)]


def stop(world: World, only: Collection[str] | None = None) -> list[str]:
    """Stop every `hooks` group, or those named; their names in the order stopped. StepFailed
    names the hook."""
    chosen = [g for g in _hooked(world) if only is None or g.name in only]
    return [_run(world, group, "stop") for group in chosen]


def start(world: World, only: Collection[str] | None = None) -> list[str]:
    """Start them again, in reverse order. Every one is tried before the first error is raised."""
    started: list[str] = []
    errors: list[StepFailed] = []
    for group in reversed(_hooked(world)):
        if only is None or group.name in only:
            try:
                started.append(_run(world, group, "start"))
            except StepFailed as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return started


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
