"""Where runs are kept: one directory a run, its journals in the order they were begun.

    <state>/runs/<id>/001-<operation>.jsonl   journals; the last one is the current one
    <state>/runs/<id>/plan.json               a plan that was saved and not begun yet
    <state>/runs/<id>/facts/                  what steps leave for later steps
    <state>/runs/<id>/events.jsonl            what was told while it went on
    <state>/runs/<id>/lock                    held by the process that runs it
    <state>/audit.jsonl                       who ran what (audit.py)

Invariant: listing and looking never write, so they are safe beside a running run.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError, LeaseHeld, UsageFault
from kafkaops.engine.events import Event
from kafkaops.engine.facts import FileFacts, MemoryFacts
from kafkaops.engine.files import Files, OsFiles, refused
from kafkaops.engine.history import History, Status
from kafkaops.engine.journal import Journal
from kafkaops.engine.plan_json import canonical, from_json, to_json
from kafkaops.engine.step import Plan

__all__ = ["FileFacts", "MemoryFacts", "RunDirectory", "RunSummary", "Store"]

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class RunSummary:
    """One line of `run list`. `created` and `updated` are epoch seconds; `done` of `total`
    steps of the current journal; `damage` is why a run cannot be read, else empty."""

    id: str
    operation: str
    cluster: str
    status: Status
    created: float
    updated: float
    done: int
    total: int
    damage: str = ""


class RunDirectory:
    """One run on disk."""

    def __init__(self, path: Path, clock: Clock, files: Files) -> None:
        self.path, self._clock, self._files = path, clock, files
        self.id = path.name

    @property
    def facts_path(self) -> Path:
        return self.path / "facts"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    def facts(self) -> FileFacts:
        return FileFacts(self.facts_path, self._files)

    def journals(self) -> tuple[Path, ...]:
        """Paths of the journals, oldest first."""
        names = self._files.names(self.path)
        return tuple(self.path / n for n in names if re.fullmatch(r"\d{3,}-.+\.jsonl", n))

    def save_plan(self, plan: Plan) -> None:
        """Keep a plan that is not begun yet."""
        self._files.create(self.path / "plan.json", (canonical(to_json(plan)) + "\n").encode())

    def saved_plan(self) -> Plan | None:
        path = self.path / "plan.json"
        content = self._files.read(path)
        if content is None:
            return None
        try:
            return from_json(json.loads(content), where=str(path))
        except ValueError as error:
            raise ConfigError("KO-PLAN-FORMAT", "not a plan: not JSON", where=str(path)) from error

    def begin(self, plan: Plan) -> Journal:
        """A new journal, after those that are there: the run's first operation, its way back,
        its finalize."""
        path = self.path / f"{len(self.journals()) + 1:03d}-{plan.operation}.jsonl"
        return Journal.create(path, plan, self._clock, self._files)

    def current(self) -> Journal:
        """The last journal, ready to append. ConfigError KO-RUN-NOT-BEGUN, KO-JOURNAL-DAMAGED."""
        return Journal.open(self._last(), self._clock, self._files)

    def look(self) -> Journal:
        """The last journal as it is now, for reading only."""
        return Journal.look(self._last(), self._clock, self._files)

    def looks(self) -> tuple[Journal, ...]:
        """Every journal as it is now, oldest first, for reading only."""
        return tuple(Journal.look(path, self._clock, self._files) for path in self.journals())

    def _last(self) -> Path:
        found = self.journals()
        if not found:
            raise ConfigError(
                "KO-RUN-NOT-BEGUN", f"run {self.id} was planned and never begun", where=self.id
            )
        return found[-1]

    def running(self) -> bool:
        """Whether a process holds the run's lock now."""
        try:
            fd = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run while this process works on it; it falls with the process.
        LeaseHeld KO-RUN-BUSY when another process does."""
        path = self.path / "lock"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise refused(error, path) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise LeaseHeld(
                "KO-RUN-BUSY",
                f"run {self.id} is at work in another process",
                hint=f"kafkaops run watch {self.id}",
            ) from error
        try:
            yield
        finally:
            os.close(fd)

    def keep(self, event: Event) -> None:
        """A listener that keeps events for `run watch` and reports; one line each, not fsynced:
        the journal is what counts."""
        try:
            with self.events_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_event(event), sort_keys=True, default=str) + "\n")
        except OSError as error:
            raise refused(error, self.events_path) from error

    def events(self) -> list[dict[str, Any]]:
        """What was kept. A line cut short by a crash is left out: nothing is decided by it."""
        found = []
        for line in (self._files.read(self.events_path) or b"").split(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def summary(self) -> RunSummary:
        """Never raises for a damaged run: it says so."""
        try:
            if not self.journals():
                plan = self.saved_plan()
                if plan is None:
                    raise ConfigError("KO-RUN-EMPTY", "neither plan nor journal")
                return self._summary(plan, Status.PLANNED, plan.created, 0)
            journal = self.look()
        except ConfigError as error:
            return RunSummary(self.id, "", "", Status.FAILED, 0.0, 0.0, 0, 0, error.message)
        history = History(journal)
        status = Status.RUNNING if self.running() else history.status
        return self._summary(journal.plan, status, journal.records[-1].at, len(history.done))

    def _summary(self, plan: Plan, status: Status, updated: float, done: int) -> RunSummary:
        total = len(plan.specs)
        return RunSummary(
            self.id, plan.operation, plan.cluster, status, plan.created, updated, done, total
        )


class Store:
    """All runs below a state directory."""

    def __init__(self, state: Path, clock: Clock, files: Files | None = None) -> None:
        self.state, self._clock, self._files = state, clock, files or OsFiles()

    def run(self, id: str) -> RunDirectory:
        """The directory of a run, which need not exist yet. UsageFault for an impossible id."""
        if not ID.fullmatch(id):
            raise UsageFault("KO-RUN-ID", f"{id!r} cannot be the id of a run")
        return RunDirectory(self.state / "runs" / id, self._clock, self._files)

    def existing(self, id: str) -> RunDirectory:
        """The directory of a run that is there. UsageFault KO-RUN-UNKNOWN otherwise."""
        found = self.run(id)
        if not found.journals() and found.saved_plan() is None:
            raise UsageFault(
                "KO-RUN-UNKNOWN",
                f"there is no run {id!r} in {self.state}",
                hint="kafkaops run list",
            )
        return found

    def list(self) -> tuple[RunSummary, ...]:
        """Newest first; damaged ones last."""
        ids = (n for n in self._files.names(self.state / "runs") if ID.fullmatch(n))
        found = [self.run(id).summary() for id in ids]
        return tuple(sorted(found, key=lambda r: (-r.created, r.id)))


def _event(event: Event) -> dict[str, Any]:
    return asdict(event) | {"kind": event.kind.value}
