"""The machine's root: what is laid over a base system, and the disk that it is found on."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kafkaops.lab.vm import image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A base system, as far as it matters."""
    for directory in ("boot", image.UNITS, "etc/udev/rules.d"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/resolv.conf").symlink_to("/run/somewhere")
    (tmp_path / "etc/fstab").write_text("UNCONFIGURED\n")
    enabled = tmp_path / image.UNITS / "multi-user.target.wants/ssh.service"
    enabled.parent.mkdir()
    enabled.symlink_to("/lib/systemd/system/ssh.service")
    image.dress(tmp_path)
    return tmp_path


def test_its_units_are_enabled_as_they_say(root: Path) -> None:
    units = root / image.UNITS
    for wanted in ("multi-user.target.wants/lab-agent.service",):
        assert (units / wanted).resolve() == (units / "lab-agent.service").resolve()
    network = units / "network-online.target.wants/lab-network.service"
    assert str(network.readlink()) == "../lab-network.service"


def test_what_is_masked_is_masked_and_names_of_disks_are_still_made(root: Path) -> None:
    units = root / image.UNITS
    assert all(str((units / unit).readlink()) == "/dev/null" for unit in image.MASKED)
    assert not {unit for unit in image.MASKED if "udev" in unit or "tmpfiles-setup" in unit}
    assert (
        "Amazon_EC2_NVMe_Instance_Storage"
        in (root / "etc/udev/rules.d/90-lab-instance-store.rules").read_text()
    )


def test_sshd_is_there_and_waits_for_who_wants_it(root: Path) -> None:
    assert "openssh-server" in image.PACKAGES
    assert not list((root / image.UNITS).glob("*.wants/ssh.service"))
    assert not (root / image.UNITS / "ssh.service").is_symlink()  # not masked


def test_it_has_no_name_server_and_no_file_system_to_wait_for(root: Path) -> None:
    resolv = root / "etc/resolv.conf"
    assert (resolv.is_symlink(), resolv.read_text(), (root / "etc/fstab").read_text()) == (
        *(False, ""),
        "",
    )


def test_the_agent_is_the_one_that_is_tested_here(root: Path) -> None:
    assert (root / "usr/local/sbin/lab-agent").read_text() == image.AGENT.read_text()


def test_the_kernel_finds_its_partition_by_the_signature() -> None:
    table = image.partition_table()
    assert (len(table), table[510:]) == (512, b"\x55\xaa")
    identity = struct.unpack_from("<I", table, 440)[0]
    assert f"{identity:08x}-01" == image.PARTUUID
    kind, first, count = struct.unpack_from("<B3xII", table, 446 + 4)
    assert kind == 0x83
    assert (first * 512, (first + count) * 512) == (image.START, image.SIZE)
    assert table[462:510] == b"\0" * 48  # no other partition


def test_a_change_of_the_base_makes_another_image() -> None:
    assert image.digest("base-1.tar") == image.digest("base-1.tar")
    assert image.digest("base-1.tar") != image.digest("base-2.tar")


def test_targets_are_read_from_the_unit() -> None:
    assert image.wanted_by("[Install]\nWantedBy=a.target b.target\nWantedBy=c.target\n") == [
        *("a.target", "b.target", "c.target")
    ]
    assert image.wanted_by("[Unit]\nDescription=x\n") == []
