"""An EC2 host over SSM Run Command (`ssm:SendCommand`, `ssm:GetCommandInvocation`).

What AWS does and this minds: `InvocationDoesNotExist` just after sending means not yet;
`TimeoutSeconds` bounds only the start, so the run is bounded here by `executionTimeout`; stdout is
cut at 24,000 characters, so longer output is refused rather than half read.
Source: AWS Systems Manager User Guide, "Run Command"; API GetCommandInvocation.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.adapters.aws_errors import client, translated
from kafkaops.adapters.host_local import CommandHost
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.errors import StepFailed, Unreachable

CUT = 24_000
PENDING = {"Pending", "InProgress", "Delayed"}


class SsmHost(CommandHost):
    """`instance` is the instance id. The agent runs commands as root."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        instance: str,
        aws: Aws,
        clock: Clock | None = None,
        ssm: Any = None,
    ) -> None:
        super().__init__(name, address)
        self._instance, self._aws = instance, aws
        self._clock = clock or SystemClock()
        self._made = ssm

    def execute(
        self, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        begun = self._clock.monotonic()
        command = self._send(_line(argv, stdin), timeout)
        while self._clock.monotonic() < begun + timeout + 30:
            answer = self._invocation(command)
            if answer is not None and answer["Status"] not in PENDING:
                return self._ended(answer)
            self._clock.sleep(0.2)
        raise self._unreachable(f"no answer within {timeout:g} s")

    def _client(self) -> Any:
        if self._made is None:
            self._made = client("ssm", self._aws)
        return self._made

    def _send(self, line: str, timeout: float) -> str:
        try:
            sent = self._client().send_command(
                InstanceIds=[self._instance],
                DocumentName="AWS-RunShellScript",
                TimeoutSeconds=30,
                Parameters={"commands": [line], "executionTimeout": [str(max(1, int(timeout)))]},
                Comment="kafkaops",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "InvalidInstanceId":
                raise self._unreachable("its SSM agent is offline or unknown") from error
            raise translated(error, "ssm:SendCommand") from error
        except BotoCoreError as error:
            raise translated(error, "ssm:SendCommand") from error
        return str(sent["Command"]["CommandId"])

    def _invocation(self, command: str) -> Any | None:
        try:
            return self._client().get_command_invocation(
                CommandId=command, InstanceId=self._instance
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "InvocationDoesNotExist":
                return None  # sent a moment ago
            raise translated(error, "ssm:GetCommandInvocation") from error
        except BotoCoreError as error:
            raise translated(error, "ssm:GetCommandInvocation") from error

    def _ended(self, answer: Any) -> tuple[int, bytes, bytes]:
        out, err = str(answer["StandardOutputContent"]), str(answer["StandardErrorContent"])
        if answer["Status"] in {"Undeliverable", "Terminated", "DeliveryTimedOut", "Cancelled"}:
            raise self._unreachable(f"SSM says {answer['Status']}")
        if answer["Status"] in {"TimedOut", "ExecutionTimedOut"}:
            raise self._unreachable("the command ran out of time")
        if len(out) >= CUT:
            raise StepFailed("KO-SSM-CUT", "SSM cut the output of a command", where=self.name)
        return int(answer["ResponseCode"]), out.encode(), err.encode()

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            "KO-HOST-UNREACHABLE",
            f"{self.name}: {why}",
            where=self._instance,
            hint=f"aws ssm describe-instance-information --filters Key=InstanceIds,"
            f"Values={self._instance}",
        )


def _line(argv: Sequence[str], stdin: bytes) -> str:
    """One shell line; stdin travels as base64, for Run Command has none."""
    line = shlex.join(argv)
    if not stdin:
        return f"exec {line} </dev/null"
    return f"printf %s {base64.b64encode(stdin).decode()} | base64 -d | {line}"
