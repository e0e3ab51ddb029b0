"""The lab's processes: started in sessions of their own, watched, stopped, paused, killed.

Invariant: an entry knows the true exit of the process it started; nothing is ever found
or ended by name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESTART_SEC = 2.0


@dataclass
class Entry:
    """One supervised process and how to start it again."""

    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str
    popen: subprocess.Popen[bytes] | None = None
    outer_pid: int = 0
    exit_code: int | None = None
    started: float = 0.0
    starts: int = 0
    paused: bool = False
    restart: bool = False
    wanted: bool = True
    ended: threading.Event = field(default_factory=threading.Event)
    watcher: threading.Thread | None = None

    @property
    def active(self) -> bool:
        return self.popen is not None and not self.ended.is_set()

    def view(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "active": self.active,
            "paused": self.active and self.paused,
            "pid": self.outer_pid if self.active else 0,
            "exit_code": self.exit_code,
            "log": self.log,
            "starts": self.starts,
            "started": self.started if self.active else 0.0,
            "age": round(time.time() - self.started, 1) if self.active else 0.0,
            "rss": rss(self.outer_pid) if self.active else 0,
        }


class Table:
    """All processes by name (`blue-1/kafka`). Methods are safe from several threads."""

    def __init__(self, nap: Callable[[float], None] = time.sleep) -> None:
        self._nap = nap
        self._entries: dict[str, Entry] = {}
        self._lock = threading.RLock()

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        restart: bool = False,
    ) -> Entry:
        """Start it; a process of that name that is running already is left alone. With
        `restart` it is started again if it fails, as systemd does with Restart=on-failure.
        OSError (no such command, no such directory) where it cannot be started."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and entry.active:
                return entry
            starts = entry.starts if entry is not None else 0
            if entry is not None:
                entry.wanted = False
            entry = Entry(name, list(argv), dict(env), str(cwd), str(log), starts=starts)
            entry.restart = restart
            self._start(entry)
            self._entries[name] = entry
            return entry

    def start(self, name: str, argv: Sequence[str] | None = None) -> Entry:
        """Start what ran under that name before, the same way, or by another command line."""
        with self._lock:
            entry = self.get(name)
            if not entry.active:
                entry.argv = entry.argv if argv is None else list(argv)
                self._start(entry)
            return entry

    def _start(self, entry: Entry) -> None:
        Path(entry.log).parent.mkdir(parents=True, exist_ok=True)
        with open(entry.log, "ab") as log:
            popen = subprocess.Popen(
                entry.argv,
                env={**os.environ, **entry.env},
                cwd=entry.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        entry.popen, entry.outer_pid = popen, outer_pid(popen.pid)
        entry.exit_code, entry.paused, entry.ended = None, False, threading.Event()
        entry.started, entry.starts, entry.wanted = time.time(), entry.starts + 1, True
        watch = (entry, popen, entry.ended)
        entry.watcher = threading.Thread(target=self._watch, args=watch, daemon=True)
        entry.watcher.start()

    def _watch(self, entry: Entry, popen: subprocess.Popen[bytes], ended: threading.Event) -> None:
        entry.exit_code = popen.wait()
        ended.set()
        if not (entry.restart and entry.exit_code):
            return
        self._nap(RESTART_SEC)
        with self._lock:
            if entry.wanted and not entry.active:
                self._start(entry)

    def get(self, name: str) -> Entry:
        with self._lock:
            if name not in self._entries:
                raise KeyError(f"no process {name} (there are {', '.join(sorted(self._entries))})")
            return self._entries[name]

    def find(self, name: str) -> Entry | None:
        with self._lock:
            return self._entries.get(name)

    def all(self) -> list[Entry]:
        with self._lock:
            return [self._entries[name] for name in sorted(self._entries)]

    def kill(self, name: str, number: int) -> None:
        """Send a signal to the process and all it started; STOP and CONT pause and resume."""
        with self._lock:
            entry = self.get(name)
            if not entry.active or entry.popen is None:
                return
            try:
                os.killpg(entry.popen.pid, number)
            except ProcessLookupError:
                return
            if number in (signal.SIGSTOP, signal.SIGCONT):
                entry.paused = number == signal.SIGSTOP

    def stop(self, name: str, *, timeout: float, kill: bool = False) -> Entry | None:
        """TERM, then KILL past `timeout` seconds; `kill` at once. Absent or ended is success."""
        entry = self.find(name)
        if entry is None:
            return None
        entry.wanted = False
        if not entry.active:
            return entry
        self.kill(name, signal.SIGKILL if kill else signal.SIGTERM)
        self.kill(name, signal.SIGCONT)  # a paused process cannot act on TERM
        if not entry.ended.wait(timeout):
            self.kill(name, signal.SIGKILL)
            entry.ended.wait(10)
        return entry

    def stop_all(self, names: Sequence[str], *, timeout: float) -> None:
        threads = [
            threading.Thread(target=self.stop, args=(name,), kwargs={"timeout": timeout})
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def outer_pid(pid: int) -> int:
    """A child's process id as `/proc` shows it. The lab keeps the machine's own `/proc`, and
    a pid file descriptor is described there with the machine's number (proc(5), fdinfo)."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return 0
    try:
        for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
            if line.startswith("Pid:"):
                return max(0, int(line.split()[1]))
        return 0
    finally:
        os.close(fd)


def rss(pid: int) -> int:
    """Resident memory in bytes; 0 for none."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
