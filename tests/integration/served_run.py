"""A run that only waits, for a service to carry: its names' TTL is lowered, one old TTL waited for.

Nothing but the lab's Route 53 is needed, so it can be carried inside a machine with real systemd,
by this very Python, which that machine shares.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml

from kafkaops.config.loader import load
from kafkaops.engine.clock import SystemClock
from kafkaops.engine.step import Plan, Spec
from kafkaops.engine.store import Store
from tests.integration.real_hosts import Machines

ROOT = Path(__file__).resolve().parents[2]
RUN = "demo-20261101-120000"
UNIT = f"kafkaops-{RUN}"
DOMAIN, ZONE = "kafka.lab", "Z0LAB"
ALIAS = f"bootstrap.{DOMAIN}"
KEYS = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
OF_LIBC = ("libc.so", "libm.so", "ld-linux", "libdl.so", "libpthread.so", "librt.so", "libutil.so")


def python() -> dict[Path, str]:
    """The directories that this Python and this clone are read from."""
    places = {ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    return dict.fromkeys(places, "ro")


def libraries(directory: Path) -> None:
    """Copies of the libraries of this machine that Python's own modules load."""
    directory.mkdir()
    modules = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    told = subprocess.run(
        ["ldd", *map(str, sorted(modules.glob("*.so")))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for line in told.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        source = Path(rest.partition(" ")[0])
        if arrow and not name.startswith(OF_LIBC) and not source.is_relative_to(sys.base_prefix):
            (directory / name).write_bytes(source.read_bytes())


def configured(directory: Path, endpoint: str) -> Path:
    """The config, and a run of it that has begun to wait for `ttl` seconds."""

    def cluster(colour: str, net: int) -> Mapping[str, Any]:
        host = {"name": f"{colour}-1", "node_id": 1, "address": f"127.0.{net}.1"}
        return {"name": colour, "bootstrap": [f"127.0.{net}.1:9094"], "hosts": [host]}

    config = directory / "kafkaops.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "schema_version": 1,
                "name": "demo",
                "state": {"dir": str(directory / "state"), "lease_ttl": 5},
                "aws": {"endpoint_url": endpoint},
                "blue": cluster("blue", 61),
                "green": cluster("green", 62),
                "mirror": {"host": "green-1", "back_host": "blue-1"},
                "cutover": {"hosted_zone": ZONE, "alias": ALIAS},
            }
        )
    )
    return config


def begun(config: Path, *, ttl: float) -> Store:
    """A run that waits `ttl` seconds from the moment it first acts."""
    loaded = load(config).config
    store = Store(Path(loaded.state.dir), SystemClock())
    args = {"src": "blue", "dst": "green"}
    specs = (
        Spec("ttl", "ttl-lowered", "lower the TTL", "ttl", args),
        Spec("ttl-wait", "ttl-waited", "wait one old TTL", "names", args, deadline=900.0),
    )
    now = SystemClock().wall()
    plan = Plan(RUN, "blue-green", "demo", now, specs, config=loaded.model_dump(mode="json"))
    with store.run(RUN).lock():
        store.run(RUN).begin(plan)
    return store


def record(machines: Machines, ttl: int) -> None:
    """The zone, and in it the name with its TTL of before."""
    port = machines.front.server.server_port
    client = boto3.client(
        "route53",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )
    sets = (
        (f"{DOMAIN}.", "NS", 300, f"ns1.{DOMAIN}."),
        (f"{DOMAIN}.", "SOA", 300, f"ns1.{DOMAIN}. admin.{DOMAIN}. 1 7200 900 1209600 60"),
        (f"{ALIAS}.", "A", ttl, "127.0.61.1"),
    )
    changes = [
        {
            "Action": "UPSERT",
            "ResourceRecordSet": {
                "Name": name,
                "Type": kind,
                "TTL": seconds,
                "ResourceRecords": [{"Value": value}],
            },
        }
        for name, kind, seconds, value in sets
    ]
    client.change_resource_record_sets(HostedZoneId=ZONE, ChangeBatch={"Changes": changes})
