"""A lab host's paths, files, commands and units; more of its services in tests/integration."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from kafkaops.adapters.host_lab import LabHost
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.lab import control
from kafkaops.lab.layout import Layout, Settings
from kafkaops.lab.supervisor import Supervisor


@pytest.fixture
def host(tmp_path: Path) -> LabHost:
    (tmp_path / "hosts" / "blue-1").mkdir(parents=True)
    return LabHost("blue-1", "127.0.1.1", tmp_path)


def test_absolute_paths_lie_under_the_hosts_own_root(host: LabHost, tmp_path: Path) -> None:
    home = tmp_path / "hosts" / "blue-1"
    assert host.path("/etc/nftables.d/x.nft") == home / "root" / "etc" / "nftables.d" / "x.nft"
    assert host.path("mirror/worker.properties") == home / "mirror" / "worker.properties"
    assert host.path(str(tmp_path / "kafka")) == tmp_path / "kafka"


def test_what_is_put_can_be_read(host: LabHost) -> None:
    assert host.read("/etc/x") is None
    host.put("/etc/x", b"1", mode=0o600)
    host.put("/etc/x", b"2", mode=0o600)
    assert host.read("/etc/x") == b"2"
    assert host.path("/etc/x").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in host.path("/etc").iterdir()] == ["x"]


def test_a_file_that_cannot_be_written_is_an_error(host: LabHost) -> None:
    host.put("/etc/x", b"1")
    with pytest.raises(StepFailed, match="/etc/x/y"):
        host.put("/etc/x/y", b"2")
    with pytest.raises(StepFailed, match="/etc"):
        host.read("/etc")


def test_commands_run_in_the_hosts_directory(host: LabHost, tmp_path: Path) -> None:
    ran = host.run(("sh", "-c", "pwd; cat; exit 3"), stdin="in")
    assert (ran.code, ran.out) == (3, f"{tmp_path / 'hosts' / 'blue-1'}\nin")
    assert host.run(("/no/such",)).code == 127
    assert host.run(("sleep", "5"), timeout=0.05).code == 124


def test_a_host_of_another_lab_or_none(tmp_path: Path, host: LabHost) -> None:
    with pytest.raises(Unreachable, match="no such host"):
        LabHost("red-1", "127.0.3.1", tmp_path).run(("true",))
    with pytest.raises(Unreachable, match="lab is not up"):
        host.service("kafka")


def test_a_version_is_unpacked_linked_and_removed(host: LabHost, tmp_path: Path) -> None:
    source = tmp_path / "app.tar"
    with tarfile.open(source, "w") as tar:
        entry = tarfile.TarInfo("app-1/lib/app.jar")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"jar"))
    digest = hashlib.sha512(source.read_bytes()).hexdigest()
    with pytest.raises(StepFailed, match="SHA-512"):
        host.upload("/opt/app.tar", source, sha512="0")
    host.upload("/opt/app.tar", source, sha512=digest)
    assert host.sha512("/opt/app.tar") == digest
    host.unpack("/opt/app.tar", "/opt/app/app-1")
    host.switch("/opt/app/current", "app-1")
    assert host.link("/opt/app/current") == "app-1"
    assert host.read("/opt/app/current/lib/app.jar") == b"jar"
    assert host.free("/opt/not/there") > 0
    os.utime(host.path("/opt/app/current/lib/app.jar"), (5.0, 1_700_000_000.5))
    assert host.changed("/opt/app/current/lib/app.jar") == 1_700_000_000.5
    assert host.changed("/opt/app/current/lib/no.jar") is None
    with open(host.path("/opt/app/app-1/lib/app.jar")):
        assert "/opt/app/app-1/lib/app.jar" in host.open_files(os.getpid())
    with pytest.raises(ConfigError, match="a name beside it"):
        host.switch("/opt/app/current", "/opt/app/app-1")
    host.remove("/opt/app")
    assert host.read("/opt/app/app-1/lib/app.jar") is None
    assert host.path("/opt").is_dir()


def test_the_supervisors_processes_are_its_units(host: LabHost, tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.save(Settings())
    supervisor = Supervisor(layout, Settings())
    server = control.Server(layout.socket, supervisor.handle)
    line = ["sh", "-c", "trap 'exit 143' TERM; echo begun; while :; do sleep 0.02; done"]
    home = layout.host("blue-1")
    supervisor.table.spawn("blue-1/kafka", line, env={}, cwd=home, log=home / "logs" / "kafka.log")
    try:
        assert host.unit("kafka").running
        while not host.journal("kafka"):
            pass
        stopped = host.unit_stop("kafka", timeout=10)
        assert (stopped.exit_code, stopped.active) == (143, "failed")
        assert stopped.stopped_clean
        started = host.unit_start("kafka")
        assert started.running
        assert started.restarts == 1
        host.service_stop("kafka", kill=True)
        killed = host.unit("kafka")
        assert (killed.signal, killed.stopped_clean) == (9, False)
        host.unit_enable("kafka")
        assert host.unit("kafka").enabled
        host.unit_enable("kafka", on=False)
        assert not host.unit("kafka").enabled
        with pytest.raises(ConfigError, match=r"no unit nosuch\.service"):
            host.unit_stop("nosuch")
    finally:
        supervisor.table.stop("blue-1/kafka", timeout=5, kill=True)
        server.close()


def said(host: LabHost, word: str) -> None:
    deadline = time.monotonic() + 20
    while word not in host.journal("kafka"):
        assert time.monotonic() < deadline, host.journal("kafka")


def test_an_installed_unit_is_read_at_each_start(host: LabHost, tmp_path: Path) -> None:
    layout, settings = Layout.of(tmp_path), Settings(single=True)
    layout.save(settings)
    program = "/opt/kafka/current/bin/start.sh"
    script = b'#!/bin/sh\necho "$A"\nsleep 60'
    host.put("/opt/kafka/versions/1/bin/start.sh", script, mode=0o755)
    host.switch("/opt/kafka/current", "versions/1")
    unit = "/etc/systemd/system/kafka.service"
    text = f"[Service]\nEnvironment=A=first\nTimeoutStopSec=2min\nExecStart={program}\n"
    host.put(unit, text.encode())
    supervisor = Supervisor(layout, settings)
    server = control.Server(layout.socket, supervisor.handle)
    home = layout.host("blue-1")
    log = home / "logs" / "kafka.log"
    supervisor.table.spawn("blue-1/kafka", ["true"], env={}, cwd=home, log=log)
    try:
        host.unit_stop("kafka")
        found = host.unit_start("kafka")
        assert (found.file, found.stop_timeout, found.stale) == (unit, 120.0, False)
        said(host, "first")
        host.unit_stop("kafka")
        host.put(unit, text.replace("first", "second").encode())
        host.unit_start("kafka")
        said(host, "second")
        assert host.journal("kafka").split() == ["first", "second"]
        host.put(f"{unit}.d/heap.conf", b"[Service]\nEnvironment=A=third\n")
        assert host.unit("kafka").drop_ins == (f"{unit}.d/heap.conf",)
        host.unit_stop("kafka")
        host.switch("/opt/kafka/current", "versions/2")
        with pytest.raises(StepFailed, match="203/EXEC"):
            host.unit_start("kafka")
        assert not host.unit("kafka").running
        host.put(unit, b"[Service]\nUser=kafka\n")
        with pytest.raises(StepFailed, match="User is not understood") as caught:
            host.unit("kafka")
        assert caught.value.code == "KO-UNIT"
    finally:
        supervisor.table.stop("blue-1/kafka", timeout=5, kill=True)
        server.close()
