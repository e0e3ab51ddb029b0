"""A node that was held back from its batch goes alone, through all of it, in one step."""

from __future__ import annotations

from dataclasses import replace

from kafkaops.engine.errors import Unreachable
from kafkaops.engine.step import Blocked, Progress, State, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.catching_up import InSync
from kafkaops.upgrade.rolling.installing import Switched
from kafkaops.upgrade.rolling.leading import LeadersBack
from kafkaops.upgrade.rolling.node import NodeStep
from kafkaops.upgrade.rolling.soaking import Soaked
from kafkaops.upgrade.rolling.starting import Started, Up
from kafkaops.upgrade.rolling.stopping import Stopped


class Rested(NodeStep):
    """The same steps one after the other, each with its own look, guard and act."""

    def check(self, world: World) -> State:
        found = self._next(world)
        if found is None:
            return State.DONE
        step, state = found
        if state is not State.TODO or self.mark(world) is None:
            return state
        # The engine acts again only on what was on its way: each further act is announced first.
        name = type(step).__name__
        if self.get(world, "announced") == name:
            return State.TODO
        self.put(world, "announced", name)
        return State.PENDING

    def safe(self, world: World) -> Blocked | None:
        found = self._next(world)
        return None if found is None else found[0].safe(world)

    def act(self, world: World) -> None:
        """Up to the first step that has to be waited for; a host that is lost in the middle is, and
        told again what it was told: that is announced anew, as often as it takes."""
        try:
            for step in self._steps(world):
                if step.check(world) is State.TODO:
                    step.act(world)
                if step.check(world) is not State.DONE:
                    return
        except Unreachable:
            if self.mark(world) is None:
                raise
            self.put(world, "announced", None)

    def undo(self, world: World) -> None:
        self._steps(world)[0].undo(world)

    def progress(self, world: World) -> Progress | None:
        found = self._next(world)
        ask = getattr(found[0], "progress", None) if found else None
        shown: Progress | None = ask(world) if ask else None
        return shown

    def _next(self, world: World) -> tuple[Step[World], State] | None:
        if self.get(world, "soaked") is not None or self.get(world, "held") is None:
            return None
        for step in self._steps(world):
            state = step.check(world)
            if state is not State.DONE:
                return step, state
        return None

    def _steps(self, world: World) -> list[Step[World]]:
        args = {**self.spec.args, "rest": True, "mates": {self.name: self.node}}
        spec = replace(self.spec, args=args)
        switched: list[Step[World]] = [Switched(spec)] if "link" in args else []
        return [
            Stopped(spec),
            *switched,
            Started(spec),
            Up(spec),
            InSync(spec),
            LeadersBack(spec),
            Soaked(spec),
        ]
