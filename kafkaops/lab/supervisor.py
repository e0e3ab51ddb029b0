"""The lab's own process: builds the private network, starts all that is in it, answers.

Run as `unshare ... python -m kafkaops.lab.supervisor DIR`. The first process of the pid
namespace only reaps; the second supervises. When either ends, by whatever signal, the kernel
ends every process of the namespace: nothing the lab started can outlive it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kafkaops.lab import access, archive, broker, control, installed, names, network, zookeeper
from kafkaops.lab.layout import CLIENT_PORT, ZOOKEEPER_PORT, Layout, Settings
from kafkaops.lab.process import Table

HEALTH_TIMEOUT = 120.0
STEPS = 4
"""And one a cluster."""


class Supervisor:
    """State and operations; one instance a lab."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.table = Table()
        self.progress: list[str] = []
        self.state = "starting"
        self.error = ""
        self.finished = threading.Event()
        self._began = time.monotonic()
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

    # -- start ------------------------------------------------------------------------------

    def bring_up(self) -> None:
        """All of the lab, in order; ends in state `ready` or `failed`."""
        settings = self.settings
        colours = settings.colours
        try:
            self._step("network: loopback, resolver")
            network.begin(self.layout)
            if settings.zookeeper:
                self._start_zookeeper()
                self._step("ZooKeeper answers")
            else:
                self._step("storage of the brokers formatted")
                with ThreadPoolExecutor(len(colours)) as pool:
                    list(pool.map(lambda c: broker.formatted(self.layout, settings, c), colours))
            broker_ids = {colour: broker.kafka_id() for colour in colours}
            for host in settings.hosts():
                broker.prepare(self.layout, settings, host, broker_ids[host.colour])
            self._step(f"{nodes(settings)}, DNS and emulated AWS started")
            self._start_brokers()
            self._start_names()
            self._step("DNS and Route 53 answer")
            names.wait(self._alive, HEALTH_TIMEOUT)
            for colour in colours:
                version = settings.version(colour)
                self._wait_cluster(colour)
                self._step(f"{colour}: Kafka {version}, {settings.brokers} brokers in sync")
            names.make_bucket(self._alive, HEALTH_TIMEOUT)
            self.state = "ready"
            self._archive_classes()
        except Exception as error:
            traceback.print_exc()
            self.error = f"{error}" or repr(error)
            self.state = "failed"

    def _step(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        steps = STEPS + len(self.settings.colours)
        line = f"{len(self.progress) + 1} of {steps}  {seconds:5.1f} s  {text}"
        self.progress.append(line)
        print(line, flush=True)

    def _start_zookeeper(self) -> None:
        """And wait: a broker gives up on one that it cannot reach."""
        zookeeper.prepare(self.layout)
        argv, env = zookeeper.command(self.layout, self.settings, broker.JVM)
        home = self.layout.host(zookeeper.HOST)
        log = home / "logs" / "zookeeper.log"
        self.table.spawn(zookeeper.NAME, argv, env=env, cwd=home, log=log)
        self._listening(zookeeper.HOST, zookeeper.ADDRESS, ZOOKEEPER_PORT)

    def _listening(self, name: str, address: str, port: int) -> None:
        deadline = time.monotonic() + HEALTH_TIMEOUT
        while not listens(address, port):
            self._alive()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not listen on port {port}")
            time.sleep(0.1)

    def _start_brokers(self) -> None:
        for host in self.settings.hosts():
            argv, env = broker.command(self.layout, self.settings, host)
            home = self.layout.host(host.name)
            self.table.spawn(
                f"{host.name}/kafka", argv, env=env, cwd=home, log=home / "logs" / "kafka.log"
            )

    def _start_names(self) -> None:
        logs = self.layout.logs
        root = self.layout.root
        for name, argv in names.commands(root).items():
            log = logs / f"{name.removeprefix('lab/')}.log"
            self.table.spawn(name, argv, env=names.ENV, cwd=root, log=log)

    def _archive_classes(self) -> None:
        """Make the next start quicker, in the background; this lab does not need it."""
        for host in self.settings.hosts():
            version = self.settings.version(host.colour)
            listing = broker.classes(self.layout, host)
            if listing.exists():
                argv, env = archive.command(version, archive.snapshot(listing))
                name = f"archive-{version}"
                log = self.layout.logs / f"{name}.log"
                self.table.spawn(f"lab/{name}", argv, env=env, cwd=self.layout.root, log=log)

    def _alive(self) -> None:
        """RuntimeError, with the end of its log, if anything that should run has ended."""
        for entry in self.table.all():
            if not entry.active:
                raise RuntimeError(
                    f"{entry.name} ended with code {entry.exit_code}\n{tail(Path(entry.log))}"
                )

    def _wait_cluster(self, colour: str) -> None:
        """Until every broker of the colour is in the cluster's metadata and serves CLIENT."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        deadline = time.monotonic() + HEALTH_TIMEOUT
        hosts = self.settings.brokers_of(colour)
        for host in hosts:
            self._listening(host.name, host.address, CLIENT_PORT)
        # Quiet: refused connections while brokers start are no news.
        known: dict[str, Any] = {"bootstrap.servers": self.settings.bootstrap(colour)}
        admin = AdminClient(known | {"log_level": 0} | access.librdkafka(self.layout))
        while True:
            self._alive()
            try:
                if len(admin.list_topics(timeout=5).brokers) == len(hosts):
                    return
            except KafkaException:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"the {colour} brokers found no quorum")
            time.sleep(0.2)

    # -- operations -------------------------------------------------------------------------

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        op = self._ops.get(str(request.get("op")))
        if op is None:
            raise ValueError(f"no such operation (there are {', '.join(self._ops)})")
        return op(request)

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "state": self.state,
            "error": self.error,
            "progress": self.progress,
            "age": round(time.monotonic() - self._began, 1),
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


def nodes(settings: Settings) -> str:
    """How many of which there are, in words."""
    apart = settings.controllers
    words = f"{len(settings.hosts()) - apart} brokers"
    return f"{words}, {apart} controller{'s' if apart > 1 else ''}" if apart else words


def listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def signal_number(value: Any) -> int:
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    return int(signal.Signals[f"SIG{str(value).upper().removeprefix('SIG')}"])


def tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


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
    threading.Thread(target=supervisor.bring_up, daemon=True).start()
    # Without its directory nobody could ask the lab to end.
    while layout.mark.exists() and not supervisor.finished.wait(0.5):
        pass
    supervisor.tear_down()
    layout.socket.unlink(missing_ok=True)
    return 0


def main() -> int:
    layout = Layout.of(sys.argv[1])
    child = os.fork()
    if child:
        return reap(child)
    return supervise(layout)


if __name__ == "__main__":
    sys.exit(main())
