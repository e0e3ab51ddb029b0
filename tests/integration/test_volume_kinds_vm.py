"""Volumes of each kind on one real machine: wrapped key on a disk, password of the older recipe on
a file, a key in memory; how fast the disk is, plain and encrypted; and what a reboot leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab.vm.machine import Disk, machine
from kafkaops.volumes.module import COMMAND
from tests.integration.real_vm import image_or_skip
from tests.integration.volume_host import Aws, Broker, emulated, wrapped

pytestmark = [pytest.mark.lab, pytest.mark.soak]

FILE = "/var/lib/kafka-volumes/data-2"
OBJECT = "s3://keys/password"
QUICK = ("--seconds", "0.5", "--rounds", "1", "--size", "64", "--yes")


def password(aws: Aws) -> None:
    """As the older recipe left it: a password, encrypted by KMS, as an object."""
    made = aws.kms.encrypt(KeyId=aws.key, Plaintext=b"correct horse battery staple")
    aws.client("s3").put_object(Bucket="keys", Key="password", Body=made["CiphertextBlob"])


def by_name(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["volume"]: row for row in told["volumes"]}


def test_each_kind_is_made_measured_and_told_after_a_reboot(tmp_path: Path) -> None:
    image = image_or_skip()
    disks = (Disk("AWS1"), Disk("AWS2"))
    with emulated() as aws, machine(image, tmp_path / "vm", disks) as vm:
        password(aws)
        on_file: dict[str, Any] = {"mode": "s3", "object": OBJECT, "copies": ""}
        on_file |= {"device": FILE, "size": 128 << 20, "filesystem": "ext4"}
        memory: dict[str, Any] = {"mode": "ephemeral", "key": "", "copies": "", "log_dir": ""}
        broker = Broker(vm)
        broker.must("mkdir", "-p", "/var/lib/kafka-volumes")
        broker.installed(
            aws,
            wrapped(aws),
            wrapped(aws, name="data-2", mountpoint="/var/lib/kafka/data-2", **on_file),
            wrapped(
                aws,
                name="data-3",
                device="instance-store:2",
                mountpoint="/var/lib/kafka/data-3",
                **memory,
            ),
        )
        measured = by_name(broker.timed("bench, blank", lambda: broker.volume("bench", *QUICK)))
        for row in measured.values():
            assert row["written"] == 64 << 20
            assert not row["refused"]
            assert len(row["figures"]) == 15
            assert all(figure["bytes_per_second"] > 0 for figure in row["figures"])
        assert broker.host.command(("test", "-e", f"{FILE}.bench"))[0] == 1
        states = {n: row["state"] for n, row in by_name(broker.volume("status")).items()}
        assert states == {"data-1": "blank", "data-2": "blank", "data-3": "blank"}

        broker.timed("prepare, three", lambda: broker.volume("prepare", "--yes"))
        rows = by_name(broker.volume("status", "--check"))
        assert {n: row["mode"] for n, row in rows.items()} == {
            "data-1": "wrapped",
            "data-2": "s3",
            "data-3": "ephemeral",
        }
        kinds = broker.must("findmnt", "-n", "-o", "FSTYPE,OPTIONS", "/var/lib/kafka/data-2")
        assert kinds.startswith("ext4")
        assert "noatime" in kinds
        broker.must("systemctl", "start", "kafka")
        inside = by_name(broker.timed("bench, mounted", lambda: broker.volume("bench", *QUICK)))
        for row in inside.values():
            assert row["written"] == 0
            assert len(row["figures"]) == 10
        broker.must("sh", "-c", "echo kept > /var/lib/kafka/data-2/kept")
        broker.volume("status", "--check")
        assert "-bench" not in broker.must("ls", "/dev/mapper")

        vm.reboot()
        line = vm.shown("KO-VOLUME-EPHEMERAL", timeout=300)
        assert "data-3" in line
        assert "rdering cycle" not in vm.console()
        broker.within(
            300, lambda: broker.host.mounted("/var/lib/kafka/data-2") is not None, "data-2"
        )
        assert broker.must("cat", "/var/lib/kafka/data-2/kept") == "kept\n"
        assert not broker.host.unit("kafka").running
        assert broker.host.command((COMMAND, "volume", "prepare", "data-3", "--yes"))[0] == 5
        label = broker.volumes[2].label
        broker.volume("prepare", "data-3", "--reformat", label, "--yes")
        broker.must("systemctl", "start", "kafka")
        broker.within(120, broker.serves, "all three")
        print(broker.figures, {n: row["figures"] for n, row in measured.items()})
