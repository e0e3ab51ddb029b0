"""One command after another as children that are asked to stop when their parent is.

Invariant: no child outlives `Children.run` for longer than twice its `patience`, whatever signal
comes. A child is in a process group of its own, so that Ctrl-C reaches it once, from here: kafkaops
takes a second request for leaving at once.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

LOOK = 0.5
"""Seconds until a signal is heard, at the most."""


class Asked(BaseException):
    """A signal that asks to end; `number` is which."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def asked() -> Iterator[None]:
    """While inside, the signals that ask to end raise `Asked`; SIGHUP not under nohup."""

    def handle(number: int, frame: FrameType | None) -> NoReturn:
        raise Asked(number)

    heard = [n for n in HEARD if signal.getsignal(n) is not signal.SIG_IGN]
    kept = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


def run(argv: Sequence[str], *, capture: bool = False, patience: float) -> tuple[int, str]:
    """Exit code and, where it is captured, standard output. On `Asked` the child is asked once to
    end where it can be gone on with, after `patience` seconds or a further signal once more, then
    killed; `Asked` goes on up."""
    pipe = subprocess.PIPE if capture else None
    with subprocess.Popen(argv, text=True, stdout=pipe, process_group=0) as process:
        try:
            said = _ended(process)
        except BaseException:
            _end(process, patience)
            raise
    return process.returncode, said or ""


def _ended(process: subprocess.Popen[str]) -> str | None:
    """Its standard output, at its end. In steps: a signal that comes just before a wait begins is
    handled only when that wait ends."""
    while True:
        try:
            return process.communicate(timeout=LOOK)[0]
        except subprocess.TimeoutExpired:
            continue


def _end(process: subprocess.Popen[str], patience: float) -> None:
    for _ in range(2):
        process.terminate()
        try:
            process.communicate(timeout=patience)
            return
        except (Asked, subprocess.TimeoutExpired):
            continue
    process.kill()
