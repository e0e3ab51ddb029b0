"""Reads ledgers, while they are written too.

Invariant: a whole line that makes no sense is an error, never left out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kafkaops.engine.errors import OpsError
from kafkaops.lab.load.ledger import (
    NS_DIGITS,
    SUFFIX,
    Ack,
    Commit,
    ConsumerLedger,
    Delivery,
    Fault,
    Ledger,
    ProducerLedger,
)


class LedgerDamaged(OpsError):
    """A ledger says what no client writes: its figures cannot be trusted."""


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
    elif kind in ("C", "Q"):
        fields = [p.rsplit(":", 2) for p in rest.split(",")]
        commit = Commit(tuple((t, int(p), int(o)) for t, p, o in fields), at)
        (client.commits if kind == "C" else client.asked).append(commit)
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
