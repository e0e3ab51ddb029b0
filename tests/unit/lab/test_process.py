"""The process table: starts, exits, pauses, restarts, seen on real processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaops.lab import process
from kafkaops.lab.process import Entry, Table

# Both say that they are ready through a named pipe in their directory.
READY = "open('ready', 'w').close()"
ENDLESS = (sys.executable, "-c", f"import signal; {READY}; signal.pause()")
POLITE = (
    sys.executable,
    "-c",
    f"import signal; signal.signal(15, lambda *_: exit(7)); {READY}; signal.pause()",
)
STUBBORN = (
    sys.executable,
    "-c",
    f"import signal; signal.signal(15, signal.SIG_IGN); {READY}\nwhile True: signal.pause()",
)


@pytest.fixture
def table() -> Iterator[Table]:
    table = Table()
    yield table
    for entry in table.all():
        table.stop(entry.name, timeout=0, kill=True)


def spawn(table: Table, tmp_path: Path, argv: tuple[str, ...], *, restart: bool = False) -> Entry:
    pipe = tmp_path / "ready"
    if not pipe.exists():
        os.mkfifo(pipe)
    log = tmp_path / "log"
    entry = table.spawn("h/x", argv, env={"A": "b"}, cwd=tmp_path, log=log, restart=restart)
    if argv in (ENDLESS, POLITE, STUBBORN):
        pipe.read_bytes()
    return entry


def test_env_cwd_log_and_exit_code(table: Table, tmp_path: Path) -> None:
    entry = spawn(table, tmp_path, ("sh", "-c", "echo $A; pwd; exit 3"))
    assert entry.ended.wait(10)
    assert entry.view()["exit_code"] == 3
    assert (tmp_path / "log").read_text().split() == ["b", str(tmp_path)]


def test_a_second_start_of_the_same_name_is_none(table: Table, tmp_path: Path) -> None:
    first = spawn(table, tmp_path, ENDLESS)
    assert table.spawn("h/x", ["false"], env={}, cwd=tmp_path, log=tmp_path / "log") is first


def test_stop_is_term_and_then_kill(table: Table, tmp_path: Path) -> None:
    spawn(table, tmp_path, ENDLESS)
    stopped = table.stop("h/x", timeout=10)
    assert stopped is not None
    assert stopped.exit_code == -signal.SIGTERM
    spawn(table, tmp_path, STUBBORN)
    stopped = table.stop("h/x", timeout=0.2)
    assert stopped is not None
    assert stopped.exit_code == -signal.SIGKILL
    assert table.stop("h/none", timeout=1) is None


def test_pause_and_go_on(table: Table, tmp_path: Path) -> None:
    entry = spawn(table, tmp_path, POLITE)
    table.kill("h/x", signal.SIGSTOP)
    assert entry.view()["paused"]
    table.kill("h/x", signal.SIGCONT)
    assert not entry.view()["paused"]
    table.kill("h/x", signal.SIGSTOP)
    stopped = table.stop("h/x", timeout=10)
    assert stopped is not None
    assert stopped.exit_code == 7, "a paused process was not woken to end"


def test_start_again_the_same_way(table: Table, tmp_path: Path) -> None:
    entry = spawn(table, tmp_path, ("sh", "-c", "echo $A"))
    assert entry.ended.wait(10)
    assert table.start("h/x").ended.wait(10)
    assert (tmp_path / "log").read_text() == "b\nb\n"
    assert entry.starts == 2


def test_a_failed_service_is_started_again(tmp_path: Path, table: Table) -> None:
    naps: list[float] = []
    table._nap = naps.append
    entry = spawn(table, tmp_path, ENDLESS, restart=True)
    first = entry.outer_pid
    table.kill("h/x", signal.SIGKILL)
    (tmp_path / "ready").read_bytes()
    assert entry.starts == 2
    assert entry.outer_pid != first
    assert naps == [process.RESTART_SEC]


def test_a_service_stopped_after_it_failed_stays_down(tmp_path: Path, table: Table) -> None:
    go_on = threading.Event()

    def wait(_: float) -> None:
        go_on.wait(10)

    table._nap = wait
    entry = spawn(table, tmp_path, ("false",), restart=True)
    assert entry.ended.wait(10)
    table.stop("h/x", timeout=10)
    go_on.set()
    assert entry.watcher is not None
    entry.watcher.join(10)
    assert entry.starts == 1


def test_a_command_that_is_not_there(table: Table, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn(table, tmp_path, ("/no/such/command",))
    with pytest.raises(KeyError, match="no process h/x"):
        table.get("h/x")


def test_outer_pid_is_our_own_where_there_is_one_namespace() -> None:
    assert process.outer_pid(os.getpid()) == os.getpid()
    assert process.rss(os.getpid()) > 1_000_000
    assert process.rss(0) == 0
