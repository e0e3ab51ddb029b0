"""Giving back whatever is still held when a command ends, however it ends.

Invariant: what the run's facts say is held was given back when `restored` is left, or is told with
the command that does it by hand. A node that is still down does not keep it: that is told too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.engine.step import Plan
from kafkaops.ports.facts import Facts
from kafkaops.ports.world import World
from kafkaops.upgrade.fleet import agents, groups
from kafkaops.upgrade.rolling.phases import WITHOUT


def left(facts: Facts) -> list[str]:
    """What a run holds, in words; empty where it holds nothing."""
    words = [
        f"Auto Scaling group {name} is suspended by kafkaops ({', '.join(sorted(one.ours))})"
        for name, one in sorted(groups.held(facts).items())
    ]
    words += [
        f"agents of {host} may be stopped by kafkaops ({', '.join(kept['units'])})"
        for host, kept in sorted(agents.held(facts).items())
    ]
    return words


def restore(world: World) -> list[str]:
    """Give back all that is held, as far as that is possible: what could not be, in words."""
    failed: list[str] = []
    for name, one in groups.held(world.facts).items():
        _warn(world, name, one)
        try:
            groups.give_all(world, [name])
        except Exception as error:  # whatever it is, the others are given back too
            command = groups.by_hand(name, one)
            failed.append(f"Auto Scaling group {name}: {_words(error)}; by hand: {command}")
    without = world.facts.get(WITHOUT) or ()
    for host in agents.held(world.facts):
        try:
            agents.give(world, host, forget=host in without)
        except Exception as error:
            failed.append(f"the agents of {host}: {_words(error)}; the host starts them itself")
    for words in failed:
        world.say(f"WARNING: not given back: {words}")
    return failed


def release_others(world: World, plan: Plan) -> None:
    """Before this plan goes on: what a process that was killed had held for hosts that the plan
    does not hold acts again at once. AWS is asked and not waited for, for clients may be out; that
    it does so is proven when the command ends, which also tries again what failed here."""
    instances = {h for s in plan.specs if s.kind == "scaling-held" for h in s.args["instances"]}
    for name, one in groups.held(world.facts).items():
        if instances & set(one.hosts):
            continue
        _warn(world, name, one)
        _tried(world, f"Auto Scaling group {name}", partial(groups.give, world, name))
    served = {str(s.args["host"]) for s in plan.specs if s.kind == "agents-held"}
    without = world.facts.get(WITHOUT) or ()
    for host in agents.held(world.facts):
        if host not in served:
            give = partial(agents.give, world, host, forget=host in without)
            _tried(world, f"the agents of {host}", give)


@contextmanager
def restored(world: World) -> Iterator[None]:
    """Whatever happens inside, all is given back after. StepFailed KO-FLEET-NOT-RESTORED where that
    was not possible and nothing else went wrong."""
    try:
        yield
    except BaseException:
        restore(world)
        raise
    failed = restore(world)
    if failed:
        raise StepFailed(
            "KO-FLEET-NOT-RESTORED",
            f"still held: {'; '.join(failed)}",
            hint="kafkaops run resume gives it back",
        )


def _warn(world: World, name: str, one: groups.Held) -> None:
    for host, (instance, service) in one.hosts.items():
        if not _runs(world, host, service):
            world.say(
                f"WARNING: Auto Scaling group {name} acts again while the node of {host} is"
                f" down: it may replace {instance} now"
            )


def _tried(world: World, what: str, give: Callable[[], None]) -> None:
    """What fails is told: it is no reason not to go on."""
    try:
        give()
    except OpsError as error:
        world.say(f"{what}: not given back yet: {error.message}")


def _words(error: Exception) -> str:
    return error.message if isinstance(error, OpsError) else f"{type(error).__name__}: {error}"


def _runs(world: World, host: str, service: str) -> bool:
    try:
        return world.hosts[host].unit(service).running
    except OpsError:
        return False  # nobody can say that it is up
