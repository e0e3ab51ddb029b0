"""The lab's own process: has all of it started (start.py), answers, ends it.

Run as `unshare ... python -m kafkaops.lab.supervisor DIR`. The first process of the pid
namespace only reaps; the second supervises. When either ends, by whatever signal, the kernel
ends every process of the namespace: nothing the lab started can outlive it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafkaops.lab import control, installed, names
from kafkaops.lab.layout import WHOLE, Layout, Settings
from kafkaops.lab.process import Table
from kafkaops.lab.start import Start


class Supervisor:
    """State and operations; one instance a lab."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.table = Table()
        self.starting = Start(layout, settings, self.table)
        self.finished = threading.Event()
        self._options: dict[str, Any] = {}
        self._ops: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": self._status,
            "spawn": self._spawn,
            "service": self._service,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "kill": self._kill,
            "set": self._set,
            "shutdown": self._shutdown,
        }

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        op = self._ops.get(str(request.get("op")))
        if op is None:
            raise ValueError(f"no such operation (there are {', '.join(self._ops)})")
        return op(request)

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "state": self.starting.state,
            "error": self.starting.error,
            "progress": self.starting.progress,
            "age": self.starting.age,
            "options": self._options,
            "processes": [entry.view() for entry in self.table.all()],
        }

    def _spawn(self, request: dict[str, Any]) -> dict[str, Any]:
        """`name` is OWNER/SERVICE. `cwd` is by default the owner's directory: a host's, or one
        beside the hosts; `log` is absolute or under it."""
        name = str(request["name"])
        owner = name.split("/", 1)[0]
        hosts = {host.name for host in self.settings.hosts()}
        home = self.layout.host(owner) if owner in hosts else self.layout.root / owner
        home.mkdir(parents=True, exist_ok=True)
        entry = self.table.spawn(
            name,
            [str(a) for a in request["argv"]],
            env={str(k): str(v) for k, v in request.get("env", {}).items()},
            cwd=Path(request.get("cwd") or home),
            log=home / str(request["log"]),
            restart=bool(request.get("restart")),
        )
        return entry.view()

    def _service(self, request: dict[str, Any]) -> dict[str, Any]:
        entry = self.table.find(str(request["name"]))
        return entry.view() if entry is not None else {"name": request["name"], "active": False}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        name = str(request["name"])
        host, _, service = name.partition("/")
        entry = self.table.get(name)
        argv = None
        if service == "kafka" and not entry.active:
            self._load_rules(host)
            if self.settings.single:
                argv = installed.command(self.layout, host)
        return self.table.start(name, argv).view()

    def _load_rules(self, host: str) -> None:
        """What a boot does: the host's persistent firewall files are loaded, in order."""
        for file in sorted(self.layout.boot_rules(host).glob("*.nft")):
            done = subprocess.run(
                ["nft", "-f", str(file)], capture_output=True, text=True, timeout=10, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"nft -f {file}: {done.stderr.strip()}")

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        name = str(request["name"])
        timeout = float(request.get("stop_timeout", 60.0))
        entry = self.table.stop(name, timeout=timeout, kill=bool(request.get("kill")))
        return entry.view() if entry is not None else {"name": name, "active": False}

    def _restart(self, request: dict[str, Any]) -> dict[str, Any]:
        self._stop(request)
        return self._start(request)

    def _kill(self, request: dict[str, Any]) -> dict[str, Any]:
        """`signal` by number or name: KILL and TERM end, STOP pauses, CONT goes on."""
        entry = self.table.get(str(request["name"]))
        number = signal_number(request.get("signal", "KILL"))
        self.table.kill(entry.name, number)
        if number == signal.SIGKILL:
            entry.ended.wait(10)
        return entry.view()

    def _set(self, request: dict[str, Any]) -> dict[str, Any]:
        options = names.set_options({k: v for k, v in request.items() if k != "op"})
        self._options = options
        return {"options": options}

    def _shutdown(self, request: dict[str, Any]) -> dict[str, Any]:
        self.finished.set()
        return {}

    def tear_down(self) -> None:
        """End services, then brokers, as told; whatever is left dies with the namespace."""
        entries = [entry for entry in self.table.all() if entry.active]
        brokers = [e.name for e in entries if e.name.endswith("/kafka")]
        others = [e.name for e in entries if e.name not in brokers]
        self.table.stop_all(others, timeout=5)
        # The lab's data goes with the lab: no controlled shutdown, which without a quorum
        # would wait minutes for a controller that is gone.
        for name in brokers:
            self.table.stop(name, timeout=5, kill=True)


def signal_number(value: Any) -> int:
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    return int(signal.Signals[f"SIG{str(value).upper().removeprefix('SIG')}"])


def reap(child: int) -> int:
    """Process 1: wait for whatever ends, until the supervisor itself does; its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def supervise(layout: Layout) -> int:
    lock = open(layout.root / "supervisor.lock", "w")  # noqa: SIM115 (held for life)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another lab runs in {layout.root}", file=sys.stderr)
        return 6
    supervisor = Supervisor(layout, layout.settings())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: supervisor.finished.set())
    control.Server(layout.socket, supervisor.handle)
    threading.Thread(target=supervisor.starting.bring_up, daemon=True).start()
    threading.Thread(target=_end_with_its_maker, args=(supervisor,), daemon=True).start()
    # Without its directory nobody could ask the lab to end.
    while layout.mark.exists() and not supervisor.finished.wait(0.5):
        pass
    supervisor.tear_down()
    layout.socket.unlink(missing_ok=True)
    return 0


def _end_with_its_maker(supervisor: Supervisor) -> None:
    """Half a lab is no lab: where `lab up` is gone before it said that all is well, so is this."""
    if os.read(sys.stdin.fileno(), len(WHOLE)) != WHOLE:
        supervisor.finished.set()


def main() -> int:
    layout = Layout.of(sys.argv[1])
    child = os.fork()
    if child:
        return reap(child)
    return supervise(layout)


if __name__ == "__main__":
    sys.exit(main())
