"""Steps that stop clients by their own commands, and start them again.

Invariant: who was told to stop is written down before, and stays written down until it was told to
start: the fact `hooks.begun` names every group that may be stopped now.
"""

from __future__ import annotations

from kafkaops.cutover import hooks
from kafkaops.engine.step import State
from kafkaops.ports.facts import Facts
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.move import Move, Once, since

BEGUN = "hooks.begun"


def stopped(facts: Facts) -> list[str]:
    """The groups that hooks of either direction have stopped and not started since."""
    return sorted({n for flow in ("forward", "back") for n in facts.get(f"{flow}.{BEGUN}") or []})


def start_again(move: Move, world: World) -> list[str]:
    """Start who was stopped, and let that count only when all of them were."""
    started = hooks.start(world, move.get(world, BEGUN) or [])
    move.put(world, BEGUN, None)
    return started


def start_there(move: Move, world: World) -> None:
    """The same on the other cluster: the end of the outage."""
    start_again(move, world)
    move.stamp(world, "hooks.started")


class HooksStopped(Once):
    """Groups that cannot move by themselves were stopped by their own commands. Each is written
    down before its hook runs, so that going back also starts one whose hook failed half-way."""

    def act(self, world: World) -> None:
        if outage.planned(world.config):
            self.put(world, "outage", {"expected": outage.expected(world.config)})
        self.stamp(world, "hooks.stopping")
        begun: list[str] = []
        for name in hooks.names(world):
            begun.append(name)
            self.put(world, BEGUN, begun)
            hooks.stop(world, [name])
        self.stamp(world, "hooks.stopped")
        self.finish(world, begun)

    def undo(self, world: World) -> None:
        back = start_again(self, world)
        at = self.get(world, "time.hooks.stopping")
        if back and at is not None:
            world.say(f"{', '.join(back)} stood still for {since(world, at):.1f} s")
        self.forget(world)


class HooksStarted(Once):
    """Groups that were stopped by hooks are started again."""

    def act(self, world: World) -> None:
        started = hooks.start(world)
        self.put(world, BEGUN, None)
        self.finish(world, started)

    def undo(self, world: World) -> None:
        self.forget(world)


class ClientsRunning(Move):
    """Nobody whom this direction's hooks have stopped is stopped still."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, BEGUN) else State.DONE

    def act(self, world: World) -> None:
        start_there(self, world)


class OutageAgreed(Once):
    """The operator has agreed that all clients are stopped."""

    def act(self, world: World) -> None:
        self.finish(world)

    def undo(self, world: World) -> None:
        self.forget(world)
