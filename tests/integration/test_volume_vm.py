"""A broker's encrypted volume on a real machine: blank disk, boot, KMS gone, KMS back.

Real systemd, dm-crypt and XFS; the lab's emulated KMS and S3 are reached from the machine.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.lab.vm.machine import Disk, machine
from kafkaops.volumes.module import COMMAND
from tests.integration.real_vm import image_or_skip
from tests.integration.volume_host import HOME, Broker, emulated, wrapped

pytestmark = pytest.mark.lab


def test_a_volume_is_made_and_opened_at_each_boot_or_kafka_does_not_start(tmp_path: Path) -> None:
    image, disk = image_or_skip(), Disk("AWS1")
    with emulated() as aws, machine(image, tmp_path / "vm", (disk,)) as vm:
        broker = Broker(vm)
        broker.installed(aws, wrapped(aws))
        assert broker.volume("status")["volumes"][0]["state"] == "blank"
        assert broker.host.command((COMMAND, "volume", "open"), timeout=600)[0] == 5
        told = broker.timed("prepare", lambda: broker.volume("prepare", "--yes"))
        assert told["volumes"][0]["what"].endswith("mount, make the log directory")
        assert broker.volume("status", "--check")["volumes"][0]["hardware"]
        assert "cluster.id=Zm9v" in broker.must("cat", f"{HOME}/meta.properties")
        broker.must("systemctl", "start", "kafka")
        broker.within(60, lambda: bool(broker.host.read(f"{HOME}/written")), "nothing written")
        before = broker.must("head", "-n", "1", f"{HOME}/written")
        code, _, err = broker.host.command((COMMAND, "volume", "rotate", "--yes"), timeout=600)
        assert code != 0
        assert b"KO-AWS-DENIED" in err, err.decode()
        assert broker.volume("status", "--check")["volumes"][0]["rotating"]
        broker.must("env", "AWS_PROFILE=admin", COMMAND, "volume", "rotate", "--yes")
        assert not broker.volume("status", "--check")["volumes"][0]["rotating"]
        broker.must("systemctl", "stop", "kafka")
        broker.volume("close")
        broker.must("systemctl", "start", "kafka")  # systemd opens it again
        assert broker.serves()
        assert broker.must("head", "-n", "1", f"{HOME}/written") == before

        broker.timed("reboot", vm.reboot)
        broker.within(300, broker.serves, "not mounted and started after the boot")
        assert "rdering cycle" not in vm.console()
        assert broker.must("head", "-n", "1", f"{HOME}/written") == before
        assert "crypt" in broker.must("lsblk", "-n", "-o", "TYPE", disk.path)

        vm.power_off()
        aws.kms.disable_key(KeyId=aws.key)
        vm.start()
        line = vm.shown("KO-KMS-DISABLED", timeout=300)
        assert "data-1" in line
        assert "Kafka does not start without it" in line
        assert broker.host.mounted(HOME) is None
        assert not broker.host.unit("kafka").running
        assert broker.host.command(("touch", f"{HOME}/written"))[0] != 0, "written to the root disk"
        assert broker.host.command(("systemctl", "start", "--no-block", "kafka"))[0] == 0
        assert not broker.host.unit("kafka").running

        aws.kms.enable_key(KeyId=aws.key)
        broker.timed("KMS back", lambda: broker.within(300, broker.serves, "KMS is back"))
        assert broker.must("head", "-n", "1", f"{HOME}/written") == before
        print(broker.figures)
