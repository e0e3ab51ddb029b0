"""A host of the lab: one address and one directory in the lab's private network.

This process is inside the network already (`lab.enter`), so commands and the firewall run
right here; services belong to the lab's supervisor, so they live and die with the lab.

Paths: what is absolute on a real host lies under the host's own `root/` directory, unless it
is inside the lab's directory already; relative paths start at the host's directory, which is
also where commands and services run. Words of a command line are never rewritten: a caller
that names a file to a command uses relative paths, or `path()`.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from kafkaops.adapters.host_command import CommandHost
from kafkaops.adapters.host_local import run_here
from kafkaops.adapters.host_units import service as unit_name
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.lab import control, unit_file
from kafkaops.lab.layout import Layout
from kafkaops.ports.host import ServiceState
from kafkaops.ports.host_agents import AgentsState
from kafkaops.ports.host_units import Unit

WANTS = f"{unit_file.SYSTEM}/multi-user.target.wants"


class LabHost(CommandHost):
    """`ports.host.Host` on one host of the lab in `lab_dir`. The service `kafka` is its
    broker; starting it loads the rules under /etc/nftables.d, as a boot does."""

    def __init__(self, name: str, address: str, lab_dir: str | Path) -> None:
        super().__init__(name, address)
        self.layout = Layout.of(lab_dir)

    def path(self, path: str) -> Path:
        """Where a path of this host really is."""
        given = Path(path)
        if not given.is_absolute():
            return self.layout.host(self.name) / given
        if given.is_relative_to(self.layout.root):
            return given
        return self.layout.host_root(self.name) / given.relative_to("/")

    def read(self, path: str) -> bytes | None:
        try:
            return self.path(path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StepFailed("KO-HOST-READ", f"{path}: {error}", where=self.name) from None

    def where(self, path: str) -> str:
        return str(self.path(path))

    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "") -> None:
        target = self.path(path)
        scratch = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            fd, scratch = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            if owner:
                shutil.chown(scratch, *owner.split(":", 1))
            os.replace(scratch, target)
        except (OSError, LookupError) as error:
            if scratch is not None:
                Path(scratch).unlink(missing_ok=True)
            raise self._failed("KO-HOST-PUT", path, str(error).encode()) from None

    def open_files(self, pid: int) -> tuple[str, ...]:
        """Named as on the host, where they are its own."""
        own = f"{self.layout.host_root(self.name)}/"
        found = super().open_files(pid)
        return tuple(sorted("/" + f.removeprefix(own) if f.startswith(own) else f for f in found))

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        home = self.layout.host(self.name)
        if not home.is_dir():
            raise Unreachable("KO-LAB-HOST", "the lab has no such host", where=self.name)
        return run_here(argv, stdin, timeout, cwd=str(home))

    def service(self, name: str) -> ServiceState:
        found = self._call("service", name)
        return ServiceState(
            name,
            active=bool(found["active"]),
            pid=int(found.get("pid", 0)),
            exit_code=found.get("exit_code"),
        )

    def service_start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: str
    ) -> None:
        """`argv` is not looked at for a service that the lab knows as its own (`kafka`)."""
        with self._errors("KO-SERVICE-START", name):
            if name == "kafka":
                self._call("start", name)
                return
            self._call(
                "spawn",
                name,
                argv=list(argv),
                env=dict(env),
                log=str(self.path(log)),
                restart=True,
            )

    def service_stop(self, name: str, *, timeout: float = 330.0, kill: bool = False) -> None:
        with self._errors("KO-SERVICE-STOP", name):
            self._call("stop", name, timeout=timeout, kill=kill)

    def service_restart(self, name: str, *, timeout: float = 330.0) -> None:
        with self._errors("KO-SERVICE-RESTART", name):
            self._call("restart", name, timeout=timeout)

    def unit(self, name: str) -> Unit:
        return self._read_unit(name, self._known(name))

    def journal(self, name: str, *, lines: int = 100) -> str:
        return self.tail(str(self._known(name)["log"]), lines=lines) or ""

    def unit_start(self, name: str, *, timeout: float = 90.0) -> Unit:
        self._known(name)
        with self._errors("KO-UNIT", name):
            return self._read_unit(name, self._call("start", name))

    def unit_stop(self, name: str, *, timeout: float = 330.0) -> Unit:
        self._known(name)
        with self._errors("KO-UNIT", name):
            return self._read_unit(name, self._call("stop", name, timeout=timeout))

    def unit_enable(self, name: str, *, on: bool = True) -> None:
        """As `systemctl enable` does, by a link among the host's own files."""
        self._known(name)
        link = f"{WANTS}/{unit_name(name)}"
        if on:
            self.switch(link, f"../{unit_name(name)}")
        else:
            self.remove(link)

    def units_reload(self) -> None:
        """The supervisor keeps no unit file that could be stale."""

    def agents(self, units: Sequence[str]) -> AgentsState:
        """None: commands of a lab host run on this machine, whose agents are not to be touched."""
        return AgentsState(dict.fromkeys(units, "not-found"))

    def agents_hold(self, units: Sequence[str], *, seconds: float) -> None:
        raise self._no_agents()

    def agents_arm(self, *, seconds: float) -> None:
        raise self._no_agents()

    def agents_back(self) -> None:
        raise self._no_agents()

    def _no_agents(self) -> StepFailed:
        return StepFailed("KO-AGENTS", "the lab's hosts have no systemd", where=self.name)

    def _known(self, name: str) -> dict[str, Any]:
        found = self._call("service", name)
        if "log" not in found:
            raise self.unknown(name)
        return found

    def _read_unit(self, name: str, found: dict[str, Any]) -> Unit:
        """The supervisor's view in systemd's words."""
        code, active = found["exit_code"], bool(found["active"])
        failed = not active and code not in {None, 0}
        return Unit(
            name,
            active="active" if active else "failed" if failed else "inactive",
            sub="running" if active else "failed" if failed else "dead",
            pid=int(found["pid"]),
            started=float(found["started"]),
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            result="success" if not failed else "signal" if code < 0 else "exit-code",
            stop_timeout=self._stop_timeout(name),
            restarts=int(found["starts"]) - 1,
            enabled=self.link(f"{WANTS}/{unit_name(name)}") is not None,
            file=unit_file.path(name) if self._installed(name) else "",
            drop_ins=unit_file.drop_ins(self.layout.host_root(self.name), name),
        )

    def _installed(self, name: str) -> bool:
        return self.path(unit_file.path(name)).exists()

    def _stop_timeout(self, name: str) -> float:
        """The supervisor kills past no timeout but the caller's; a unit file may say one."""
        if not self._installed(name):
            return math.inf
        try:
            return unit_file.read(self.layout.host_root(self.name), name).stop_timeout
        except unit_file.UnitFault as error:
            raise StepFailed("KO-UNIT", f"{name}: {error}", where=self.name) from None

    @contextlib.contextmanager
    def _errors(self, code: str, name: str) -> Iterator[None]:
        try:
            yield
        except control.LabRefused as error:
            raise StepFailed(code, f"{name}: {error.message}", where=self.name) from None

    def _call(self, op: str, service: str, **arguments: Any) -> dict[str, Any]:
        wait = float(arguments.get("timeout", 0.0)) + 30.0
        if "timeout" in arguments:
            arguments["stop_timeout"] = arguments.pop("timeout")
        try:
            return control.call(
                self.layout.socket, op, timeout=wait, name=f"{self.name}/{service}", **arguments
            )
        except ConfigError as error:  # no lab is up any more
            raise Unreachable(error.code, error.message, where=self.name, hint=error.hint) from None
