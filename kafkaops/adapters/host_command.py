"""The whole vocabulary of a host on one method, `execute`: SSH, SSM, this machine and the lab
only say how a command gets there.

Invariant: commands are argument lists, never shell lines made of values; whoever logs in there
either is root or may become root without a password, else nothing is done at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from kafkaops.adapters.host_agents import CommandAgents
from kafkaops.adapters.host_files import CommandFiles
from kafkaops.adapters.host_scripts import TIMED_OUT
from kafkaops.adapters.host_units import CommandUnits
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.ports.host import Ran, ServiceState

SUDO = ("sudo", "-n", "--")
KILL_AFTER = 5


class CommandHost(CommandFiles, CommandUnits, CommandAgents):
    """`ports.host.Host` over `execute`. Not root: commands go through `sudo -n`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._sudo: tuple[str, ...] | None = None

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run to the end: exit code, stdout, stderr. Raises Unreachable. `timeout` (seconds)
        is for a host that hangs: the command itself is ended in time by `command`."""
        raise NotImplementedError

    def command(
        self, argv: Sequence[str], stdin: bytes | BinaryIO = b"", timeout: float = 30.0
    ) -> tuple[int, bytes, bytes]:
        """`execute` as root, ended on the host itself once its time is over: a connection that
        is given up does not end what runs at its other end."""
        bound = ("timeout", "-k", str(KILL_AFTER), f"{timeout:g}")
        return self.execute((*self._root(), *bound, *argv), stdin, timeout + KILL_AFTER)

    def now(self) -> float:
        ran = self.query(("date", "+%s.%N"))
        try:
            return float(ran.out)
        except ValueError:
            said = ran.err.strip() or ran.out.strip() or f"code {ran.code}"
            raise StepFailed("KO-HOST-CLOCK", f"date failed: {said}", where=self.name) from None

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        code, out, err = self.command(argv, stdin.encode(), timeout)
        if code == TIMED_OUT and not err:
            err = f"not done within {timeout:g} s".encode()
        return Ran(code, out.decode(errors="replace"), err.decode(errors="replace"))

    def query(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        return self.run(argv, timeout=timeout)

    def firewall(self, ruleset: str, *, timeout: float = 10.0) -> Ran:
        argv = ("sh", "-c", "PATH=$PATH:/usr/sbin:/sbin exec nft -f -")
        return self.run(argv, stdin=ruleset, timeout=timeout)

    def firewall_show(self, table: str) -> str | None:
        script = 'PATH=$PATH:/usr/sbin:/sbin exec nft -j list table ip "$1"'
        ran = self.run(("sh", "-c", script, "sh", table))
        if ran.code == 0:
            return ran.out
        if "No such file or directory" in ran.err:
            return None
        raise StepFailed("KO-NFT", f"nft failed: {ran.err.strip()}", where=self.name)

    def service(self, name: str) -> ServiceState:
        found = self.show(name)
        ended = found.ended
        return ServiceState(
            name,
            active=found["ActiveState"] in {"active", "activating", "reloading"},
            pid=int(found["MainPID"] or 0),
            exit_code=int(found["ExecMainStatus"] or 0) if ended else None,
        )

    def service_start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: str
    ) -> None:
        if self.service(name).active:
            return
        self.run(("systemctl", "reset-failed", f"{name}.service"))  # a failed one blocks the name
        options = [f"--unit={name}", "--property=Restart=on-failure", "--property=RestartSec=2"]
        options += [f"--property=StandardOutput=append:{log}"]
        options += [f"--property=StandardError=append:{log}", "--property=TimeoutStopSec=60"]
        options += [f"--setenv={key}={value}" for key, value in env.items()]
        ran = self.run(("systemd-run", *options, "--", *argv))
        if ran.code != 0:
            raise StepFailed("KO-SERVICE-START", f"{name}: {ran.err.strip()}", where=self.name)

    def service_stop(self, name: str, *, timeout: float = 330.0, kill: bool = False) -> None:
        unit = f"{name}.service"
        if kill:
            self.run(("systemctl", "kill", "--signal=KILL", unit))
        ran = self.run(("systemctl", "stop", unit), timeout=timeout)
        if ran.code != 0 and "not loaded" not in ran.err:
            raise StepFailed("KO-SERVICE-STOP", f"{name}: {ran.err.strip()}", where=self.name)

    def service_restart(self, name: str, *, timeout: float = 330.0) -> None:
        ran = self.run(("systemctl", "restart", f"{name}.service"), timeout=timeout)
        if ran.code != 0:
            raise StepFailed("KO-SERVICE-RESTART", f"{name}: {ran.err.strip()}", where=self.name)

    def _root(self) -> tuple[str, ...]:
        if self._sudo is None:
            code, out, _ = self.execute(("id", "-u"), b"", 30.0)
            if code == 0 and not out.strip().isdigit():
                raise self._noisy(out)
            if out.strip() == b"0":
                self._sudo = ()
            else:
                self._allowed()
                self._sudo = SUDO
        return self._sudo

    def _noisy(self, out: bytes) -> ConfigError:
        """Every answer would begin so, and files that are read and written back too."""
        said = out.decode(errors="replace").strip().partition("\n")[0]
        return ConfigError(
            "KO-HOST-NOISE",
            f"{self.name} answers a command with more than its output: {said[:80]!r}",
            where=self.name,
            hint="on the host: start-up files of that user's shell (.bashrc) must print nothing"
            " where nobody is at a terminal",
        )

    def _allowed(self) -> None:
        code, _, err = self.execute((*SUDO, "true"), b"", 30.0)
        if code != 0:
            said = err.decode(errors="replace").strip() or f"code {code}"
            raise ConfigError(
                "KO-HOST-SUDO",
                f"{self.name} does not let this user become root without a password: {said}",
                where=self.name,
                hint="in /etc/sudoers.d/kafkaops on the host: USER ALL=(root) NOPASSWD: ALL",
            )
