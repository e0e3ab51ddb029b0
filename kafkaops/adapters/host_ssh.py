"""A host reached by the system's OpenSSH, so the operator's own ssh config, agent and jump hosts
hold. Invariant: never a prompt (BatchMode), never an unknown host key taken silently."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from kafkaops.adapters.host_local import CommandHost
from kafkaops.engine.errors import Unreachable

SSH_FAILED = 255


class SshHost(CommandHost):
    """`target` is what ssh takes (`host`, `user@host`, an alias of the ssh config). One
    connection is kept open (ControlMaster), for the fence must not wait for handshakes."""

    def __init__(self, name: str, address: str, *, target: str = "", control_dir: str) -> None:
        super().__init__(name, address)
        self._target = target or address
        self._options = (
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
            *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=600"),
            *("-o", f"ControlPath={control_dir}/%C"),
        )

    def execute(
        self, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        command = ["ssh", *self._options, "--", self._target, shlex.join(argv)]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise self._unreachable(f"no answer within {timeout:g} s") from None
        except FileNotFoundError:
            raise self._unreachable("there is no ssh program (package openssh-client)") from None
        if done.returncode == SSH_FAILED:
            raise self._unreachable(done.stderr.decode(errors="replace").strip())
        return done.returncode, done.stdout, done.stderr

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            "KO-HOST-UNREACHABLE",
            f"{self.name}: {why}",
            where=self._target,
            hint=f"try: ssh -o BatchMode=yes {self._target} true",
        )
