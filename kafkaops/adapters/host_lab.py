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
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kafkaops.adapters.host_local import CommandHost
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.lab import control
from kafkaops.lab.layout import Layout
from kafkaops.ports.host import ServiceState


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

    def put(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
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
            os.replace(scratch, target)
        except OSError as error:
            if scratch is not None:
                Path(scratch).unlink(missing_ok=True)
            raise StepFailed("KO-HOST-PUT", f"{path}: {error}", where=self.name) from None

    def execute(
        self, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        home = self.layout.host(self.name)
        if not home.is_dir():
            raise Unreachable("KO-LAB-HOST", "the lab has no such host", where=self.name)
        try:
            done = subprocess.run(
                list(argv),
                input=stdin,
                capture_output=True,
                timeout=timeout,
                check=False,
                cwd=home,
            )
        except subprocess.TimeoutExpired:
            return 124, b"", f"not done within {timeout:g} s".encode()
        except OSError as error:
            return 127, b"", str(error).encode()
        return done.returncode, done.stdout, done.stderr

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
