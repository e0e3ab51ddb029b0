"""A broker's encrypted volume on a real machine: blank disk, boot, KMS gone, KMS back.

Real systemd, dm-crypt and XFS; the lab's emulated KMS and S3 are reached from the machine. What
stands in for Kafka writes to the log directory once a second, under a unit of Kafka's name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from kafkaops.adapters.installed_module import packed
from kafkaops.engine.clock import SystemClock
from kafkaops.lab.front import Front, kms_of
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api
from kafkaops.lab.vm.host import VmHost
from kafkaops.lab.vm.machine import GATEWAY, Disk, Machine, machine
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes import boot_units, host_file
from kafkaops.volumes.host_file import AwsSettings, HostFile
from kafkaops.volumes.module import COMMAND, install
from tests.integration.real_vm import image_or_skip

pytestmark = pytest.mark.lab

HOME = "/var/lib/kafka/data-1"
OPEN = "/dev/mapper/kafka-data-1"
CREDENTIALS = b"[default]\naws_access_key_id = lab\naws_secret_access_key = secret\n"
STAND_IN = """\
[Unit]
Description=Writes to its log directory as Kafka does

[Service]
ExecStart=/bin/sh -c 'while :; do date >> %s/written; sleep 1; done'

[Install]
WantedBy=multi-user.target
"""


class Aws:
    """KMS, strict, and S3 of moto's server behind one endpoint of this machine."""

    def __init__(self, moto: int) -> None:
        front = Front(
            Api(Zone("kafka.lab.", "Z0")),
            ("127.0.0.1", 0),
            ("127.0.0.1", moto),
            kms=kms_of(SystemClock()),
        )
        front.start()
        self.server, self.port = front.server, front.server.server_port
        self.kms = self.client("kms")
        self.key = str(self.kms.create_key()["KeyMetadata"]["Arn"])
        where = {"LocationConstraint": "eu-west-1"}
        self.client("s3").create_bucket(Bucket="keys", CreateBucketConfiguration=where)

    def client(self, service: str) -> Any:
        return botocore.session.Session().create_client(
            service,
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="lab",
            aws_secret_access_key="secret",
        )


@contextmanager
def emulated() -> Iterator[Aws]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        aws = Aws(moto.get_host_and_port()[1])
        try:
            yield aws
        finally:
            aws.server.shutdown()
            aws.server.server_close()
    finally:
        moto.stop()


class Broker:
    """The machine as its operator sees it; `figures` are seconds by what took them."""

    def __init__(self, vm: Machine) -> None:
        self.vm, self.host = vm, VmHost("vm-1", vm)
        self.figures: dict[str, float] = {}

    def timed(self, what: str, deed: Callable[[], Any]) -> Any:
        begun = time.monotonic()
        done = deed()
        self.figures[what] = round(time.monotonic() - begun, 1)
        return done

    def must(self, *argv: str) -> str:
        code, out, err = self.host.command(argv, timeout=600)
        assert code == 0, f"{argv}: {out.decode()} {err.decode()}\n{self.vm.console()[-3000:]}"
        return out.decode()

    def volume(self, *argv: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.must(COMMAND, "volume", *argv, "-o", "json"))
        return told

    def within(self, seconds: float, found: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < deadline, f"{what}\n{self.vm.console()[-4000:]}"
            time.sleep(1)

    def serves(self) -> bool:
        return self.host.unit("kafka").running and self.host.mounted(HOME) == OPEN

    def installed(self, aws: Aws, disk: Disk) -> None:
        """What `volume install` puts on a host."""
        spec = VolumeSpec(
            cluster="demo",
            node=1,
            name="data-1",
            device="instance-store:1",
            mountpoint=HOME,
            key=aws.key,
            copies="s3://keys/volumes",
            cluster_id="Zm9vYmFyYmF6cXV4",
        )
        settings = AwsSettings("eu-west-1", f"http://{GATEWAY}:{aws.port}")
        file = HostFile("demo", 1, (spec,), aws=settings, cluster_id=spec.cluster_id)
        install(self.host, packed())
        self.host.put("/root/.aws/credentials", CREDENTIALS, mode=0o600)
        self.host.put(host_file.PATH, host_file.rendered(file).encode())
        self.host.put("/etc/systemd/system/kafka.service", (STAND_IN % HOME).encode())
        for path, text in boot_units.files(file, program=COMMAND).items():
            self.host.put(path, text.encode())
        self.host.units_reload()
        for unit in (*boot_units.enabled(file), "kafka.service"):
            self.host.unit_enable(unit)


def test_a_volume_is_made_and_opened_at_each_boot_or_kafka_does_not_start(tmp_path: Path) -> None:
    image, disk = image_or_skip(), Disk("AWS1")
    with emulated() as aws, machine(image, tmp_path / "vm", (disk,)) as vm:
        broker = Broker(vm)
        broker.installed(aws, disk)
        assert broker.volume("status")["volumes"][0]["state"] == "blank"
        assert broker.host.command((COMMAND, "volume", "open"), timeout=600)[0] == 5
        told = broker.timed("prepare", lambda: broker.volume("prepare", "--yes"))
        assert told["volumes"][0]["what"].endswith("mount, make the log directory")
        assert broker.volume("status", "--check")["volumes"][0]["hardware"]
        assert "cluster.id=Zm9v" in broker.must("cat", f"{HOME}/meta.properties")
        broker.must("systemctl", "start", "kafka")
        broker.within(60, lambda: bool(broker.host.read(f"{HOME}/written")), "nothing written")
        before = broker.must("head", "-n", "1", f"{HOME}/written")
        broker.timed("rotate", lambda: broker.volume("rotate", "--yes"))

        broker.timed("reboot", vm.reboot)
        broker.within(300, broker.serves, "not mounted and started after the boot")
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
