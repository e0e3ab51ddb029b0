"""What the journal says so far: which steps were begun, done, undone, and where the run stands.

Invariant: a record is on disk before it counts here. The journal says what was intended; only
`Step.check` says what is true.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import Any

from kafkaops.engine.journal import Journal, Record
from kafkaops.engine.step import Critical, Plan, Spec

BEGIN = "begin"  # a process took up the run; data: pid, host, user
SECTION = "section"  # a critical section is about to act; data: name, attempt
SEEN_DONE = "seen-done"
INTENT = "intent"
DONE = "done"
FAILED = "failed"
RETURNING = "returning"  # a critical section is being undone; data: name, attempt, why
UNDONE = "undone"
RETURNED = "returned"
STOP = "stop"  # data: why, next (phase or step)
END = "end"
ROLLBACK = "rollback"
ROLLED_BACK = "rolled-back"
CALLED_OFF = "called off"
"""Why a run stopped that is not to be gone on with, though it can be."""


class Status(Enum):
    """Where a run stands, for people. `RUNNING` is known from the run's lock, not from here."""

    PLANNED = "planned"
    RUNNING = "running"
    STOPPED = "stopped"  # held, interrupted, or its process died: resume goes on
    CALLED_OFF = "called-off"  # ended where it stood, as asked: a new one may begin
    FAILED = "failed"
    RETURNED = "returned"
    DONE = "done"
    ROLLED_BACK = "rolled-back"
    FINALIZED = "finalized"


class History:
    """`begun` are the steps with an intent that was not undone since, `done` those that were
    seen done, `acted` says whether the run ever began to change anything."""

    def __init__(self, journal: Journal) -> None:
        self.plan: Plan = journal.plan
        self._journal = journal
        self._lock = threading.Lock()
        self.begun: set[str] = set()
        self.done: set[str] = set()
        self.attempts: dict[str, int] = {}
        self.acted = False
        self.rolling_back = False
        self.rolled_back = False
        self.ended = False
        self.status = Status.PLANNED
        self.here: list[Record] = []  # what this process wrote
        for record in journal.records[1:]:
            self._apply(record)

    def note(self, kind: str, **data: Any) -> None:
        """Write it down, then let it count."""
        with self._lock:
            record = self._journal.append(kind, data)
            self.here.append(record)
            self._apply(record)

    def decided(self, section: Critical) -> bool:
        return section.decided in self.done

    def open_sections(self) -> list[Critical]:
        """Sections with begun steps that were neither decided nor undone."""
        return [
            c
            for c in self.plan.criticals
            if not self.decided(c)
            and any(s.critical == c.name and s.id in self.begun for s in self.plan.specs)
        ]

    def settled(self) -> frozenset[str]:
        """Ids of the steps that are history: all up to the last decided point. Past it, earlier
        goals no longer hold by design (a listener closed before the cut is open after it)."""
        points = {c.decided for c in self.plan.criticals if self.decided(c)}
        past: set[str] = set()
        upto: set[str] = set()
        for spec in self.plan.specs:
            upto.add(spec.id)
            if spec.id in points:
                past = set(upto)
        return frozenset(past)

    def begun_specs(self) -> list[Spec]:
        """Begun steps, last first: the order of going back."""
        return [s for s in reversed(self.plan.specs) if s.id in self.begun]

    def _apply(self, record: Record) -> None:
        kind, data = record.kind, record.data
        step = str(data.get("step", ""))
        if kind == INTENT:
            self.begun.add(step)
            self.done.discard(step)
            self.acted = True
        elif kind in (DONE, SEEN_DONE):
            self.done.add(step)
        elif kind == UNDONE:
            self.begun.discard(step)
            self.done.discard(step)
        elif kind == SECTION:
            self.attempts[str(data["name"])] = int(data["attempt"])
        elif kind == ROLLBACK:
            self.rolling_back = True
        elif kind == ROLLED_BACK:
            self.rolled_back = True
        elif kind == END:
            self.ended = True
        if kind == BEGIN and self.ended:
            return  # who takes up what is over changes nothing of it, unless a way back begins
        self.status = _AFTER.get(kind, self.status)
        if kind == STOP and data.get("why") == CALLED_OFF:
            self.status = Status.CALLED_OFF
        if kind == END:
            for ending, status in _ENDS.items():
                if self.plan.operation.endswith(ending):
                    self.status = status


_AFTER = {
    BEGIN: Status.STOPPED,
    STOP: Status.STOPPED,
    FAILED: Status.FAILED,
    RETURNED: Status.RETURNED,
    ROLLBACK: Status.STOPPED,
    END: Status.DONE,
    ROLLED_BACK: Status.ROLLED_BACK,
}

# A run whose last journal is of such an operation has come to another end than "done".
_ENDS = {"finalize": Status.FINALIZED, "-back": Status.ROLLED_BACK}
