"""Agents of a host (Puppet, Chef, any systemd unit) that are held while its node is down. Part of
`ports.host.Host`.

The host itself remembers which units it is to start again, and has a timer of its own that does so:
whoever stopped them may die. Names are whole, as `chef-client.timer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafkaops.ports.marks import mutates

RUNNING = frozenset({"active", "activating", "reloading", "deactivating"})
"""systemd's words for a unit that may still do something."""


@dataclass(frozen=True)
class AgentsState:
    """`states` has systemd's ActiveState of each unit asked for (`not-found` for one that the host
    has not); `held` are the units that the host is to start again; `armed`: its timer runs."""

    states: Mapping[str, str]
    held: tuple[str, ...] = ()
    armed: bool = False

    @property
    def running(self) -> tuple[str, ...]:
        """Those asked for that may still do something."""
        return tuple(unit for unit, state in self.states.items() if state in RUNNING)

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(unit for unit, state in self.states.items() if state == "not-found")


class Agents(Protocol):
    """Errors: StepFailed KO-AGENTS with systemd's own words."""

    def agents(self, units: Sequence[str]) -> AgentsState:
        """What these units do now, and what the host is to start again."""

    @mutates
    def agents_hold(self, units: Sequence[str], *, seconds: float) -> None:
        """Stop those that run, after the host remembers them and its timer is armed: in `seconds`
        it starts them by itself. Units that do not run are left alone. Again: the timer begins
        anew, and what is remembered stays so."""

    @mutates
    def agents_arm(self, *, seconds: float) -> None:
        """Begin the timer anew, and stop nothing; nothing where the host remembers nothing."""

    @mutates
    def agents_back(self) -> None:
        """Start what the host remembers, and disarm it; nothing where it remembers nothing."""
