"""A second Ctrl-C: who is stopped or down is told and what the run holds is given back first, then
the process exits; a third exits at once.

Invariant: it works beside whatever the interrupted thread was doing, by ports of its own, and never
waits for longer than `PATIENCE`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable

from kafkaops.engine.step import Plan
from kafkaops.ports.facts import Facts
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.hooking import stopped
from kafkaops.upgrade.fleet import leaving
from kafkaops.upgrade.rolling.down import down

PATIENCE = 90.0
"""Seconds: AWS shows within a minute what it was asked for."""


def clients_stopped(facts: Facts, resume: str) -> list[str]:
    """That clients are stopped, and the command that starts them; nothing where none is."""
    names = stopped(facts)
    if not names:
        return []
    return [
        f"clients are STOPPED by hooks: {', '.join(names)}; what starts them, there or back:"
        f" {resume}"
    ]


def nodes_down(facts: Facts, plans: Iterable[Plan], resume: str, rollback: str) -> list[str]:
    """Whose nodes are down for a run of these plans, and the commands that start them; nothing
    where none is."""
    stopped, coming = down(facts, plans)
    words = [
        f"down for this run: {', '.join(stopped)}; {resume}, or {rollback}, starts what is down"
    ]
    words = words if stopped else []
    if coming:
        words.append(f"started, and not seen up yet: {', '.join(coming)}")
    return words


class Parting:
    """Called with the exit code, from a signal handler. `world` builds a world that tells what it
    says to the function it is given; `resume` is the command that goes on; `down` says in words
    whose nodes are down."""

    def __init__(
        self,
        facts: Facts,
        world: Callable[[Callable[[str], None]], World],
        leave: Callable[[int], None] = os._exit,
        patience: float = PATIENCE,
        resume: str = "",
        down: Callable[[], list[str]] = list,
    ) -> None:
        self._facts, self._world = facts, world
        self._leave, self._patience, self._resume = leave, patience, resume
        self._down = down
        self._parted = False

    def __call__(self, code: int) -> None:
        held: list[str] = []
        if not self._parted:
            for line in (*clients_stopped(self._facts, self._resume), *self._down()):
                _tell(line)
            held = leaving.left(self._facts)
        self._parted = True
        if held:
            _tell("giving back what is held first; Ctrl-C once more leaves it as it is")
            giving = threading.Thread(target=self._give, daemon=True)
            giving.start()
            giving.join(self._patience)
            for line in leaving.left(self._facts):
                _tell(f"WARNING: not given back: {line}")
        self._leave(code)

    def _give(self) -> None:
        try:
            leaving.restore(self._world(_tell))
        except Exception as error:  # told by what is left; there is nobody to raise it to
            _tell(f"{type(error).__name__}: {error}")


def _tell(line: str) -> None:
    """Straight to the descriptor: the interrupted thread may hold any lock."""
    os.write(2, f"{line}\n".encode())
