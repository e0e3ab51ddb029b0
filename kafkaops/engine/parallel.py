"""Running the steps of a batch: side by side, or in turn where a test must count each call.

Invariant: every piece of work has ended when these return, and no error is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

Work = Callable[[], None]
Parallel = Callable[[Sequence[Work]], Sequence[BaseException | None]]


def in_turn(work: Sequence[Work]) -> list[BaseException | None]:
    """One after the other; what each raised."""
    return [_outcome(piece) for piece in work]


def in_threads(work: Sequence[Work]) -> list[BaseException | None]:
    """A thread for each; what each raised. An interrupt that arrives meanwhile is raised when
    all have ended."""
    found: list[BaseException | None] = [None] * len(work)

    def run(index: int) -> None:
        found[index] = _outcome(work[index])

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(work))]
    for thread in threads:
        thread.start()
    interrupt: KeyboardInterrupt | None = None
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt as error:
                interrupt = error
    return [*found, interrupt]


def _outcome(piece: Work) -> BaseException | None:
    try:
        piece()
    except BaseException as error:  # handed to the caller, who raises it
        return error
    return None
