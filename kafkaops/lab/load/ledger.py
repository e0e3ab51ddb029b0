"""The ledger: one append-only text file a client, a line an event, written when it happens.

Invariant: what a process wrote before a kill -9 is in the file. A line ends in its time
(19 digits, nanoseconds since the epoch), so a line cut short cannot pass for a whole one; a
cut line is dropped only at the end of a process's life (the next line is a start).

    S <producer|consumer> <name> <kind> <group or -> <topics,> <ns>   a process starts
    R <seq> <ns>                                       numbers below seq may have been sent
    A <seq> <topic> <partition> <offset> <sent ns> <ns>               acknowledged
    F <seq or -1> <text> <ns>                          a send, or the client, failed for good
    D <producer> <seq> <topic> <partition> <offset> <ns>              delivered
    Q <topic:partition:position,...> <ns>              a commit asked for
    C <topic:partition:position,...> <ns>              committed
    M <text> <ns>                                      a commit that failed
    N <text> <ns>                                      an error that the application rode out
    X <ns>                                             ended as asked
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".ledger"
NS_DIGITS = 19
FOREIGN = "-"
"""Producer of a delivered record that the load did not write."""


Positions = dict[tuple[str, int], int]
"""Topic and partition to the position after the last record."""


class Ack(NamedTuple):
    """One acknowledged record; times in ns since the epoch."""

    seq: int
    topic: str
    partition: int
    offset: int
    sent: int
    at: int


class Fault(NamedTuple):
    """A final error; `seq` is -1 where it is not one record's."""

    seq: int
    text: str
    at: int


class Delivery(NamedTuple):
    """One record handed to the application; offset in the log of the cluster it came from."""

    producer: str
    seq: int
    topic: str
    partition: int
    offset: int
    at: int


class Commit(NamedTuple):
    """One commit: `(topic, partition, position)`, and when it was confirmed, or asked for."""

    positions: tuple[tuple[str, int, int], ...]
    at: int


@dataclass
class ProducerLedger:
    """What one producer wrote down. `reserved`: the first number never yet used."""

    name: str
    kind: str
    topics: tuple[str, ...] = ()
    acks: list[Ack] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    reserved: int = 0


@dataclass
class ConsumerLedger:
    """What one member of a consumer group wrote down."""

    name: str
    kind: str
    group: str
    topics: tuple[str, ...] = ()
    deliveries: list[Delivery] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    asked: list[Commit] = field(default_factory=list)
    commit_failures: list[Fault] = field(default_factory=list)
    ridden_out: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Ledger:
    """Everything written down. `drained`: the groups were given the time to read all, so what
    they never received is skipped, not behind. `until`: ns when the ledger was read, while
    producers run; 0 for a load that is over. `starts`: ns at which the whole load was started,
    once or, after it had been stopped, again: what lies before a start is no pause."""

    producers: tuple[ProducerLedger, ...]
    consumers: tuple[ConsumerLedger, ...]
    drained: bool = False
    until: int = 0
    starts: tuple[int, ...] = ()

    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.group for c in self.consumers))

    def members(self, group: str) -> tuple[ConsumerLedger, ...]:
        return tuple(c for c in self.consumers if c.group == group)


class LedgerWriter:
    """Appends lines of one client. `add` from any thread; `flush` puts them into the file in
    one write."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._lock = threading.Lock()
        self._lines: list[str] = []
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def add(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)

    def flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            data = ("\n".join(lines) + "\n").encode()
            while data:
                data = data[os.write(self._fd, data) :]

    def start(self, role: str, name: str, kind: str, group: str, topics: str) -> None:
        self.add(f"S {role} {name} {kind} {group or '-'} {topics} {time.time_ns()}")
        self.flush()

    def reserve(self, below: int) -> None:
        self.add(f"R {below} {time.time_ns()}")
        self.flush()

    def acked(self, seq: int, topic: str, partition: int, offset: int, sent: int) -> None:
        self.add(f"A {seq} {topic} {partition} {offset} {sent} {time.time_ns()}")

    def failed(self, seq: int, text: object) -> None:
        self.add(f"F {seq} {_one_line(text)} {time.time_ns()}")

    def delivered(
        self, producer: str, seq: int, topic: str, partition: int, offset: int, at: int
    ) -> None:
        self.add(f"D {producer} {seq} {topic} {partition} {offset} {at}")

    def committing(self, positions: Positions) -> None:
        self.add(f"Q {_positions(positions)} {time.time_ns()}")
        self.flush()

    def committed(self, positions: Positions) -> None:
        self.add(f"C {_positions(positions)} {time.time_ns()}")
        self.flush()

    def commit_failed(self, text: object) -> None:
        self.add(f"M {_one_line(text)} {time.time_ns()}")
        self.flush()

    def rode_out(self, text: object) -> None:
        self.add(f"N {_one_line(text)} {time.time_ns()}")
        self.flush()

    def end(self) -> None:
        self.add(f"X {time.time_ns()}")
        self.flush()


def _positions(positions: Positions) -> str:
    return ",".join(f"{t}:{p}:{position}" for (t, p), position in sorted(positions.items()))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300] or "-"
