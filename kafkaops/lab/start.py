"""The lab's start: the private network, then all that runs in it, in order, each waited for."""

from __future__ import annotations

import socket
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kafkaops.lab import access, archive, broker, names, network, zookeeper
from kafkaops.lab.layout import CLIENT_PORT, ZOOKEEPER_PORT, Layout, Settings
from kafkaops.lab.process import Table

HEALTH_TIMEOUT = 120.0
STEPS = 4
"""And one a cluster."""


class Start:
    """One start of one lab. `state` is `starting`, `ready` or `failed` (then `error` says why),
    `progress` has a line a step."""

    def __init__(self, layout: Layout, settings: Settings, table: Table) -> None:
        self.layout, self.settings, self.table = layout, settings, table
        self.progress: list[str] = []
        self.state = "starting"
        self.error = ""
        self._began = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return round(time.monotonic() - self._began, 1)

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


def tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
