"""How QEMU is told what the machine is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.lab.vm.image import PARTUUID, Image
from kafkaops.lab.vm.machine import (
    GATEWAY,
    NOTHING,
    Disk,
    Extras,
    Forward,
    command,
    file_of,
    readable,
)

IMAGE = Image(Path("/cache/vmlinuz"), Path("/cache/disk.img"))
DISKS = (Disk("AWS1"), Disk("AWS2", 1 << 30))


def line(extras: Extras = NOTHING) -> list[str]:
    return command(IMAGE, Path("/vm"), DISKS, 1024, 7, extras)


def values(option: str, extras: Extras = NOTHING) -> list[str]:
    found = line(extras)
    return [found[n + 1] for n, word in enumerate(found) if word == option]


def test_it_ends_with_whoever_started_it() -> None:
    assert line()[:3] == ["setpriv", "--pdeathsig", "KILL"]


def test_each_disk_has_its_file_and_its_serial_and_the_root_is_an_overlay() -> None:
    assert values("-drive") == [
        "if=none,id=root,file=/vm/root.qcow2,format=qcow2",
        "if=none,id=AWS1,file=/vm/disk-AWS1.img,format=raw",
        "if=none,id=AWS2,file=/vm/disk-AWS2.img,format=raw",
    ]
    assert [v for v in values("-device") if v.startswith("nvme")] == [
        "nvme,drive=root,serial=root",
        "nvme,drive=AWS1,serial=AWS1",
        "nvme,drive=AWS2,serial=AWS2",
    ]
    assert str(IMAGE.disk) not in " ".join(line())
    assert file_of(Path("/vm"), DISKS[1]) == Path("/vm/disk-AWS2.img")


def test_the_root_is_found_by_its_signature_not_by_the_order_of_disks() -> None:
    words = values("-append")[0].split()
    assert f"root=PARTUUID={PARTUUID}" in words
    assert "console=ttyS0" in words


def test_nothing_of_this_machine_is_opened_to_it() -> None:
    assert values("-netdev") == ["user,id=net,ipv6=off"]  # no hostfwd
    assert GATEWAY == "10.0.2.2"


def test_a_port_leads_in_from_the_loopback_alone() -> None:
    ways = Extras((Forward("127.0.7.1", 2222, 22), Forward("127.0.7.1", 9094, 9094)))
    assert values("-netdev", ways) == [
        "user,id=net,ipv6=off,hostfwd=tcp:127.0.7.1:2222-10.0.2.15:22"
        ",hostfwd=tcp:127.0.7.1:9094-10.0.2.15:9094"
    ]
    with pytest.raises(ValueError, match="nobody but this machine"):
        Forward("0.0.0.0", 2222, 22)


def test_what_is_shared_with_it_cannot_be_written_there() -> None:
    drives = values("-drive", Extras(shared=Path("/kit.img")))
    assert "if=none,id=shared,file=/kit.img,format=raw,readonly=on" in drives


def test_the_agent_has_the_other_end_of_the_pair() -> None:
    assert "socket,id=agent,fd=7" in values("-chardev")


def test_a_disk_is_named_as_ec2_names_it() -> None:
    assert DISKS[0].path == "/dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_AWS1"
    with pytest.raises(ValueError, match="begin with AWS"):
        Disk("vol1")


def test_a_console_is_read_as_lines_without_what_only_moves() -> None:
    written = (
        b"Welcome to \x1b[1mDebian\x1b[0m!\r\n"
        b"[*     ] (1 of 2) Job a.service/start running (1min / no limit)\r\n"
        b"\x1bM\r\x1b[K[ *    ] (2 of 2) Job b.service/start running (2min / 5min)\r\n"
        b"\x1bM\r\x1b[K[  OK  ] Finished b.service.\r\n"
        b"kafkaops[7]: the key is running (out)\r\n"
    )
    assert readable(written) == (
        "Welcome to Debian!\n[  OK  ] Finished b.service.\nkafkaops[7]: the key is running (out)\n"
    )
