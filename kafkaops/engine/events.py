"""What a run tells the outside while it goes on: one value an event, to one listener.

Invariant: a listener can never stop or change a run; what it raises becomes a warning of the
result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kafkaops.engine.clock import Clock
from kafkaops.engine.step import Progress, Spec


class Kind(Enum):
    RUN_STARTED = "run-started"
    PHASE = "phase"  # the first step of a phase begins
    STARTED = "started"  # a step begins to act
    WAITING = "waiting"  # a guard says not yet; `message` says why
    PROGRESS = "progress"  # acted, not there yet
    DONE = "done"
    SKIPPED = "skipped"  # found done; `known`: as the run had left it
    FAILED = "failed"
    SECTION = "section"  # a critical section begins to act; `data` has budget and attempt
    DECIDED = "decided"  # past the point where the section goes back by itself
    RETURNING = "returning"
    UNDONE = "undone"
    RETURNED = "returned"
    HELD = "held"  # a hold point was reached
    STOPPED = "stopped"
    RUN_DONE = "run-done"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True)
class Event:
    """`at` is epoch seconds, `seconds` how long the step took or has taken so far."""

    kind: Kind
    run: str
    at: float
    step: str = ""
    title: str = ""
    phase: str = ""
    message: str = ""
    seconds: float = 0.0
    progress: Progress | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class Announcer:
    """Gives events to the listener, one at a time, whatever thread they come from."""

    def __init__(self, run: str, clock: Clock, listener: Listener | None) -> None:
        self._run, self._clock, self._listener = run, clock, listener
        self._lock = threading.Lock()
        self.warnings: list[str] = []

    def say(
        self,
        kind: Kind,
        spec: Spec | None = None,
        *,
        message: str = "",
        seconds: float = 0.0,
        progress: Progress | None = None,
        **data: Any,
    ) -> None:
        if self._listener is None:
            return
        event = Event(
            kind,
            self._run,
            self._clock.wall(),
            spec.id if spec else "",
            spec.title if spec else "",
            spec.phase if spec else "",
            message,
            seconds,
            progress,
            data,
        )
        with self._lock:
            try:
                self._listener(event)
            except Exception as error:  # told at the end: a broken terminal must not end a cut
                words = f"a listener failed on {kind.value!r}: {type(error).__name__}: {error}"
                if words not in self.warnings:
                    self.warnings.append(words)
