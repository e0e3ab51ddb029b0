"""Time, as a port: the only place in kafkaops that sleeps or reads a clock.

Deadlines use `monotonic` so that a wall clock that jumps neither fires nor starves them;
`wall` (epoch seconds) is for records that people read.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float: ...

    def wall(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class FakeClock:
    """A clock that tests drive: sleeping advances it and costs nothing."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.now = start
        self.offset = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(0.0, seconds)
