"""The ledger: one append-only text file a client, a line an event, written when it happens.

Invariant: what a process wrote before a kill -9 is in the file. A line ends in its time
(19 digits, nanoseconds since the epoch), so a line cut short cannot pass for a whole one; a
cut line is dropped only at the end of a process's life (the next line is a start).

    S <producer|consumer> <name> <kind> <group or -> <topics,> <ns>   a process starts
    R <seq> <ns>                                       numbers below seq may have been sent
    A <seq> <topic> <partition> <offset> <sent ns> <ns>               acknowledged
    F <seq or -1> <text> <ns>                          a send, or the client, failed for good
    D <producer> <seq> <topic> <partition> <offset> <ns>              delivered
    C <topic:partition:position,...> <ns>              committed
    M <text> <ns>                                      a commit that failed
    N <text> <ns>                                      an error that the application rode out
    X <ns>                                             ended as asked
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from kafkaops.engine.errors import OpsError

SUFFIX = ".ledger"
NS_DIGITS = 19
FOREIGN = "-"
"""Producer of a delivered record that the load did not write."""


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
    """One confirmed commit: `(topic, partition, position)`, and when it was confirmed."""

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


class LedgerDamaged(OpsError):
    """A ledger says what no client writes: its figures cannot be trusted."""


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

    def committed(self, positions: dict[tuple[str, int], int]) -> None:
        text = ",".join(f"{t}:{p}:{position}" for (t, p), position in sorted(positions.items()))
        self.add(f"C {text} {time.time_ns()}")
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


class LedgerReader:
    """Reads a directory of ledgers; each `read` parses only what was added since the last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[Path, _File] = {}

    def read(
        self, *, drained: bool = False, until: int = 0, starts: tuple[int, ...] = ()
    ) -> Ledger:
        """LedgerDamaged if a whole line makes no sense."""
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            self._files.setdefault(path, _File(path)).catch_up()
        parsed = [file.client for file in self._files.values()]
        ledger = Ledger(
            tuple(c for c in parsed if isinstance(c, ProducerLedger)),
            tuple(c for c in parsed if isinstance(c, ConsumerLedger)),
        )
        return replace(ledger, drained=drained, until=until, starts=starts)


def tally(path: Path) -> tuple[int, int]:
    """Records (acknowledged or delivered) and errors in one file, counted without parsing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0, 0
    return data.count(b"\nA ") + data.count(b"\nD "), data.count(b"\nF ")


class _File:
    """One client's file, read as far as whole lines go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.client: ProducerLedger | ConsumerLedger | None = None
        self._read = 0
        self._number = 0
        self._torn = ""

    def catch_up(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self._number += 1
            self._line(line)

    def _line(self, line: str) -> None:
        if not line:
            return
        if self._torn and not line.startswith("S "):
            raise LedgerDamaged(
                "KO-LEDGER-DAMAGED",
                f"line {self._number - 1} is not a ledger's: {self._torn[:80]!r}",
                where=str(self.path),
            )
        try:
            self._take(line)
            self._torn = ""
        except (ValueError, IndexError):
            self._torn = line

    def _take(self, line: str) -> None:
        body, _, stamp = line.rpartition(" ")
        if len(stamp) != NS_DIGITS:
            raise ValueError(line)
        at = int(stamp)
        kind, _, rest = body.partition(" ")
        if kind == "S":
            self._start(rest, at)
        elif isinstance(self.client, ProducerLedger):
            _of_producer(self.client, kind, rest, at)
        elif isinstance(self.client, ConsumerLedger):
            _of_consumer(self.client, kind, rest, at)
        else:
            raise ValueError(line)

    def _start(self, rest: str, at: int) -> None:
        role, name, kind, group, topics = rest.split(" ")
        if self.client is None:
            if role == "producer":
                self.client = ProducerLedger(name, kind)
            elif role == "consumer":
                self.client = ConsumerLedger(name, kind, group)
            else:
                raise ValueError(role)
        self.client.topics = tuple(topics.split(","))
        self.client.starts.append(at)


def _of_producer(client: ProducerLedger, kind: str, rest: str, at: int) -> None:
    if kind == "A":
        seq, topic, partition, offset, sent = rest.split(" ")
        client.acks.append(Ack(int(seq), topic, int(partition), int(offset), int(sent), at))
    elif kind == "R":
        client.reserved = max(client.reserved, int(rest))
    elif kind == "F":
        number, _, text = rest.partition(" ")
        client.faults.append(Fault(int(number), text, at))
    elif kind == "X":
        client.ends.append(at)
    else:
        raise ValueError(kind)


def _of_consumer(client: ConsumerLedger, kind: str, rest: str, at: int) -> None:
    if kind == "D":
        producer, seq, topic, partition, offset = rest.split(" ")
        client.deliveries.append(
            Delivery(producer, int(seq), topic, int(partition), int(offset), at)
        )
    elif kind == "C":
        fields = [p.rsplit(":", 2) for p in rest.split(",")]
        client.commits.append(Commit(tuple((t, int(p), int(o)) for t, p, o in fields), at))
    elif kind == "M":
        client.commit_failures.append(Fault(-1, rest, at))
    elif kind == "N":
        client.ridden_out.append(Fault(-1, rest, at))
    elif kind == "F":
        number, _, text = rest.partition(" ")
        client.faults.append(Fault(int(number), text, at))
    elif kind == "X":
        client.ends.append(at)
    else:
        raise ValueError(kind)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300] or "-"
