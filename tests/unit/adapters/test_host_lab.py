"""A lab host's paths, files and commands; its services are in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.adapters.host_lab import LabHost
from kafkaops.engine.errors import StepFailed, Unreachable


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
