"""The journal of a run: append-only JSON lines, fsynced, the plan its first record.

Each line carries its number and a checksum chained over all lines before it. Invariants: what
was appended survives a crash; an unfinished last line was never acted upon and is dropped; any
other damage is refused, never read as less than what was written.
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
        disk.create(path, line)
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


def _read(path: Path, files: Files) -> tuple[list[Record], str, int, int]:
    """Records, end of the chain, bytes that are good, bytes that are there."""
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
        chain = expected
        records.append(record)
    if not records or records[0].kind != PLAN:
        raise _damaged(path, 1, "the plan is missing")
    return records, chain, len(content) - len(torn), len(content)


def _damaged(path: Path, number: int, why: str) -> ConfigError:
    return ConfigError(
        "KO-JOURNAL-DAMAGED",
        f"line {number} of the journal is damaged: {why}",
        where=f"{path}:{number}",
        hint="restore the file as the run wrote it; without it kafkaops cannot know what was begun",
    )
