"""Ctrl-C: the first asks the run to stop where it is safe, the second exits at once.

Invariant: neither loses anything: the journal is on disk before each act, and a fence has its own
timer on the hosts. Clients that hooks have stopped have none: they wait for the next command.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

FIRST = "\nstopping: the step at hand is finished first, a node that was stopped is started, a cutover's pause goes back; Ctrl-C again exits now\n"  # noqa: E501
SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stoppable(
    request_stop: Callable[[], None],
    farewell: str = "",
    leave: Callable[[int], None] = os._exit,
) -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and SIGHUP (a terminal that is gone; not under nohup) call
    `request_stop`; a second one leaves with 130 after showing `farewell` (the command that goes
    on)."""
    asked = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            _tell(FIRST)
            request_stop()
        else:
            cursor = SHOW_CURSOR if os.isatty(2) else ""
            _tell(f"{cursor}\n{farewell}\n" if farewell else cursor + "\n")
            leave(130)

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    kept = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


def _tell(text: str) -> None:
    """Straight to the descriptor: a handler may interrupt a print half way. The terminal may be
    gone."""
    with suppress(OSError):
        os.write(2, text.encode())
