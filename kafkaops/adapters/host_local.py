"""Hosts whose commands are run by a program on this machine; this machine itself.

`CommandHost` builds the whole vocabulary of `ports.host.Host` on one method, `execute`; the SSH
adapter only replaces that. Services are systemd units: `service_start` makes a transient one
(systemd-run), which systemd itself restarts if it dies. Invariant: commands are argument lists,
never shell lines made of values.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host import Ran, ServiceState

# Writes stdin to a temporary file beside the target, fsyncs it, sets its mode, renames it.
PUT = """\
set -e; mkdir -p "$(dirname "$1")"; t="$1.kafkaops.$$"
trap 'rm -f "$t"' EXIT
(umask 077; cat > "$t"); chmod "$2" "$t"; sync "$t"; mv -f "$t" "$1"
"""
# One line a fact; a missing tool leaves its line out.
FACTS = """\
PATH=$PATH:/usr/sbin:/sbin
echo "kernel=$(uname -r)"; echo "clock=$(date +%s.%N)"
command -v nft >/dev/null && echo "nft=$(nft --version)"
command -v java >/dev/null && echo "java=$(java -version 2>&1 | head -n 1)"
command -v systemctl >/dev/null && echo "systemd=$(systemctl --version | head -n 1)"
true
"""
NO_SUCH_FILE = 44


class CommandHost:
    """The vocabulary of a host over `execute`. Not root: commands go through `sudo -n`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._sudo: tuple[str, ...] | None = None

    def execute(
        self, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run to the end: exit code, stdout, stderr. Raises Unreachable."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, str]:
        lines = self.run(("sh", "-c", FACTS)).out.splitlines()
        return {k: v for k, _, v in (line.partition("=") for line in lines) if v}

    def read(self, path: str) -> bytes | None:
        argv = ("sh", "-c", f'test -e "$1" || exit {NO_SUCH_FILE}; cat "$1"', "sh", path)
        code, out, err = self.execute((*self._root(), *argv), b"", 30.0)
        if code == NO_SUCH_FILE:
            return None
        if code != 0:
            raise StepFailed("KO-HOST-READ", f"{path}: {_text(err)}", where=self.name)
        return out

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        code, out, err = self.execute((*self._root(), *argv), stdin.encode(), timeout)
        return Ran(code, out.decode(errors="replace"), err.decode(errors="replace"))

    def put(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        argv = ("sh", "-c", PUT, "sh", path, f"{mode:o}")
        code, _, err = self.execute((*self._root(), *argv), data, 30.0)
        if code != 0:
            raise StepFailed("KO-HOST-PUT", f"{path}: {_text(err)}", where=self.name)

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
        wanted = "ActiveState,MainPID,ExecMainStatus,ExecMainExitTimestampMonotonic"
        ran = self.run(("systemctl", "show", f"{name}.service", "-p", wanted))
        if ran.code != 0:
            raise StepFailed("KO-SYSTEMD", f"systemctl: {ran.err.strip()}", where=self.name)
        found = dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)
        ended = found.get("ExecMainExitTimestampMonotonic", "0") != "0"
        return ServiceState(
            name,
            active=found.get("ActiveState") in {"active", "activating", "reloading"},
            pid=int(found.get("MainPID") or 0),
            exit_code=int(found.get("ExecMainStatus") or 0) if ended else None,
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
            _, out, _ = self.execute(("id", "-u"), b"", 30.0)
            self._sudo = () if out.strip() == b"0" else ("sudo", "-n", "--")
        return self._sudo


class LocalHost(CommandHost):
    """This machine."""

    def execute(
        self, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        try:
            done = subprocess.run(
                list(argv), input=stdin, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return 124, b"", f"not done within {timeout:g} s".encode()
        except OSError as error:
            return 127, b"", str(error).encode()
        return done.returncode, done.stdout, done.stderr


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").strip()
