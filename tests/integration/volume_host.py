"""A virtual machine with kafkaops installed on it, and the emulated AWS that it reaches.

What stands in for Kafka writes to the log directory once a second, under a unit of Kafka's name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session
from moto.server import ThreadedMotoServer

from kafkaops.adapters.installed_module import packed
from kafkaops.engine.clock import SystemClock
from kafkaops.lab.front import Front, kms_of
from kafkaops.lab.iam import ACCOUNT
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api
from kafkaops.lab.vm.host import VmHost
from kafkaops.lab.vm.machine import GATEWAY, Machine
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes import boot_units, host_file, policy
from kafkaops.volumes.host_file import AwsSettings, HostFile
from kafkaops.volumes.module import COMMAND, install

HOME = "/var/lib/kafka/data-1"
CLUSTER_ID = "Zm9vYmFyYmF6cXV4"
CREDENTIALS = b"".join(
    b"[%s]\naws_access_key_id = %s\naws_secret_access_key = secret\n" % pair
    for pair in ((b"default", b"broker"), (b"admin", b"admin"))
)
"""The host's own are the broker's role; `AWS_PROFILE=admin` is who may delete copies."""
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

    def __init__(self, moto: int, address: str) -> None:
        front = Front(
            Api(Zone("kafka.lab.", "Z0")),
            (address, 0),
            ("127.0.0.1", moto),
            kms=kms_of(SystemClock()),
        )
        front.start()
        self.front = front
        self.server, self.port = front.server, front.server.server_port
        self.endpoint = f"http://{address}:{self.port}"
        self.kms = self.client("kms")
        self.key = str(self.kms.create_key()["KeyMetadata"]["Arn"])
        where = {"LocationConstraint": "eu-west-1"}
        self.client("s3").create_bucket(Bucket="keys", CreateBucketConfiguration=where)

    def allow(self, *volumes: VolumeSpec) -> None:
        """Two roles with what `volume policy` prints for these volumes, and nothing else."""
        known = self.front.options()["callers"]
        for key, role, document in (
            ("broker", "broker", policy.broker(*volumes)),
            ("admin", "volumes-admin", policy.administrator(*volumes)),
        ):
            arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/i-1"
            known[key] = {"arn": arn, "policies": [document]}
        self.front.set({"callers": known})

    def client(self, service: str) -> Any:
        return botocore.session.Session().create_client(
            service,
            region_name="eu-west-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="lab",
            aws_secret_access_key="secret",
        )


@contextmanager
def emulated(address: str = "127.0.0.1") -> Iterator[Aws]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        aws = Aws(moto.get_host_and_port()[1], address)
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
        self.volumes: tuple[VolumeSpec, ...] = ()

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
        return self.host.unit("kafka").running and all(
            self.host.mounted(v.mountpoint) == f"/dev/mapper/{v.mapper}" for v in self.volumes
        )

    def installed(self, aws: Aws, *volumes: VolumeSpec) -> None:
        """What `volume install` puts on a host."""
        self.volumes = volumes
        aws.allow(*volumes)
        settings = AwsSettings("eu-west-1", f"http://{GATEWAY}:{aws.port}")
        file = HostFile("demo", 1, volumes, aws=settings, cluster_id=CLUSTER_ID)
        install(self.host, packed())
        self.host.put("/root/.aws/credentials", CREDENTIALS, mode=0o600)
        self.host.put(host_file.PATH, host_file.rendered(file).encode())
        self.host.put("/etc/systemd/system/kafka.service", (STAND_IN % HOME).encode())
        for path, text in boot_units.files(file, program=COMMAND).items():
            self.host.put(path, text.encode())
        self.host.units_reload()
        for unit in (*boot_units.enabled(file), "kafka.service"):
            self.host.unit_enable(unit)


def wrapped(aws: Aws, **changes: Any) -> VolumeSpec:
    """A volume on the machine's first instance-store disk."""
    known: dict[str, Any] = {
        "cluster": "demo",
        "node": 1,
        "name": "data-1",
        "device": "instance-store:1",
        "mountpoint": HOME,
        "key": aws.key,
        "copies": "s3://keys/volumes",
        "cluster_id": CLUSTER_ID,
    }
    return VolumeSpec(**(known | changes))
