"""The whole vocabulary of a host on machines with real systemd and sshd, reached three ways."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaops.adapters.host_command import CommandHost
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, Unreachable
from tests.integration.real_hosts import Machines, machines

pytestmark = pytest.mark.lab

UNIT = """\
[Service]
ExecStart=/bin/bash -c 'exec 9< /opt/app/current/lib/app.jar; trap "sleep %s; exit %s" TERM; \
echo begun; while :; do sleep 0.1; done'
TimeoutStopSec=2
KillMode=mixed
[Install]
WantedBy=multi-user.target
"""
BYTES = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("hosts")) as up:
        yield up


@pytest.fixture(scope="module", params=["ssh", "ssm", "local"])
def host(request: pytest.FixtureRequest, found: Machines) -> CommandHost:
    made = {"ssh": found.ssh, "ssm": found.ssm, "local": found.local}[request.param]
    return made()


@pytest.fixture
def app(host: CommandHost) -> Iterator[str]:
    """A unit that holds a jar open and ends clean, one second after it is told."""
    host.put("/opt/app/app-1/lib/app.jar", b"one")
    host.switch("/opt/app/current", "app-1")
    host.put("/etc/systemd/system/app.service", (UNIT % (1, 143)).encode())
    host.units_reload()
    yield "app"
    host.service_stop("app", kill=True)
    for path in (
        "/etc/systemd/system/app.service",
        "/opt/app",
        "/run/systemd/system/app.service.d",
    ):
        host.remove(path)
    host.units_reload()


def tarball(path: Path, version: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {"bin/run": b"#!/bin/sh\n", "lib/app.jar": version.encode()}.items():
            entry = tarfile.TarInfo(f"app-{version}/{name}")
            entry.size, entry.mode, entry.uid = len(data), 0o755, 12345
            tar.addfile(entry, io.BytesIO(data))
    return path


def digest(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()


# -- commands and facts ---------------------------------------------------------------------------


def test_a_command_has_its_code_its_output_and_its_errors(host: CommandHost) -> None:
    ran = host.run(("sh", "-c", 'cat; echo "$1" >&2; exit 3', "sh", "it's $HOME"), stdin="in\n")
    assert (ran.code, ran.out, ran.err) == (3, "in\n", "it's $HOME\n")
    assert host.run(("no-such-program",)).code == 127
    assert host.run(("id", "-un")).out == "root\n"


def test_a_command_past_its_time_is_ended_on_the_host(host: CommandHost) -> None:
    begun = time.monotonic()
    ran = host.run(("sh", "-c", "echo $$; exec sleep 300"), timeout=1)
    assert ran.code == 124
    assert time.monotonic() - begun < 10
    assert host.run(("test", "-e", f"/proc/{ran.out.strip()}/fd")).code == 1


def test_output_is_read_to_its_end(host: CommandHost) -> None:
    ran = host.run(("sh", "-c", "seq 40000; seq 20000 >&2"))
    assert ran.out == "".join(f"{n}\n" for n in range(1, 40001))
    assert ran.err == "".join(f"{n}\n" for n in range(1, 20001))


def test_a_large_input_arrives_whole(host: CommandHost) -> None:
    text = "0123456789abcdef" * 20_000
    ran = host.run(("sha256sum",), stdin=text)
    assert ran.out.split()[0] == hashlib.sha256(text.encode()).hexdigest()


def test_facts_and_room(host: CommandHost) -> None:
    facts = host.facts()
    assert facts["kernel"] == os.uname().release
    assert facts["systemd"].startswith("systemd 252")
    assert facts["nft"].startswith("nftables v1")
    assert "java" not in facts
    assert abs(float(facts["clock"]) - time.time()) < 5
    assert 1_000_000 < host.free("/small/not/there/yet") <= 4 * 1024 * 1024
    assert host.free("/opt") > 100_000_000
    host.run(("touch", "-d", "@1700000000.5", "/opt/dated"))
    assert host.changed("/opt/dated") == 1_700_000_000.5
    assert host.changed("/opt/undated") is None


def test_the_firewall_takes_all_of_a_script_or_nothing(host: CommandHost) -> None:
    table = f"ko_test_{os.getpid()}"
    assert host.firewall_show(table) is None
    refused = host.firewall(f"add table ip {table}\nadd rule ip {table} nowhere accept\n")
    assert refused.code != 0
    assert host.firewall_show(table) is None
    try:
        assert host.firewall(f"add table ip {table}\n").code == 0
        assert table in (host.firewall_show(table) or "")
    finally:
        host.firewall(f"delete table ip {table}\n")


# -- files ----------------------------------------------------------------------------------------


def test_a_file_is_put_whole_with_mode_and_owner(host: CommandHost) -> None:
    assert host.read("/opt/files/x") is None
    host.put("/opt/files/x", b"before")
    host.put("/opt/files/x", BYTES, mode=0o640, owner="ops:ops")
    assert host.read("/opt/files/x") == BYTES
    assert host.sha512("/opt/files/x") == hashlib.sha512(BYTES).hexdigest()
    assert host.run(("stat", "-c", "%a %U:%G", "/opt/files/x")).out == "640 ops:ops\n"
    assert host.run(("ls", "-A", "/opt/files")).out == "x\n"
    host.put("/opt/files/empty", b"")
    assert host.read("/opt/files/empty") == b""
    host.remove("/opt/files")
    assert host.sha512("/opt/files/x") is None


def test_a_file_that_cannot_be_put_leaves_what_was_there(host: CommandHost) -> None:
    host.put("/opt/files/x", b"before")
    with pytest.raises(StepFailed, match="invalid user") as error:
        host.put("/opt/files/x", b"after", owner="nobody-knows:x")
    assert error.value.code == "KO-HOST-PUT"
    with pytest.raises(StepFailed, match="File exists"):
        host.put("/opt/files/x/y", b"")
    assert host.read("/opt/files/x") == b"before"
    assert host.run(("ls", "-A", "/opt/files")).out == "x\n"
    host.remove("/opt/files")


def test_a_full_disk_is_named_and_nothing_half_written_stays(host: CommandHost) -> None:
    host.run(("sh", "-c", "head -c 4000000 /dev/zero > /small/kept"))
    with pytest.raises(StepFailed, match="the disk is full") as error:
        host.put("/small/big", os.urandom(400_000))
    assert error.value.code == "KO-HOST-DISK"
    assert host.run(("ls", "-A", "/small")).out == "kept\n"
    host.run(("rm", "/small/kept"))


def test_a_tarball_is_checked_unpacked_and_switched_to(host: CommandHost, tmp_path: Path) -> None:
    source = tarball(tmp_path / "app.tgz", "2")
    with pytest.raises(StepFailed, match="SHA-512 is") as error:
        host.upload("/opt/up/app.tgz", source, sha512="0" * 128)
    assert error.value.code == "KO-HOST-CHECKSUM"
    assert host.run(("ls", "-A", "/opt/up")).out == ""
    host.upload("/opt/up/app.tgz", source, sha512=digest(source).upper())
    host.run(("mkdir", "-p", "/opt/up/app-2.kafkaops.part/left"))
    host.unpack("/opt/up/app.tgz", "/opt/up/app-2", owner="ops:ops")
    host.unpack("/opt/up/app.tgz", "/opt/up/app-2")
    assert host.read("/opt/up/app-2/lib/app.jar") == b"2"
    assert host.run(("stat", "-c", "%U", "/opt/up/app-2/bin/run")).out == "ops\n"
    assert host.link("/opt/up/current") is None
    host.switch("/opt/up/current", "app-1")
    host.switch("/opt/up/current", "app-2")
    assert host.link("/opt/up/current") == "app-2"
    assert host.read("/opt/up/current/lib/app.jar") == b"2"
    assert sorted(host.run(("ls", "-A", "/opt/up")).out.split()) == ["app-2", "app.tgz", "current"]
    with pytest.raises(StepFailed, match="no symbolic link"):
        host.switch("/opt/up/app-2", "x")
    host.remove("/opt/up")


def test_what_is_no_tarball_or_does_not_fit_leaves_nothing(
    host: CommandHost, tmp_path: Path
) -> None:
    with pytest.raises(StepFailed, match="there is no /opt/none"):
        host.unpack("/opt/none", "/opt/bad/app")
    host.put("/opt/bad/noise", b"no tarball")
    with pytest.raises(StepFailed, match="tar"):
        host.unpack("/opt/bad/noise", "/opt/bad/app")
    assert host.run(("ls", "-A", "/opt/bad")).out == "noise\n"
    host.run(("sh", "-c", "mkdir -p /opt/bad/t/x && head -c 5000000 /dev/zero > /opt/bad/t/x/big"))
    host.run(("tar", "-C", "/opt/bad/t", "-czf", "/opt/bad/big.tgz", "x"))
    with pytest.raises(StepFailed) as error:
        host.unpack("/opt/bad/big.tgz", "/small/app")
    assert error.value.code == "KO-HOST-DISK"
    assert "app" not in host.run(("ls", "-A", "/small")).out
    host.remove("/opt/bad")


@pytest.mark.parametrize("path", ["/", "/opt", "opt/x/y", "/opt/../etc", "/opt//"])
def test_some_paths_are_never_removed(found: Machines, path: str) -> None:
    with pytest.raises(StepFailed, match="not something to remove"):
        found.local().remove(path)


# -- units ----------------------------------------------------------------------------------------


def test_a_unit_starts_holds_its_jar_and_stops_clean(host: CommandHost, app: str) -> None:
    before = host.unit(app)
    assert (before.active, before.sub, before.pid, before.started) == ("inactive", "dead", 0, 0.0)
    assert not before.running
    assert (before.stop_timeout, before.enabled, before.exit_code) == (2.0, False, None)
    unit = host.unit_start(app)
    assert unit.running
    assert unit.file == "/etc/systemd/system/app.service"
    assert abs(unit.started - time.time()) < 30
    assert host.service(app).pid == unit.pid
    # Another version is laid down and linked: the process still holds the first one's jar.
    host.put("/opt/app/app-2/lib/app.jar", b"two")
    host.switch("/opt/app/current", "app-2")
    held = host.open_files(unit.pid)
    assert "/opt/app/app-1/lib/app.jar" in held
    assert any("libc.so" in path or "libc-" in path for path in held)
    host.put("/opt/app/app-1/lib/app.jar", b"replaced")
    assert "/opt/app/app-1/lib/app.jar (deleted)" in host.open_files(unit.pid)
    stopped = host.unit_stop(app)
    assert (stopped.exit_code, stopped.signal, stopped.pid) == (143, None, 0)
    assert stopped.stopped_clean
    assert stopped.stop_timeout == 330.0
    assert "begun" in host.journal(app)
    with pytest.raises(StepFailed, match="no process"):
        host.open_files(unit.pid)
    assert host.unit_start(app).started > unit.started
    assert host.unit_start(app).running
    first = host.unit(app).pid
    host.service_restart(app)
    assert host.unit(app).pid not in {0, first}


def test_a_process_longer_than_its_stop_timeout_is_given_the_callers(
    host: CommandHost, app: str
) -> None:
    host.put("/etc/systemd/system/app.service", (UNIT % (4, 0)).encode())
    assert host.unit(app).stale
    host.units_reload()
    assert not host.unit(app).stale
    host.unit_start(app)
    stopped = host.unit_stop(app, timeout=20)
    assert stopped.stopped_clean, stopped


def test_a_stop_that_became_a_kill_is_not_clean(host: CommandHost, app: str) -> None:
    host.put("/etc/systemd/system/app.service", (UNIT % (60, 0)).encode())
    host.units_reload()
    host.unit_start(app)
    stopped = host.unit_stop(app, timeout=2)
    assert (stopped.signal, stopped.result) == (9, "timeout")
    assert not stopped.stopped_clean


def test_a_unit_that_ends_at_once_is_an_error_with_its_journal(host: CommandHost, app: str) -> None:
    text = "[Service]\nType=exec\nExecStart=/no/such/program\n"
    host.put("/etc/systemd/system/app.service", text.encode())
    host.units_reload()
    with pytest.raises(StepFailed) as error:
        host.unit_start(app)
    assert error.value.code == "KO-UNIT"
    assert "/no/such/program" in error.value.message
    assert host.unit(app).active == "failed"


def test_a_unit_is_enabled_for_the_next_boot(host: CommandHost, app: str) -> None:
    host.unit_enable(app)
    assert host.unit(app).enabled
    host.unit_enable(app, on=False)
    assert not host.unit(app).enabled


def test_a_unit_that_does_not_exist_is_named(host: CommandHost) -> None:
    for call in (host.unit, host.unit_start, host.unit_stop, host.unit_enable):
        with pytest.raises(StepFailed, match=r"no unit nosuch\.service") as error:
            call("nosuch")
        assert error.value.code == "KO-UNIT-UNKNOWN"
    assert not host.service("nosuch").active
    host.service_stop("nosuch")


def test_a_process_of_kafkaops_own_is_supervised(host: CommandHost) -> None:
    line = ("sh", "-c", 'echo "$WORD"; exec sleep 1000')
    host.service_start("own", line, env={"WORD": "hello there"}, log="/var/log/own.log")
    host.service_start("own", line, env={}, log="/var/log/own.log")
    first = host.service("own")
    assert first.active
    host.run(("kill", "-9", str(first.pid)))
    deadline = time.monotonic() + 20
    while host.service("own").pid in {0, first.pid}:
        assert time.monotonic() < deadline, "systemd did not start it again"
        time.sleep(0.2)
    assert (host.tail("/var/log/own.log", lines=5) or "").count("hello there") == 2
    assert host.tail("/var/log/none.log") is None
    host.service_stop("own")
    assert not host.service("own").active


# -- each way's own faults ------------------------------------------------------------------------


def test_a_hundred_mebibytes_over_ssh(found: Machines, tmp_path: Path) -> None:
    source = tmp_path / "large"
    block = os.urandom(1024 * 1024)
    with open(source, "wb") as file:
        for number in range(100):
            file.write(bytes([number]) + block[1:])
    host = found.ssh()
    host.upload("/opt/large", source, sha512=digest(source))
    assert host.run(("stat", "-c", "%s", "/opt/large")).out == f"{100 * 1024 * 1024}\n"
    host.run(("rm", "/opt/large"))


def test_ssh_keeps_one_connection(found: Machines) -> None:
    host = found.ssh()
    assert host.run(("true",)).code == 0
    before = found.local(0).run(("sh", "-c", "pgrep -c -f 'sshd: ops@'")).out
    begun = time.monotonic()
    for _ in range(10):
        assert host.run(("true",)).code == 0
    assert time.monotonic() - begun < 5
    assert found.local(0).run(("sh", "-c", "pgrep -c -f 'sshd: ops@'")).out == before


def refused(host: CommandHost) -> OpsError:
    with pytest.raises(OpsError) as error:
        host.run(("true",))
    assert error.value.hint
    return error.value


def test_ssh_says_what_is_wrong(found: Machines, tmp_path: Path) -> None:
    address = found.addresses[0]
    alone = {"control_dir": str(tmp_path / "c")}
    port = tmp_path / "other-port"
    port.write_text(f"Host *\n  Port 1\nInclude {found.ssh_config}\n")
    assert refused(found.ssh(config_file=str(port), **alone)).code == "KO-SSH-REFUSED"

    unknown = tmp_path / "unknown"
    unknown.write_text(
        f"Host *\n  UserKnownHostsFile {tmp_path / 'none'}\nInclude {found.ssh_config}\n"
    )
    error = refused(found.ssh(config_file=str(unknown), **alone))
    assert error.code == "KO-SSH-HOST-KEY"
    assert not (tmp_path / "none").exists()

    known = (found.directory / "known_hosts").read_text().splitlines()
    (tmp_path / "wrong").write_text(f"{address} {' '.join(known[1].split()[1:])}\n")
    changed = tmp_path / "changed"
    changed.write_text(
        f"Host *\n  UserKnownHostsFile {tmp_path / 'wrong'}\nInclude {found.ssh_config}\n"
    )
    assert refused(found.ssh(config_file=str(changed), **alone)).code == "KO-SSH-HOST-KEY-CHANGED"

    assert refused(found.ssh(user="stranger", **alone)).code == "KO-SSH-DENIED"
    assert refused(found.ssh(target="no.such.host.invalid", **alone)).code == "KO-SSH-NAME"
    missing = refused(found.ssh(program="/no/such/ssh", **alone))
    assert isinstance(missing, ConfigError)
    assert missing.code == "KO-SSH-PROGRAM"
    assert refused(found.ssh(config_file=str(tmp_path / "no"), **alone)).code == "KO-SSH-CONFIG"


def test_ssh_to_a_host_that_is_silent(found: Machines, tmp_path: Path) -> None:
    """Its processes are stopped, as a machine hangs: no answer, and an error in bounded time."""
    host = found.ssh(control_dir=str(tmp_path / "c"))
    name = found.names[0]
    found.engine.docker("pause", name)
    try:
        begun = time.monotonic()
        assert refused(host).code == "KO-SSH-TIMEOUT"
        assert time.monotonic() - begun < 40
    finally:
        found.engine.docker("unpause", name)


def test_sudo_that_wants_a_password_is_said_before_anything_runs(
    found: Machines, tmp_path: Path
) -> None:
    host = found.ssh(user="asks", control_dir=str(tmp_path / "c"))
    error = refused(host)
    assert isinstance(error, ConfigError)
    assert error.code == "KO-HOST-SUDO"
    assert "password" in error.message
    assert "NOPASSWD" in error.hint


def test_an_ssh_connection_that_breaks_puts_nothing(found: Machines, tmp_path: Path) -> None:
    """The host sees the end of its input too early, which is no end of the file."""
    source = tmp_path / "large"
    source.write_bytes(os.urandom(64 * 1024 * 1024))
    name = found.names[0]
    host = found.ssh(control_dir=str(tmp_path / "c"))
    host.run(("true",))
    watch = (
        "sh",
        "-c",
        "for i in $(seq 400); do ls /opt/cut.kafkaops.* && break; sleep 0.05; done;"
        " pkill -9 -f 'sshd: ops@notty'",
    )
    from kafkaops.lab.hosts import machine

    killer = subprocess.Popen(machine.inside(found.engine, name, watch), stdin=subprocess.DEVNULL)
    with pytest.raises(Unreachable):
        host.upload("/opt/cut", source, sha512=digest(source))
    killer.wait(30)
    deadline = time.monotonic() + 20
    while found.local(0).run(("sh", "-c", "ls /opt/cut*")).code == 0:
        assert time.monotonic() < deadline, "something half written stayed"
        time.sleep(0.2)


def test_ssm_says_what_is_wrong(found: Machines) -> None:
    assert refused(found.ssm(instance="i-bogus")).code == "KO-SSM-OFFLINE"
    commands = found.commands
    commands.offline = frozenset({"i-1"})
    try:
        error = refused(found.ssm())
    finally:
        commands.offline = frozenset()
    assert isinstance(error, Unreachable)
    assert error.code == "KO-SSM-OFFLINE"
    assert "describe-instance-information" in error.hint
    found.front.ssm.denied = frozenset({"ssm:SendCommand"})
    try:
        assert refused(found.ssm()).code == "KO-AWS-DENIED"
    finally:
        found.front.ssm.denied = frozenset()


def test_ssm_waits_out_throttling_and_runs_a_command_once(found: Machines) -> None:
    host = found.ssm()
    host.put("/opt/count/lines", b"")
    found.commands.throttle = 3
    assert host.run(("sh", "-c", "echo x >> /opt/count/lines")).code == 0
    assert found.commands.throttle == 0
    assert host.read("/opt/count/lines") == b"x\n"
    host.remove("/opt/count")


def test_a_file_too_large_for_ssm_is_refused_with_another_way(
    found: Machines, tmp_path: Path
) -> None:
    source = tmp_path / "large"
    source.write_bytes(bytes(9 * 1024 * 1024))
    with pytest.raises(StepFailed, match="do not go to a host") as error:
        found.ssm().upload("/opt/large", source, sha512=digest(source))
    assert "https or s3" in error.value.hint
