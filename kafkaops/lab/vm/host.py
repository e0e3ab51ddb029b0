"""A virtual machine as a host like others: everything of `ports.host.Host` by commands in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from kafkaops.adapters.host_command import CommandHost
from kafkaops.engine.errors import OpsError, Unreachable
from kafkaops.lab.vm.machine import Machine

SLOW = 10  # times that a command may take longer here than on a processor that is not emulated


class VmHost(CommandHost):
    """The agent in the machine runs as root."""

    def __init__(self, name: str, machine: Machine) -> None:
        super().__init__(name, "10.0.2.15")
        self._machine = machine
        self._sudo = ()

    def command(
        self, argv: Sequence[str], stdin: bytes | BinaryIO = b"", timeout: float = 30.0
    ) -> tuple[int, bytes, bytes]:
        return super().command(argv, stdin, timeout * SLOW)

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        data = stdin if isinstance(stdin, bytes) else stdin.read()
        try:
            return self._machine.run(argv, data, timeout)
        except OpsError as error:
            raise Unreachable(error.code, error.message, where=self.name) from None
