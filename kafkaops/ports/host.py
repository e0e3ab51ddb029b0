"""A host: one vocabulary for EC2 over SSM, SSH, this machine, and the lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafkaops.ports.host_agents import Agents
from kafkaops.ports.host_files import Files
from kafkaops.ports.host_units import Units
from kafkaops.ports.marks import mutates


@dataclass(frozen=True)
class Ran:
    """The outcome of a command: exit code, and output as text."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class ServiceState:
    """`active` is running now; `pid` 0 when not; `exit_code` of the last end, if any."""

    name: str
    active: bool
    pid: int = 0
    exit_code: int | None = None


class Host(Files, Units, Agents, Protocol):
    """A machine that runs a broker or the mirror. Errors: `engine.errors.Unreachable` when it
    cannot be reached, ConfigError KO-HOST-SUDO when it gives no rights; a command that fails is
    a `Ran` with its code, not an exception."""

    name: str
    address: str

    def now(self) -> float:
        """Epoch seconds by the host's own clock, by which it tells when processes started."""

    @mutates
    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        """Run a command to its end. Past `timeout` (seconds) it is ended, with what it started
        in its process group, and the code is 124."""

    def query(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        """`run` of a command that changes nothing: a plan may ask it."""

    @mutates
    def firewall(self, ruleset: str, *, timeout: float = 10.0) -> Ran:
        """Feed one nftables script to `nft -f -`: all of it applies, or nothing."""

    def firewall_show(self, table: str) -> str | None:
        """`nft -j list table ip TABLE`, or None where there is no such table."""

    def service(self, name: str) -> ServiceState:
        """The state of a supervised process."""

    @mutates
    def service_start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: str
    ) -> None:
        """Start a supervised process under this name; already running is success."""

    @mutates
    def service_stop(self, name: str, *, timeout: float = 330.0, kill: bool = False) -> None:
        """Stop it (TERM, then KILL past `timeout`; `kill` at once); absent is success."""

    @mutates
    def service_restart(self, name: str, *, timeout: float = 330.0) -> None:
        """Stop (TERM, waited for) and start again a unit that the host already knows, such as
        the broker's own. StepFailed when it does not end in time or is unknown."""
