"""The lab's AWS endpoint with KMS in it, on a real socket, as tests of adapters meet it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.session
from botocore.config import Config
from moto.server import ThreadedMotoServer

from kafkaops.config.schema import Aws
from kafkaops.engine.clock import FakeClock
from kafkaops.lab.front import Front, kms_of
from kafkaops.lab.route53 import Zone
from kafkaops.lab.route53_rest import Api

REGION = "eu-west-1"
ADMIN = "lab"
SHORT, LONG = 1.0, 60.0
"""Seconds that a client waits for an answer: where none is to come, and on a busy machine."""

SESSION = botocore.session.Session()
"""One for all: each reads its descriptions of services anew."""


@contextmanager
def moto_port() -> Iterator[int]:
    """A moto server of its own, by its port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield int(server.get_host_and_port()[1])
    finally:
        server.stop()


class AwsLab:
    """`clock` is the endpoint's and, where it is handed on, the adapters' too. Without a `moto`
    port only what is the lab's own answers."""

    def __init__(self, moto: int = 9) -> None:
        self.clock = FakeClock(1_800_000_000.0)
        self.front = Front(
            Api(Zone("kafka.lab.", "Z0")),
            ("127.0.0.1", 0),
            ("127.0.0.1", moto),
            kms=kms_of(self.clock),
        )
        self.front.start()
        self.url = f"http://127.0.0.1:{self.front.server.server_port}"
        self.aws = Aws(region=REGION, endpoint_url=self.url)
        self.kms = self.client("kms")

    def close(self) -> None:
        self.front.server.shutdown()
        self.front.server.server_close()

    def client(
        self, service: str, access_key: str = ADMIN, region: str = REGION, wait: float = LONG
    ) -> Any:
        """One that tries once, and waits so long for an answer."""
        return SESSION.create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=access_key,
            aws_secret_access_key="secret",
            config=Config(
                retries={"total_max_attempts": 1},
                proxies={},
                connect_timeout=wait,
                read_timeout=wait,
                s3={"addressing_style": "path"},
            ),
        )

    def clients(self, access_key: str = ADMIN, wait: float = LONG) -> Callable[[str], Any]:
        """A maker of them by service."""
        return lambda service: self.client(service, access_key, wait=wait)

    def caller(self, access_key: str, arn: str, *policies: Mapping[str, Any]) -> None:
        """Who signs with this access key from now on."""
        known = self.front.options()["callers"]
        known[access_key] = {"arn": arn, "policies": policies}
        self.front.set({"callers": known})

    def key(self, access_key: str = ADMIN, region: str = REGION) -> str:
        """A new key's ARN."""
        made = self.client("kms", access_key, region).create_key()
        return str(made["KeyMetadata"]["Arn"])

    def events(self) -> list[dict[str, Any]]:
        """What the trail holds, oldest first, whatever its delay."""
        return [json.loads(one["CloudTrailEvent"]) for one in self.front.kms.trail.events]
