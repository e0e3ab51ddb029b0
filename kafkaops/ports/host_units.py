"""What can be done with a host's systemd units. Part of `ports.host.Host`.

A unit is one that somebody installed on the host (the broker's own); processes that kafkaops
brings along are `ports.host.Host.service_start`'s. Names are without `.service`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kafkaops.ports.marks import mutates

# A JVM that was told to end by TERM and did its shutdown hooks exits with 128 + 15.
CLEAN_CODES = (0, 143)


@dataclass(frozen=True)
class Unit:
    """One unit as its host's systemd knows it.

    `active` and `sub` are systemd's words (`active`/`running`, `inactive`/`dead`, `failed`);
    `pid` of the main process, 0 when none; `started` when it started, epoch seconds by the
    host's clock, 0 when none. Of the last end, None while it runs or if it never ran:
    `exit_code`, or `signal` that killed it. `result` is systemd's (`success`, `exit-code`,
    `signal`, `timeout`, ...). `stop_timeout` in seconds, after which a stop becomes a kill.
    `stale`: the unit file was changed and not reloaded. `file` is the unit file's path, `drop_ins`
    are those of the files that add to it, without our own.
    """

    name: str
    active: str
    sub: str
    pid: int = 0
    started: float = 0.0
    exit_code: int | None = None
    signal: int | None = None
    result: str = "success"
    stop_timeout: float = 90.0
    restarts: int = 0
    enabled: bool = False
    stale: bool = False
    file: str = ""
    drop_ins: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether its main process is there; systemd may still wait for it to serve
        (Type=notify, an ExecStartPost)."""
        return self.active in {"active", "reloading", "activating"} and self.pid > 0

    @property
    def stopped_clean(self) -> bool:
        """Proof that the process ended by itself when told to: not running, not killed, not
        timed out, exit 0 or 143. Kafka then had its controlled shutdown, however it went."""
        return (
            self.active in {"inactive", "failed"}
            and self.pid == 0
            and self.signal is None
            and self.exit_code in CLEAN_CODES
            and self.result in {"success", "exit-code"}
        )


class Units(Protocol):
    """Errors: `engine.errors.ConfigError` KO-UNIT-UNKNOWN where the host has no such unit,
    StepFailed KO-UNIT with systemd's own words where it refuses or does not end in time."""

    def unit(self, name: str) -> Unit:
        """The unit's state now."""

    def journal(self, name: str, *, lines: int = 100) -> str:
        """The last lines of the unit's journal; empty if it has none."""

    @mutates
    def unit_start(self, name: str, *, timeout: float = 90.0) -> Unit:
        """Start it and wait until systemd calls it started; running already is success, and so is
        a process that systemd still waits for after `timeout`: a broker may recover its logs
        before it serves. KO-UNIT with the end of its journal where it ends at once."""

    @mutates
    def unit_stop(self, name: str, *, timeout: float = 330.0) -> Unit:
        """TERM, waited for; its state afterwards, for `Unit.stopped_clean`. `timeout` (seconds)
        is by default above the 300 that Kafka gives its controlled shutdown; a unit whose own
        stop timeout is shorter gets this one first, until the next boot, so that systemd does
        not kill in the middle of it."""

    @mutates
    def unit_enable(self, name: str, *, on: bool = True) -> None:
        """Start at boot, or not."""

    @mutates
    def units_reload(self) -> None:
        """Read changed unit files (`systemctl daemon-reload`)."""
