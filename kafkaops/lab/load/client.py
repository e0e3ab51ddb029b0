"""One load client in Python, as a process: `python -m kafkaops.lab.load.client SPEC LEDGER`.

SIGTERM and SIGINT end it as an application should end: producers flush, consumers commit.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kafkaops.lab.load import record
from kafkaops.lab.load.ledger import LedgerWriter
from kafkaops.lab.load.spec import ClientSpec

TICK = 0.05
BLOCK = 1000
"""Numbers reserved at a time: after a kill -9 none that may be in the log is used again."""
FLUSH = 45.0


class Dead(Exception):
    """The client library gave up for good; an application would have to make a new client."""


class Sender(Protocol):
    """A producer library. `send` may block; acknowledgements go to the ledger."""

    def send(self, topic: str, key: bytes, value: bytes, seq: int) -> None: ...

    def poll(self) -> None: ...

    def finish(self, seconds: float) -> int:
        """Flush and close; how many records are still without an answer."""
        ...


class Pace:
    """Whole records due at a steady rate; what a stall held up is capped at one second."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._last = now
        self._owed = 0.0

    def due(self, now: float) -> int:
        self._owed = min(self._owed + (now - self._last) * self.rate, max(1.0, self.rate))
        self._last = now
        whole = int(self._owed)
        self._owed -= whole
        return whole


def produce(
    spec: ClientSpec, sender: Sender, ledger: LedgerWriter, stop: threading.Event, first: int
) -> int:
    """Send until `stop`; exit code 1 if the library died or left records without an answer."""
    seq = reserved = first
    pace = Pace(spec.rate, time.monotonic())
    code = 0
    try:
        while not stop.wait(TICK):
            for _ in range(pace.due(time.monotonic())):
                if seq >= reserved:
                    reserved = seq + BLOCK
                    ledger.reserve(reserved)
                topic, key = record.place(seq, spec.topics, spec.keys)
                value = record.encode(spec.name, seq, key, spec.size)
                sender.send(topic, key.encode(), value, seq)
                seq += 1
            sender.poll()
            ledger.flush()
    except Dead as error:
        ledger.failed(-1, error)
        code = 1
    left = sender.finish(FLUSH)
    if left:
        ledger.failed(-1, f"{left} records without an answer at the end")
        code = 1
    ledger.end()
    return code


def next_number(path: Path) -> int:
    """Where a producer goes on: the first number that its ledger has not reserved."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return max((int(line.split()[1]) for line in file if line.startswith(b"R ")), default=0)


def main(argv: list[str]) -> int:
    spec = ClientSpec.from_json(json.loads(Path(argv[1]).read_text()))
    path = Path(argv[2])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    first = next_number(path) if spec.role == "producer" else 0
    ledger = LedgerWriter(path)
    ledger.start(spec.role, spec.name, spec.kind, spec.group, ",".join(spec.topics))
    if spec.role == "producer":
        return produce(spec, _sender(spec, ledger), ledger, stop, first)
    return _consumer(spec)(spec, ledger, stop)


def _sender(spec: ClientSpec, ledger: LedgerWriter) -> Sender:
    if spec.kind == "kafka-python":
        from kafkaops.lab.load import pykafka

        return pykafka.Sender(spec, ledger)
    from kafkaops.lab.load import rdkafka

    return rdkafka.Sender(spec, ledger)


def _consumer(spec: ClientSpec) -> Callable[[ClientSpec, LedgerWriter, threading.Event], int]:
    if spec.kind == "kafka-python":
        from kafkaops.lab.load import pykafka

        return pykafka.consume
    from kafkaops.lab.load import rdkafka

    return rdkafka.consume


if __name__ == "__main__":
    sys.exit(main(sys.argv))
