"""`ports.host_agents.Agents` by systemctl and systemd-run."""

from __future__ import annotations

from collections.abc import Sequence

from kafkaops.adapters.host_scripts import AGENTS, AGENTS_ARM, AGENTS_BACK, AGENTS_HOLD
from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host import Ran
from kafkaops.ports.host_agents import AgentsState

TIMEOUT = 300.0
"""Seconds: a unit's own stop takes 90 by systemd's default."""


class CommandAgents:
    """Needs `name` and `run` of `adapters.host_command.CommandHost`."""

    name: str

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        raise NotImplementedError

    def agents(self, units: Sequence[str]) -> AgentsState:
        states: dict[str, str] = {}
        held: list[str] = []
        armed = False
        for line in self._agents(AGENTS, *units).splitlines():
            match line.split():
                case ["unit", unit, load, active]:
                    states[unit] = active if load in {"loaded", "masked"} else "not-found"
                case ["held", unit]:
                    held.append(unit)
                case ["sleeper", "active"]:
                    armed = True
        return AgentsState(states, tuple(held), armed)

    def agents_hold(self, units: Sequence[str], *, seconds: float) -> None:
        self._agents(AGENTS_HOLD, f"{seconds:.0f}", *units)

    def agents_arm(self, *, seconds: float) -> None:
        self._agents(AGENTS_ARM, f"{seconds:.0f}")

    def agents_back(self) -> None:
        self._agents(AGENTS_BACK)

    def _agents(self, script: str, *argv: str) -> str:
        ran = self.run(("sh", "-c", script, "sh", *argv), timeout=TIMEOUT)
        if ran.code != 0:
            said = ran.err.strip() or f"code {ran.code}"
            raise StepFailed(
                "KO-AGENTS",
                f"the agents of {self.name}: {said}",
                where=self.name,
                hint="on the host: systemctl status UNIT; the cluster's fleet.agents names them",
            )
        return ran.out
