"""An EC2 host over SSM Run Command (`ssm:SendCommand`, `ssm:GetCommandInvocation`).

What AWS does and this minds: `InvocationDoesNotExist` just after sending means not yet;
`TimeoutSeconds` bounds only the start, `executionTimeout` the run; output is text, cut at 24,000
characters of stdout and 8,000 of stderr; a document with its parameters has at most 64 KB. So
output stays on the host, compressed, and is fetched page by page to its end; a large stdin goes
there in chunks; both travel as base64. SendCommand is not idempotent and botocore repeats it, so
every command carries a token and runs once.
Source: AWS Systems Manager User Guide, "Run Command"; API GetCommandInvocation.
"""

from __future__ import annotations

import base64
import shlex
import uuid
import zlib
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.adapters import host_scripts as scripts
from kafkaops.adapters.aws_errors import client, translated
from kafkaops.adapters.host_command import CommandHost
from kafkaops.config.schema import Aws
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.errors import StepFailed, Unreachable

PENDING = {"Pending", "InProgress", "Delayed", "Cancelling"}
THROTTLED = {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyUpdates"}
TRIES = 8
POLL = 0.2  # seconds
START = 30  # seconds for the agent to take a command; the least that AWS accepts
MAX_LINE = 60_000  # characters; AWS's 64 KB hold the document's own text too
CHUNK = 36_000  # bytes of stdin in one command: 48,000 as base64
# Bytes in a page, as base64 below 24,000 characters together with the first line.
FIRST_OUT, FIRST_ERR, PAGE = 12_000, 4_000, 17_000
AT_ONCE = 5  # the agent's own default of commands at a time
MAX_STDIN = 8 * 1024 * 1024


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
        self._sudo = ()

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        token = uuid.uuid4().hex
        data = self._whole(stdin)
        self._feed(f"{token}.in", data)
        sizes = (str(len(data)), str(FIRST_OUT), str(FIRST_ERR))
        answer = self._shell(scripts.SSM_RUN, timeout, token, *sizes, *argv)
        code, (out_size, err_size), (out, err) = self._read(answer)
        out += self._rest(f"{token}/out.gz", len(out), out_size)
        err += self._rest(f"{token}/err.gz", len(err), err_size)
        return code, self._unpacked(out), self._unpacked(err)

    def _whole(self, stdin: bytes | BinaryIO) -> bytes:
        data = stdin if isinstance(stdin, bytes) else stdin.read(MAX_STDIN + 1)
        if len(data) > MAX_STDIN:
            raise StepFailed(
                "KO-SSM-LARGE",
                f"more than {MAX_STDIN // 1024 // 1024} MiB do not go to a host by Run Command",
                where=self.name,
                hint="give an https or s3 source, which the host fetches itself",
            )
        return data

    def _feed(self, file: str, data: bytes) -> None:
        """Lay stdin down on the host, as many chunks at a time as an agent works on."""
        offsets = range(0, len(data), CHUNK)
        for first in range(0, len(offsets), AT_ONCE):
            sent = []
            for offset in offsets[first : first + AT_ONCE]:
                chunk = base64.b64encode(data[offset : offset + CHUNK]).decode()
                line = _line(scripts.SSM_CHUNK, file, str(offset), chunk)
                sent.append(self._send(line, 30.0))
            for command in sent:
                self._wait(command, 30.0)

    def _shell(self, script: str, timeout: float, *argv: str) -> str:
        """One command to its end; what it printed. It must succeed: the scripts here do, and
        say in their output how the command in them ended."""
        return self._wait(self._send(_line(script, *argv), timeout), timeout)

    def _wait(self, command: str, timeout: float) -> str:
        begun = self._clock.monotonic()
        while self._clock.monotonic() < begun + START + timeout + 30:
            answer = self._invocation(command)
            if answer is not None and answer["Status"] not in PENDING:
                return self._ended(answer)
            self._clock.sleep(POLL)
        raise self._unreachable("KO-SSM-TIMEOUT", f"no answer within {timeout:g} s")

    def _send(self, line: str, timeout: float) -> str:
        if len(line) > MAX_LINE:
            raise StepFailed(
                "KO-SSM-LARGE",
                f"a command line of {len(line)} characters is too long for Run Command",
                where=self.name,
            )
        bound = str(max(1, int(timeout) + 5))

        def send() -> Any:
            return self._client().send_command(
                InstanceIds=[self._instance],
                DocumentName="AWS-RunShellScript",
                TimeoutSeconds=START,
                Parameters={"commands": [line], "executionTimeout": [bound]},
                Comment="kafkaops",
            )

        try:
            sent = self._patiently(send)
        except ClientError as error:
            if _code(error) == "InvalidInstanceId":
                why = "its SSM agent is offline, or there is no such instance in this region"
                raise self._unreachable("KO-SSM-OFFLINE", why) from error
            raise translated(error, "ssm:SendCommand") from error
        except BotoCoreError as error:
            raise translated(error, "ssm:SendCommand") from error
        return str(sent["Command"]["CommandId"])

    def _invocation(self, command: str) -> Any | None:
        def get() -> Any:
            return self._client().get_command_invocation(
                CommandId=command, InstanceId=self._instance
            )

        try:
            return self._patiently(get)
        except ClientError as error:
            if _code(error) == "InvocationDoesNotExist":
                return None  # sent a moment ago
            raise translated(error, "ssm:GetCommandInvocation") from error
        except BotoCoreError as error:
            raise translated(error, "ssm:GetCommandInvocation") from error

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """Throttling is waited out, longer than botocore does: many hosts share one rate."""
        for attempt in range(TRIES):
            try:
                return call()
            except ClientError as error:
                if _code(error) not in THROTTLED or attempt == TRIES - 1:
                    raise
            self._clock.sleep(min(5.0, POLL * 2**attempt))
        raise AssertionError("unreachable")

    def _ended(self, answer: Any) -> str:
        """A success's stdout; every other end is an error."""
        status = str(answer["Status"])
        detail = str(answer.get("StatusDetails") or status).replace(" ", "")
        if status == "Success":
            return str(answer["StandardOutputContent"])
        if detail in {"ExecutionTimedOut", "TimedOut"}:
            raise self._unreachable("KO-SSM-TIMEOUT", "the command ran out of time")
        if status == "Failed" and detail == "Failed":
            said = str(answer["StandardErrorContent"]).strip()
            raise StepFailed("KO-SSM-SHELL", f"the host's shell failed: {said}", where=self.name)
        raise self._unreachable("KO-SSM-UNDELIVERED", f"the command never ran: SSM says {detail}")

    def _read(self, answer: str) -> tuple[int, tuple[int, int], tuple[bytes, bytes]]:
        """Exit code, compressed sizes of stdout and stderr, and the first page of each."""
        lines = answer.split("\n")
        words = lines[0].split()
        if len(lines) < 3 or len(words) != 4 or words[0] != "kafkaops":
            raise self._cut(answer)
        out, err = self._bytes(lines[1]), self._bytes(lines[2])
        sizes = (int(words[2]), int(words[3]))
        if len(out) != min(sizes[0], FIRST_OUT) or len(err) != min(sizes[1], FIRST_ERR):
            raise self._cut(answer)
        return int(words[1]), sizes, (out, err)

    def _rest(self, file: str, have: int, size: int) -> bytes:
        """What is still on the host."""
        pages = []
        for offset in range(have, size, PAGE):
            answer = self._shell(scripts.SSM_PAGE, 30.0, file, str(offset), str(PAGE))
            page = self._bytes(answer.strip())
            if len(page) != min(PAGE, size - offset):
                raise self._cut(answer)
            pages.append(page)
        return b"".join(pages)

    def _bytes(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise self._cut(text) from None

    def _unpacked(self, data: bytes) -> bytes:
        try:
            return zlib.decompress(data, wbits=31)
        except zlib.error:
            raise self._cut("") from None

    def _cut(self, answer: str) -> StepFailed:
        shown = answer[:80].replace("\n", " ")
        return StepFailed(
            "KO-SSM-CUT", f"the output of a command is not whole: {shown!r}", where=self.name
        )

    def _client(self) -> Any:
        if self._made is None:
            self._made = client("ssm", self._aws)
        return self._made

    def _unreachable(self, code: str, why: str) -> Unreachable:
        return Unreachable(
            code,
            f"{self.name}: {why}",
            where=self._instance,
            hint="aws ssm describe-instance-information --filters Key=InstanceIds,"
            f"Values={self._instance}",
        )


def _line(script: str, *argv: str) -> str:
    return shlex.join(("sh", "-c", script, "sh", *argv))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
