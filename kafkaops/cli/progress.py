"""Progress of a run on stderr: live at a terminal, one plain line a step elsewhere.

Says what is going on, how far it is, how fast, and how long still. Invariant: it only shows;
it may be called from any thread, and never fails a run.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafkaops.cli.session import current
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.step import Progress
from kafkaops.model.words import counted

PLAIN_EVERY = 30.0
"""Seconds between plain lines of a step that takes long."""

WAITED = 5.0
"""Seconds after which a step that a guard holds up says so, once for each reason's code."""

WINDOW = 20.0
"""Seconds that a rate is measured over."""
FEW = 3
"""Changes of a count: with fewer of them in the window its rate is over the last ones, however long
they took."""

ENDS: Mapping[Kind, tuple[str, str, str]] = {
    Kind.DONE: ("✓", "done", "green"),
    Kind.SKIPPED: ("·", "already so", "dim"),
    Kind.FAILED: ("✗", "failed", "bold red"),
    Kind.UNDONE: ("↶", "undone", "yellow"),
}
"""Events that end a step: mark, word, style."""

NEWS: Mapping[Kind, tuple[str, str]] = {
    Kind.SECTION: ("from here on forward within the budget, or back", "bold yellow"),
    Kind.DECIDED: ("decided: from here only forward", "bold green"),
    Kind.RETURNING: ("going back", "bold yellow"),
    Kind.RETURNED: ("went back", "bold yellow"),
    Kind.HELD: ("held, as asked", "bold"),
    Kind.STOPPED: ("stopped, as asked", "bold"),
    Kind.ROLLED_BACK: ("rolled back", "bold yellow"),
    Kind.RUN_DONE: ("the run is done", "bold green"),
}
"""Events of the run itself: words, style."""


@dataclass
class Running:
    """A step under way: since when, what it said of itself lately (when, progress), and when its
    count last changed, to what. A terminal is drawn by a thread of its own, without the lock of
    those that note: it would wait for the terminal's, which they hold."""

    name: str
    since: float
    seen: deque[tuple[float, Progress]] = field(default_factory=deque)
    changed: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=FEW))
    message: str = ""
    told: float = 0.0
    codes: set[str] = field(default_factory=set)
    """Of the reasons that were told."""

    def note(self, now: float, progress: Progress | None, message: str) -> None:
        self.message = message
        if progress is None:
            return
        if self.seen and progress.done < self.seen[-1][1].done:
            self.seen.clear()  # it began again
            self.changed.clear()
        if not self.changed or progress.done != self.changed[-1][1]:
            self.changed.append((now, progress.done))
        self.seen.append((now, progress))
        while len(self.seen) > 2 and now - self.seen[0][0] > WINDOW:
            self.seen.popleft()

    def rate(self) -> float | None:
        """Units a second, lately; None while unknown."""
        kept, changed = tuple(self.seen), tuple(self.changed)  # which others change meanwhile
        if not kept:
            return None
        first, was = kept[0][0], kept[0][1].done
        if changed and len({seen.done for _, seen in kept}) <= FEW:
            first, was = changed[0]
        last, now = kept[-1]
        return (now.done - was) / (last - first) if last - first >= 0.5 else None

    def words(self) -> str:
        """`1,200 of 9,000 records, 310 records/s, 25 s left: detail`."""
        kept = tuple(self.seen)
        if not kept:
            return self.message
        seen = kept[-1][1]
        total = f" of {seen.total:,.0f}" if seen.total is not None else ""
        parts = [f"{seen.done:,.0f}{total} {seen.unit}".strip()] if seen.unit or seen.total else []
        # A unit such as "s held" is time itself: it passes at its own rate.
        timed = seen.unit.startswith("s ")
        rate = 1.0 if timed else self.rate()
        if rate and rate > 0:
            if not timed:
                pace = f"{rate:,.0f} {seen.unit}/s"
                parts.append(pace if rate >= 1 else f"{rate * 60:.1f} {seen.unit}/min")
            if seen.total is not None and seen.total > seen.done:
                parts.append(f"{span((seen.total - seen.done) / rate)} left")
        detail = seen.detail or self.message
        shown = ", ".join(parts)
        return f"{shown}: {detail}" if shown and detail else shown or detail


def span(seconds: float) -> str:
    """`0.2 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


class Board:
    """Listens to a run's events and shows them. `total` is the number of steps; `titles` maps a
    phase to its words."""

    def __init__(
        self, total: int, titles: Mapping[str, str] | None = None, clock: Clock | None = None
    ) -> None:
        self.total = total
        self.titles = titles or {}
        self.clock = clock or SystemClock()
        self.running: dict[str, Running] = {}
        self.ended: set[str] = set()
        self._known = 0
        self._heading = ""
        self._lock = threading.Lock()
        self._console: Any = None
        self._display: Any = None

    def __call__(self, event: Event) -> None:
        with self._lock:
            if event.kind is Kind.PHASE:
                self._heading = f"== {self.titles.get(event.phase, event.phase)}"
            elif event.kind in NEWS:
                words, style = NEWS[event.kind]
                self._line(f"-- {words}{f': {event.message}' if event.message else ''}", style)
            elif event.kind is Kind.SKIPPED and event.data.get("known"):
                self._known += 1
                self._over(event)
            elif event.kind in ENDS:
                self._end(event)
            elif event.step:
                self._go_on(event)

    def say(self, line: str) -> None:
        """One line of news from a step."""
        with self._lock:
            self._line(f"   {line}")

    @contextmanager
    def shown(self) -> Iterator[Board]:
        """While inside, a terminal shows the running steps live."""
        try:
            with self._shown():
                yield self
        finally:
            with self._lock:
                self._catch_up()

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if not current().colours(stderr=True):
            yield
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False, emoji=False, markup=False)
        display = Live(
            get_renderable=self._live, console=console, refresh_per_second=4, transient=True
        )
        with display:
            self._console, self._display = console, display
            try:
                yield
            finally:
                self._console = self._display = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While inside, the terminal is free for a question."""
        with self._lock:
            self._catch_up()
        if self._display is None:
            yield
            return
        self._display.stop()
        try:
            yield
        finally:
            self._display.start()

    def _go_on(self, event: Event) -> None:
        self._catch_up()
        now = self.clock.monotonic()
        step = self.running.get(event.step)
        if step is None:
            step = Running(_name(event), now - event.seconds, told=now)
            self.running[event.step] = step
        step.note(now, event.progress, _why(event))
        code = str(event.data.get("code", "")) if event.kind is Kind.WAITING else ""
        patience = WAITED if code not in {"", *step.codes} else PLAIN_EVERY
        if event.kind is Kind.STARTED or self._console is not None:
            return  # what it waited for is over; and what is live is told as it changes
        if now - step.told >= patience:
            step.told = now
            step.codes.add(code)
            told = "; ".join(filter(None, (f"{span(now - step.since)} so far", step.words())))
            self._line(f"  {step.name}: {told}")

    def _catch_up(self) -> None:
        """Tell what was held back: a run that goes on finds most steps as it left them, so they
        are counted; and their headings say nothing."""
        known, heading = self._known, self._heading
        self._known, self._heading = 0, ""
        if known:
            words = f"· {counted(known, 'step')} done before, and still so"
            self._print(words, ENDS[Kind.SKIPPED][2])
        if heading:
            self._print(heading, "bold")

    def _over(self, event: Event) -> None:
        self.running.pop(event.step, None)
        self.ended.add(event.step)

    def _end(self, event: Event) -> None:
        self._over(event)
        mark, words, style = ENDS[event.kind]
        took = f" ({span(event.seconds)})" if event.seconds else ""
        said = event.message.removeprefix(f"{event.title}: ")
        why = f": {said}" if said else ""
        self._line(f"{mark} {_name(event)}: {words}{took}{why}", style)

    def _line(self, text: str, style: str = "") -> None:
        self._catch_up()
        self._print(text, style)

    def _print(self, text: str, style: str = "") -> None:
        if self._console is not None:
            self._console.print(text, style=style or None, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _live(self) -> Any:
        from rich.text import Text

        now = self.clock.monotonic()
        lines = []
        for step in list(self.running.values()):
            words = step.words()
            lines.append(
                f"… {step.name}  {span(now - step.since)}{f'  {words}' if words else ''}"
                f"  [{len(self.ended)}/{self.total} steps]"
            )
        return Text("\n".join(lines), style="cyan", overflow="ellipsis", no_wrap=True)


def _why(event: Event) -> str:
    """What a step waits for, by its code, and what would help; else its message."""
    if event.kind is not Kind.WAITING or "code" not in event.data:
        return event.message
    hint = event.data.get("hint")
    return f"{event.data['code']}: {event.message}" + (f" (next: {hint})" if hint else "")


def _name(event: Event) -> str:
    return f"[{event.phase}] {event.title}"
