"""This machine as a host."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any, BinaryIO

from kafkaops.adapters.host_command import CommandHost
from kafkaops.adapters.host_scripts import TIMED_OUT

NOT_FOUND = 127


class LocalHost(CommandHost):
    """This machine; with `as_self` commands run as whoever runs kafkaops, not as root."""

    def __init__(self, name: str, address: str, *, as_self: bool = False) -> None:
        super().__init__(name, address)
        if as_self:
            self._sudo = ()

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        return run_here(argv, stdin, timeout)


def run_here(
    argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float, *, cwd: str | None = None
) -> tuple[int, bytes, bytes]:
    """A process of this machine to its end; code 124 past `timeout`, 127 where it cannot be
    started."""
    try:
        done = subprocess.run(
            list(argv), **feed(stdin), capture_output=True, timeout=timeout, check=False, cwd=cwd
        )
    except subprocess.TimeoutExpired:
        return TIMED_OUT, b"", f"not done within {timeout:g} s".encode()
    except OSError as error:
        return NOT_FOUND, b"", str(error).encode()
    return done.returncode, done.stdout, done.stderr


def feed(stdin: bytes | BinaryIO) -> dict[str, Any]:
    """The argument of subprocess.run for it: a stream goes there by itself, never through the
    memory of this process."""
    return {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
