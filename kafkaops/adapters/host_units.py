"""`ports.host_units.Units` by systemctl and journalctl."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from kafkaops.adapters.host_scripts import (
    BEFORE_STOP,
    JOURNAL,
    START,
    STOP_DROP_IN,
    TIMED_OUT,
    UNIT,
)
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.ports.host import Ran
from kafkaops.ports.host_units import Unit

WANTED = (
    *("LoadState", "ActiveState", "SubState", "MainPID", "Result", "UnitFileState"),
    *("ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic", "ExecMainCode"),
    *("ExecMainStatus", "TimeoutStopUSec", "NRestarts", "NeedDaemonReload", "FragmentPath"),
    "DropInPaths",
)
EXITED = 1  # CLD_EXITED of waitid(2); systemd's ExecMainCode
SPANS = dict(us=1e-6, ms=1e-3, s=1, min=60, h=3600, d=86400, w=604800, month=2629800, y=31557600)
STOP_SLACK = 10.0

KINDS = (".service", ".mount", ".timer", ".path", ".socket")
"""Endings that say what kind of unit is meant; without one it is a service."""


class Shown(dict[str, str]):
    """What `systemctl show` said; a property that this systemd does not know is empty."""

    def __missing__(self, key: str) -> str:
        return ""

    @property
    def ended(self) -> bool:
        return self["ExecMainExitTimestampMonotonic"] not in {"", "0"}


class CommandUnits:
    """Needs `name` and `run` of `adapters.host_command.CommandHost`."""

    name: str

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        raise NotImplementedError

    def show(self, name: str) -> Shown:
        """systemd's properties of a unit, known or not, and the host's clocks."""
        ran = self.run(("sh", "-c", UNIT, "sh", service(name), ",".join(WANTED)))
        if ran.code != 0:
            raise StepFailed("KO-SYSTEMD", f"systemctl: {ran.err.strip()}", where=self.name)
        return Shown(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)

    def unit(self, name: str) -> Unit:
        found = self.show(name)
        if found["LoadState"] != "loaded":
            raise self.unknown(name, found["LoadState"])
        return read_unit(name, found)

    def unknown(self, name: str, state: str = "not-found") -> ConfigError:
        return ConfigError(
            "KO-UNIT-UNKNOWN",
            f"there is no unit {service(name)} to use: systemd calls it {state}",
            where=self.name,
            hint=f"on the host: systemctl status {service(name)}; the cluster's `service` names it",
        )

    def journal(self, name: str, *, lines: int = 100) -> str:
        ran = self.run(("sh", "-c", JOURNAL, "sh", service(name), str(lines)))
        if ran.code != 0:
            raise StepFailed("KO-UNIT", f"journalctl: {ran.err.strip()}", where=self.name)
        return ran.out

    def unit_start(self, name: str, *, timeout: float = 90.0) -> Unit:
        self.unit(name)
        ran = self.run(("sh", "-c", START, "sh", service(name)), timeout=timeout)
        unit = self.unit(name)
        if ran.code == TIMED_OUT and unit.running:
            return unit
        if ran.code != 0 or unit.active == "failed":
            said = ran.err.strip() or f"{name} ended at once ({unit.result})"
            raise self._refused(said, self.journal(name, lines=10))
        return unit

    def unit_stop(self, name: str, *, timeout: float = 330.0) -> Unit:
        unit = self.unit(name)
        if unit.active == "inactive":
            return unit
        longer = f"{timeout:g}" if unit.stop_timeout < timeout else "0"
        self._systemd(("sh", "-c", BEFORE_STOP, "sh", service(name), longer), 60.0)
        # systemd's own kill comes at `timeout`; what is cut off here is only the waiting.
        self._systemd(("systemctl", "stop", service(name)), timeout + STOP_SLACK)
        return self.unit(name)

    def unit_enable(self, name: str, *, on: bool = True) -> None:
        self.unit(name)
        self._systemd(("systemctl", "enable" if on else "disable", service(name)), 30.0)

    def units_reload(self) -> None:
        self._systemd(("systemctl", "daemon-reload"), 60.0)

    def _systemd(self, argv: tuple[str, ...], timeout: float) -> None:
        ran = self.run(argv, timeout=timeout)
        if ran.code != 0:
            raise self._refused(ran.err.strip(), "")

    def _refused(self, said: str, journal: str) -> StepFailed:
        more = f"\n{journal.rstrip()}" if journal.strip() else ""
        return StepFailed("KO-UNIT", f"systemctl: {said}{more}", where=self.name)


def service(name: str) -> str:
    return name if name.endswith(KINDS) else f"{name}.service"


def read_unit(name: str, found: Shown) -> Unit:
    """`systemctl show` as a value."""
    status, exited = int(found["ExecMainStatus"] or 0), found["ExecMainCode"] == str(EXITED)
    since_boot = int(found["ExecMainStartTimestampMonotonic"] or 0) / 1e6
    pid = int(found["MainPID"] or 0)
    booted = float(found["Clock"] or 0) - float(found["Uptime"] or 0)
    return Unit(
        name,
        active=found["ActiveState"],
        sub=found["SubState"],
        pid=pid,
        started=booted + since_boot if pid else 0.0,
        exit_code=status if found.ended and exited else None,
        signal=status if found.ended and not exited else None,
        result=found["Result"],
        stop_timeout=seconds(found["TimeoutStopUSec"]),
        restarts=int(found["NRestarts"] or 0),
        enabled=found["UnitFileState"] in {"enabled", "enabled-runtime"},
        stale=found["NeedDaemonReload"] == "yes",
        file=found["FragmentPath"],
        drop_ins=tuple(p for p in found["DropInPaths"].split() if not p.endswith(STOP_DROP_IN)),
    )


def seconds(span: str) -> float:
    """A time span as systemd prints it (`5min 30s`). Source: systemd.time(7)."""
    if span == "infinity":
        return math.inf
    parts = re.findall(r"([\d.]+)(us|ms|min|month|s|h|d|w|y)\b", span)
    return sum(float(number) * SPANS[unit] for number, unit in parts)
