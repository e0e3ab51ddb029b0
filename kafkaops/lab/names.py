"""Names and emulated AWS: one process holds the zone, its DNS server and the AWS endpoint.

Run as `python -m kafkaops.lab.names DIR` inside the lab; moto runs beside it. The functions
here are what the supervisor needs of both.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafkaops.lab.layout import (
    ALIAS,
    AWS,
    BUCKET,
    MOTO,
    REGION,
    RESOLVER,
    ZONE,
    ZONE_ID,
    Layout,
    Settings,
)
from kafkaops.lab.route53 import RecordSet, Zone, normal

ENV = {
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "1",
    "MOTO_ENABLE_AMI_VALIDATION": "1",
    "PYTHONUNBUFFERED": "1",
}
TTL = 30
"""Seconds, before any migration lowers it. A move waits one old TTL at least."""


def commands(root: Path) -> dict[str, list[str]]:
    """Command lines by process name."""
    return {
        "lab/names": [sys.executable, "-m", "kafkaops.lab.names", str(root)],
        "lab/moto": [
            sys.executable,
            "-c",
            "from moto.server import main; main()",
            "-H",
            MOTO[0],
            "-p",
            str(MOTO[1]),
        ],
    }


def records(settings: Settings) -> list[RecordSet]:
    """The zone before any migration: broker names and the alias point to blue."""
    blue = settings.brokers_of("blue")
    sets = [
        RecordSet(normal(ALIAS), "A", TTL, tuple(h.address for h in blue)),
        *(RecordSet(normal(h.advertised), "A", TTL, (h.address,)) for h in blue),
        *(RecordSet(normal(f"{h.name}.{ZONE}"), "A", TTL, (h.address,)) for h in settings.hosts()),
    ]
    if settings.green_names == "alt":
        green = settings.brokers_of("green")
        sets += [RecordSet(normal(h.advertised), "A", TTL, (h.address,)) for h in green]
    return sets


def wait(alive: Callable[[], None], timeout: float) -> None:
    """Until DNS resolves the alias and Route 53 lists the zone; `alive` raises on a death."""

    def ready() -> bool:
        try:
            status, _ = _http("GET", AWS, "/2013-04-01/hostedzone")
            return status == 200 and bool(socket.gethostbyname(ALIAS))
        except OSError:
            return False

    _poll(ready, alive, timeout, "DNS and Route 53")


def make_bucket(alive: Callable[[], None], timeout: float) -> None:
    """The bucket for state and leases; waits for moto, which is slow to start."""
    scope = f"Credential=lab/20260101/{REGION}/s3/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}
    body = (
        "<CreateBucketConfiguration>"
        f"<LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    )

    def made() -> bool:
        try:
            status, content = _http("PUT", AWS, f"/{BUCKET}", body.encode(), headers)
        except OSError:
            return False
        if status not in (200, 409, 503):
            raise RuntimeError(f"S3 answered {status}: {content[:300]!r}")
        return status != 503

    _poll(made, alive, timeout, "S3")


def set_options(values: dict[str, Any]) -> dict[str, Any]:
    """Change options of the running names process; all options as they now are."""
    status, content = _http("POST", AWS, "/lab/options", json.dumps(values).encode())
    answer: dict[str, Any] = json.loads(content)
    if status != 200:
        raise ValueError(answer["error"])
    return answer


def _poll(done: Callable[[], bool], alive: Callable[[], None], timeout: float, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not answer in {timeout:.0f} s")
        time.sleep(0.1)


def _http(
    method: str,
    address: tuple[str, int],
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    link = http.client.HTTPConnection(*address, timeout=10)
    try:
        link.request(method, path, body, headers or {})
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def main() -> int:
    from kafkaops.lab import dns
    from kafkaops.lab.front import Front
    from kafkaops.lab.route53_rest import Api

    settings = Layout.of(sys.argv[1]).settings()
    zone = Zone(normal(ZONE), ZONE_ID)
    zone.seed(records(settings))
    servers = dns.serve(zone, *RESOLVER)
    Front(Api(zone), AWS, MOTO).start()
    print(f"serving {ZONE}: DNS {RESOLVER}, AWS {AWS}, {len(servers)} DNS servers", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
