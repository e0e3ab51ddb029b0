"""Each way to a host has faults of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from kafkaops.adapters.host_command import CommandHost
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, Unreachable
from kafkaops.lab.hosts import machine
from tests.integration.real_hosts import Machines, digest

pytestmark = pytest.mark.lab


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
