"""Watching a run that another process carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kafkaops.cli.progress import Board
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.step import Progress

if TYPE_CHECKING:
    from kafkaops.cli.runs import Run

EVERY = 0.5
"""Seconds between looks at the events."""


def follow(run: Run, *, once: bool, titles: Mapping[str, str], clock: Clock | None = None) -> None:
    """Show the run's events until no process carries it any more (`once`: those there are)."""
    clock = clock or SystemClock()
    board = Board(len(run.last.plan.specs), titles, clock)
    seen = 0
    with board.shown():
        while True:
            carried = run.directory.running()  # asked first: nothing told after it is missed
            events = run.directory.events()
            for kept in events[seen:]:
                board(event_of(kept))
            seen = len(events)
            if once or not carried:
                return
            clock.sleep(EVERY)


def event_of(kept: Mapping[str, Any]) -> Event:
    """An event as the run's directory keeps it."""
    progress = kept.get("progress")
    return Event(
        kind=Kind(kept["kind"]),
        run=str(kept["run"]),
        at=float(kept["at"]),
        step=str(kept["step"]),
        title=str(kept["title"]),
        phase=str(kept["phase"]),
        message=str(kept["message"]),
        seconds=float(kept["seconds"]),
        progress=Progress(**progress) if progress else None,
        data=kept.get("data") or {},
    )
