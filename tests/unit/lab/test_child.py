"""A child that hears what its parent hears: asked once, waited for, and never left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaops.lab import child

READY = "open('ready', 'w').close()"
"""Says through a named pipe that its handlers are there."""
POLITE = f"""
import os, signal
def stop(*_):
    open('asked', 'a').write('x')
    raise SystemExit(7)
for number in (2, 15): signal.signal(number, stop)
{READY}
while True: signal.pause()
"""
STUBBORN = f"""
import signal
signal.signal(15, lambda *_: open('asked', 'a').write('x'))
{READY}
while True: signal.pause()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "ready")
    return tmp_path


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A shell has what it starts in the background ignore some of these signals."""
    ignored = [n for n in child.HEARD if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def signalled(here: Path, code: str, number: int, patience: float) -> child.Asked:
    """Run it, and send this process a signal once the child is there."""

    def send() -> None:
        (here / "ready").read_bytes()
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(child.Asked) as caught, child.asked():
        child.run((sys.executable, "-c", code), patience=patience)
    thread.join()
    return caught.value


def test_exit_code_and_output() -> None:
    assert child.run(("sh", "-c", "echo yes; exit 3"), capture=True, patience=1) == (3, "yes\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_child_once_and_its_end_is_waited_for(
    here: Path, number: signal.Signals
) -> None:
    assert signalled(here, POLITE, number, 60).number == number
    assert (here / "asked").read_text() == "x"


def test_a_child_that_does_not_end_is_asked_once_more_and_killed(here: Path) -> None:
    signalled(here, STUBBORN, signal.SIGTERM, 0.5)
    assert (here / "asked").read_text() == "xx"


def test_afterwards_signals_are_handled_as_before() -> None:
    before = [signal.getsignal(n) for n in child.HEARD]
    with child.asked():
        assert [signal.getsignal(n) for n in child.HEARD] != before
    assert [signal.getsignal(n) for n in child.HEARD] == before
