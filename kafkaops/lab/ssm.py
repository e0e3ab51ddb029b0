"""SSM Run Command's behaviour over hosts that really run what they are sent.

As strict as AWS: an invocation does not exist just after it was sent, its output is cut,
`TimeoutSeconds` bounds only its start and `executionTimeout` its run, and an instance without a
live agent is refused. Source: AWS Systems Manager API reference and User Guide, "Understanding
command statuses".
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafkaops.engine.clock import Clock

VISIBLE = 0.3  # seconds until GetCommandInvocation knows of it
TAKEN = 0.5  # seconds until the agent starts it
MAX_OUT, MAX_ERR = 24_000, 8_000  # characters
MAX_DOCUMENT = 64 * 1024
KILLED = 137
TRUNCATED = "\n---Output truncated---"


class Refused(Exception):
    """An error answer: AWS's code, message and HTTP status."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class Agent(Protocol):
    """The agent of one instance."""

    def run(self, script: str, timeout: int) -> tuple[int, bytes, bytes]:
        """Exit code, stdout, stderr; 137 where it was killed past `timeout` seconds."""


@dataclass
class Invocation:
    """One command on one instance. `sent`, `ended` by the clock."""

    id: str
    instance: str
    comment: str
    sent: float
    start_within: int
    timeout: int
    lost: bool = False
    ended: float | None = None
    code: int = -1
    out: str = ""
    err: str = ""

    def status(self, now: float, taken: float) -> tuple[str, str]:
        """AWS's Status and StatusDetails."""
        if self.lost:
            late = now >= self.sent + self.start_within
            return ("TimedOut", "DeliveryTimedOut") if late else ("Pending", "Pending")
        if now < self.sent + taken:
            return "Pending", "Pending"
        if self.ended is None or now < self.ended:
            return "InProgress", "InProgress"
        if self.code == KILLED:
            return "TimedOut", "ExecutionTimedOut"
        return ("Success", "Success") if self.code == 0 else ("Failed", "Failed")


@dataclass
class Commands:
    """`agents` by instance id. Faults: `offline` instances are refused, `lost` ones are taken
    and never start, `throttle` is how many calls to refuse yet. `spawn` runs the command beside
    the caller; tests run it at once."""

    agents: Mapping[str, Agent]
    clock: Clock
    spawn: Callable[[Callable[[], None]], None] = field(default=lambda work: _thread(work))
    offline: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    throttle: int = 0
    visible: float = VISIBLE
    taken: float = TAKEN
    sent: dict[str, dict[str, Invocation]] = field(default_factory=dict)

    def send(
        self, instances: list[str], lines: list[str], start_within: int, timeout: int, comment: str
    ) -> str:
        """The command's id. Refused where one instance has no live agent: then nothing runs."""
        bad = [i for i in instances if i not in self.agents or i in self.offline]
        if bad:
            raise Refused("InvalidInstanceId", f"Instances {bad} not in a valid state for account")
        if sum(len(line.encode()) + 1 for line in lines) > MAX_DOCUMENT:
            raise Refused("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
        command = str(uuid.uuid4())
        now = self.clock.monotonic()
        made = [
            Invocation(command, i, comment, now, start_within, timeout, lost=i in self.lost)
            for i in instances
        ]
        self.sent[command] = {one.instance: one for one in made}
        for one in made:
            if not one.lost:
                self.spawn(self._work(one, "\n".join(lines)))
        return command

    def invocation(self, command: str, instance: str) -> tuple[Invocation, str, str]:
        """It, its Status and its StatusDetails."""
        one = self.sent.get(command, {}).get(instance)
        now = self.clock.monotonic()
        if one is None or now < one.sent + self.visible:
            raise Refused("InvocationDoesNotExist")
        return (one, *one.status(now, self.taken))

    def instances(self) -> list[dict[str, Any]]:
        return [
            {
                "InstanceId": name,
                "PingStatus": "ConnectionLost" if name in self.offline else "Online",
                "PlatformType": "Linux",
            }
            for name in sorted(self.agents)
        ]

    def _work(self, one: Invocation, script: str) -> Callable[[], None]:
        def work() -> None:
            self.clock.sleep(self.taken)
            code, out, err = self.agents[one.instance].run(script, one.timeout)
            one.out = _cut(out, MAX_OUT)
            said = err.decode(errors="replace")
            if code not in {0, KILLED}:
                said += f"\nfailed to run commands: exit status {code}"
            one.err = _cut(said.encode(), MAX_ERR)
            one.code, one.ended = code, self.clock.monotonic()

        return work


def _cut(data: bytes, size: int) -> str:
    """As text, with what is too long cut and said so within the size."""
    text = data.decode(errors="replace")
    return text if len(text) <= size else text[: size - len(TRUNCATED)] + TRUNCATED


def _thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
