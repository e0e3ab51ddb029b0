"""The journal of a run: append-only JSON lines, fsynced, the plan its first record.

Each line carries its number and a checksum chained over all lines before it. Invariants: what
was appended survives a crash; an unfinished last line was never acted upon and is dropped; any
other damage is refused, never read as less than what was written.

That last lines are missing cannot be seen in the journal itself. So a file beside it, its head,
says what was written last. It is written after each append and not fsynced: after a crash it may
be older than the journal, never newer. Without a head (a journal of an earlier version), or with a
torn one, the journal counts as it is.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError
from kafkaops.engine.files import Files, OsFiles
from kafkaops.engine.plan_json import canonical, from_json, to_json
from kafkaops.engine.step import Plan

PLAN = "plan"
HEAD = 64
"""Bytes of a head."""


@dataclass(frozen=True)
class Record:
    """One line. `at` is epoch seconds; `data` depends on `kind` (see history.py)."""

    seq: int
    kind: str
    at: float
    data: Mapping[str, Any]


class Journal:
    """An open journal. Appending is safe from several threads of one process; the lease keeps
    other processes away."""

    def __init__(
        self, path: Path, files: Files, clock: Clock, records: list[Record], chain: str
    ) -> None:
        self.path = path
        self._files, self._clock = files, clock
        self._records, self._chain = records, chain
        self._lock = threading.Lock()
        document = records[0].data["plan"]
        self.plan = from_json(document, where=str(path))
        self.plan_hash = str(document["hash"])  # from_json has compared it

    @classmethod
    def create(cls, path: Path, plan: Plan, clock: Clock, files: Files | None = None) -> Journal:
        """A new journal that holds the plan; the file appears whole or not at all."""
        disk = files or OsFiles()
        if disk.read(path) is not None:
            raise ConfigError("KO-JOURNAL-EXISTS", f"there is a journal already: {path}")
        record = Record(0, PLAN, clock.wall(), {"plan": to_json(plan)})
        line, chain = _line(record, "")
        if disk.read(head_of(path)) is not None:  # of a journal that somebody took away
            disk.create(head_of(path), _head(None))
        disk.create(path, line)
        disk.mark(head_of(path), _head((0, chain)))
        return cls(path, disk, clock, [record], chain)

    @classmethod
    def open(cls, path: Path, clock: Clock, files: Files | None = None) -> Journal:
        """Read a journal, drop an unfinished last line, and be ready to append.
        ConfigError KO-JOURNAL-MISSING or KO-JOURNAL-DAMAGED (naming the line)."""
        disk = files or OsFiles()
        records, chain, good, size = _read(path, disk)
        if good < size:
            disk.truncate(path, good)
        return cls(path, disk, clock, records, chain)

    @classmethod
    def look(cls, path: Path, clock: Clock, files: Files | None = None) -> Journal:
        """Read a journal that another process may be writing; changes nothing."""
        disk = files or OsFiles()
        records, chain, _, _ = _read(path, disk)
        return cls(path, disk, clock, records, chain)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(self._records)

    def append(self, kind: str, data: Mapping[str, Any]) -> Record:
        """Write one record; it is on disk when this returns. OpsError KO-DISK-FULL otherwise,
        and then the journal is as it was."""
        with self._lock:
            record = Record(len(self._records), kind, self._clock.wall(), data)
            line, chain = _line(record, self._chain)
            self._files.append(self.path, line)
            self._records.append(record)
            self._chain = chain
            self._files.mark(head_of(self.path), _head((record.seq, chain)))
            return record


def _line(record: Record, chain: str) -> tuple[bytes, str]:
    body: dict[str, Any] = {
        "seq": record.seq,
        "kind": record.kind,
        "at": record.at,
        "data": record.data,
    }
    chain = hashlib.sha256((chain + canonical(body)).encode()).hexdigest()[:32]
    return (canonical(body | {"sum": chain}) + "\n").encode(), chain


def head_of(path: Path) -> Path:
    """The file that says what a journal's last record is."""
    return path.with_suffix(".head")


def _head(last: tuple[int, str] | None) -> bytes:
    """Number and sum of the last record, and a sum of both; always of one length. None says
    nothing, as a torn one does."""
    words = "-" if last is None else f"{last[0]:09d} {last[1]}"
    return f"{words} {_sum(words)}".ljust(HEAD - 1).encode() + b"\n"


def _last(head: bytes | None) -> tuple[int, str] | None:
    """What a head says; None for none, and for one that is not whole."""
    words = (head or b"").decode("ascii", "replace").split()
    if len(words) != 3 or _sum(" ".join(words[:2])) != words[2]:
        return None
    return int(words[0]), words[1]


def _sum(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _read(path: Path, files: Files) -> tuple[list[Record], str, int, int]:
    """Records, end of the chain, bytes that are good, bytes that are there."""
    last = _last(files.read(head_of(path)))  # first: another process may be appending
    content = files.read(path)
    if content is None:
        raise ConfigError("KO-JOURNAL-MISSING", f"there is no journal {path}")
    *lines, torn = content.split(b"\n")
    records: list[Record] = []
    chain = ""
    for number, line in enumerate(lines, start=1):
        try:
            body = json.loads(line)
            record = Record(body["seq"], body["kind"], body["at"], body["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, number, "it is not a whole record") from error
        _, expected = _line(record, chain)
        if record.seq != number - 1 or body.get("sum") != expected:
            raise _damaged(path, number, "it, or one before it, was edited or removed")
        if last is not None and last[0] == record.seq and last[1] != expected:
            raise _damaged(path, number, "it is not what was written")
        chain = expected
        records.append(record)
    if not records or records[0].kind != PLAN:
        raise _damaged(path, 1, "the plan is missing")
    missing = last[0] + 1 - len(records) if last else 0
    if missing > 0:
        some = "the last record is" if missing == 1 else f"the last {missing} records are"
        raise _damaged(path, len(records) + 1, f"{some} missing")
    return records, chain, len(content) - len(torn), len(content)


def _damaged(path: Path, number: int, why: str) -> ConfigError:
    return ConfigError(
        "KO-JOURNAL-DAMAGED",
        f"line {number} of the journal is damaged: {why}",
        where=f"{path}:{number}",
        hint="restore the file as the run wrote it; without it kafkaops cannot know what was begun",
    )
