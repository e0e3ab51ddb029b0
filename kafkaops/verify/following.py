"""Two threads that read both logs into a comparison, quickly while there is much to read and
gently when there is not.

Invariant: an error of one side never ends the thread: it is kept to be shown, and tried again.
"""

from __future__ import annotations

import logging
import threading

from kafkaops.engine.errors import OpsError
from kafkaops.ports.log_reader import LogReader
from kafkaops.verify.comparison import Comparison

log = logging.getLogger(__name__)

MAX_BYTES = 16 << 20  # of one leader's answer
MAX_WAIT = 0.5  # seconds a leader holds a fetch that finds nothing
LITTLE = 128 << 10  # an answer below this: the log's end is near, so
PACE = 0.1  # seconds to let more come together before the next one
TRY_AGAIN = 1.0  # seconds after an error
ROOM = 0.05  # seconds to wait for the other side to take what is pending


class Follower:
    """Reads one side. `error` is the last trouble in words, empty when there is none."""

    def __init__(
        self, comparison: Comparison, side: int, reader: LogReader, *, eager: bool = False
    ) -> None:
        self._comparison, self._side, self._reader = comparison, side, reader
        self.error = ""
        self.failure: OpsError | None = None
        self.rounds = 0
        self._eager = eager
        self._stop = threading.Event()
        self._haste = threading.Event()
        self._room = threading.Event()
        self.other: Follower | None = None
        self._thread = threading.Thread(target=self._run, name=f"verify-{reader.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hurry(self, on: bool) -> None:
        """While on, nothing is paced: somebody waits."""
        if on:
            self._haste.set()
        else:
            self._haste.clear()

    def ask_stop(self) -> None:
        self._stop.set()
        self._haste.set()
        self._room.set()
        self._reader.wake()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                got, asked = self._round()
                self.error, self.failure = "", None
            except OpsError as error:
                self.error, self.failure = error.message, error
                self._stop.wait(TRY_AGAIN)
                continue
            except Exception as error:  # shown and tried again: nobody else would see it
                log.exception("the comparison stumbled")
                self.error = f"{type(error).__name__}: {error}"
                self._stop.wait(TRY_AGAIN)
                continue
            self.rounds += 1
            if not asked:
                self._room.wait(ROOM)
                self._room.clear()
            elif got < LITTLE and not self._eager:
                self._haste.wait(PACE)

    def _round(self) -> tuple[int, int]:
        positions = self._comparison.wanted(self._side)
        if not positions:
            return 0, 0
        chunks = self._reader.fetch(positions, max_wait=MAX_WAIT, max_bytes=MAX_BYTES)
        got = 0
        for chunk in chunks:
            got += len(chunk.data)
            if self._comparison.accept(self._side, chunk) and self.other is not None:
                self.other._room.set()
        return got, len(positions)
