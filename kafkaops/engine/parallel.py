"""Running the steps of a batch in lanes, each piece of a lane once the one before it is done: lanes
side by side, or piece by piece in turn where a test must count each call.

Invariant: every piece of work that began has ended when these return, a lane ends at its first
error, and no error is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import zip_longest

Work = Callable[[], None]
Lane = Sequence[Work]
Parallel = Callable[[Sequence[Lane]], Sequence[BaseException | None]]


def in_turn(lanes: Sequence[Lane]) -> list[BaseException | None]:
    """The first piece of each lane, then the second of each; what each lane raised."""
    found: list[BaseException | None] = [None] * len(lanes)
    for pieces in zip_longest(*lanes):
        for index, piece in enumerate(pieces):
            if piece is not None and found[index] is None:
                found[index] = _outcome([piece])
    return found


def in_threads(lanes: Sequence[Lane]) -> list[BaseException | None]:
    """A thread for each lane; what each raised. An interrupt that arrives meanwhile is raised when
    all have ended."""
    found: list[BaseException | None] = [None] * len(lanes)

    def run(index: int) -> None:
        found[index] = _outcome(lanes[index])

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(lanes))]
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


def _outcome(lane: Lane) -> BaseException | None:
    try:
        for piece in lane:
            piece()
    except BaseException as error:  # handed to the caller, who raises it
        return error
    return None
