"""A host reached by the system's OpenSSH, so the operator's own ssh config, agent and jump hosts
hold. Invariant: never a prompt (BatchMode), never an unknown host key taken silently, whatever
that config says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from kafkaops.adapters.host_command import CommandHost
from kafkaops.adapters.host_local import feed
from kafkaops.engine.errors import ConfigError, OpsError, Unreachable

SSH_FAILED = 255
SLACK = 15.0  # seconds for a handshake, beside the command's own
# A socket's path has at most 107 bytes; ssh adds a hash and a temporary suffix to the directory.
MAX_DIRECTORY = 107 - len("/") - 40 - len(".0123456789abcdef")

# What ssh says -> code and what to do. The first that fits; {target} is filled in.
FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "KO-SSH-HOST-KEY-CHANGED",
        "find out why: a new machine, or somebody in between; only then ssh-keygen -R the old key",
    ),
    (
        "host key",
        "KO-SSH-HOST-KEY",
        "compare its fingerprint with the machine's console, then take it: ssh {target} true",
    ),
    ("Permission denied", "KO-SSH-DENIED", "ssh-add -l, and the user in: ssh -G {target}"),
    ("Too many authentication failures", "KO-SSH-DENIED", "set IdentitiesOnly and IdentityFile"),
    ("Connection refused", "KO-SSH-REFUSED", "is sshd running there, on that port?"),
    ("Could not resolve hostname", "KO-SSH-NAME", "see what ssh makes of it: ssh -G {target}"),
    ("timed out", "KO-SSH-TIMEOUT", "is the machine up, and does a firewall let port 22 through?"),
    ("No route to host", "KO-SSH-TIMEOUT", "is the machine up, and its network?"),
    ("Bad configuration option", "KO-SSH-CONFIG", "correct that file"),
    ("Can't open user config file", "KO-SSH-CONFIG", "correct ssh.config_file"),
)
TRY = "try: ssh -o BatchMode=yes {target} true"


class SshHost(CommandHost):
    """`target` is what ssh takes (`host`, `user@host`, an alias of the ssh config). One
    connection is kept open (ControlMaster), for the fence must not wait for handshakes.
    `config_file` is used instead of the operator's own ssh config."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        target: str = "",
        control_dir: str,
        config_file: str = "",
        program: str = "ssh",
    ) -> None:
        super().__init__(name, address)
        self._target = target or address
        self._control = control_directory(control_dir)
        self._program = program
        self._config = ("-F", config_file) if config_file else ()
        self._options = (
            *("-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
            *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10"),
            *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=600"),
            *("-o", f"ControlPath={self._control}/%C"),
        )

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        try:
            self._control.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                "KO-SSH-CONFIG",
                f"no directory for ssh's connections: {error.strerror}",
                where=str(self._control),
            ) from None
        line = (*self._ssh(), "--", self._target, shlex.join(argv))
        # A file, not a pipe: some versions keep stderr open in the connection that stays.
        with tempfile.TemporaryFile() as err:
            try:
                done = subprocess.run(
                    line,
                    **feed(stdin),
                    stdout=subprocess.PIPE,
                    stderr=err,
                    timeout=timeout + SLACK,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._unreachable(
                    "KO-SSH-TIMEOUT", f"no answer within {timeout + SLACK:g} s", TRY
                ) from None
            except FileNotFoundError:
                raise ConfigError(
                    "KO-SSH-PROGRAM",
                    f"there is no {self._program} program on this machine",
                    where=self.name,
                    hint="install it (Debian: apt-get install openssh-client)",
                ) from None
            err.seek(0)
            said = err.read()
        if done.returncode == SSH_FAILED:
            raise self._explained(said.decode(errors="replace").strip())
        return done.returncode, done.stdout, said

    def close(self) -> None:
        """End the connection that is kept open."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [*self._ssh(), "-O", "exit", "--", self._target],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SLACK,
                check=False,
            )

    def _ssh(self) -> tuple[str, ...]:
        return (self._program, *self._config, *self._options)

    def _explained(self, said: str) -> OpsError:
        for words, code, hint in FAULTS:
            if words.lower() in said.lower():
                return self._unreachable(code, said, hint)
        return self._unreachable("KO-SSH-LOST", said or "the connection ended with code 255", TRY)

    def _unreachable(self, code: str, why: str, hint: str) -> Unreachable:
        return Unreachable(
            code,
            f"{self.name}: {why}",
            where=self._target,
            hint=hint.format(target=self._target),
        )


def control_directory(wanted: str | Path) -> Path:
    """Where ssh keeps its sockets: `wanted`, or where that is too deep for a socket, one of this
    user's own under the temporary directory. Made 0700 by whoever uses it."""
    path = Path(wanted).absolute()
    if len(os.fsencode(path)) <= MAX_DIRECTORY:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"kafkaops-{os.getuid()}-{digest}"
