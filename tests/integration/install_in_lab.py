"""Installs versions on hosts of a single lab by hand, from inside it; then one JSON document.

Only the host's port is used, as an upgrade would. `python install_in_lab.py LAB TARBALL SHA512`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from kafkaops.adapters.host_lab import LabHost
from kafkaops.engine.errors import StepFailed
from kafkaops.lab.layout import Layout

KAFKA = "/opt/kafka"
UNIT = "/etc/systemd/system/kafka.service"
WAIT = 120.0


def main(lab: str, tarball: str, sha512: str) -> None:
    settings = Layout.of(lab).settings()
    controller, broker = (
        LabHost(name, settings.host(name).address, lab) for name in ("ctl-1", "blue-2")
    )
    admin = AdminClient({"bootstrap.servers": settings.bootstrap("blue"), "log_level": 0})

    def in_sync() -> bool:
        try:
            topics = admin.list_topics(timeout=5).topics.values()
        except KafkaException:
            return False
        return all(len(p.isrs) == len(p.replicas) for t in topics for p in t.partitions.values())

    found: dict[str, Any] = {"before": versions(broker)}
    for host in (controller, broker):
        host.upload("/var/tmp/kafka.tgz", Path(tarball), sha512=sha512)
        host.unpack("/var/tmp/kafka.tgz", f"{KAFKA}/versions/4.3.1")
        assert host.unit_stop("kafka").stopped_clean
        host.switch(f"{KAFKA}/current", "versions/4.3.1")
        host.unit_start("kafka")
        until(in_sync)
    found["controller"], found["upgraded"] = versions(controller), versions(broker)
    unit = broker.unit("kafka")
    found["unit"] = [unit.file, unit.stale, unit.enabled, unit.stop_timeout]

    broker.unit_stop("kafka")
    broker.switch(f"{KAFKA}/current", "versions/3.9.2")
    found["refused"] = refused(broker)
    broker.unit_start("kafka")
    until(in_sync)
    found["back"] = versions(broker)
    print(json.dumps(found), flush=True)


def versions(host: LabHost) -> list[str]:
    """The versions whose jars the running process holds open."""
    prefix = f"{KAFKA}/versions/"
    files = host.open_files(host.unit("kafka").pid)
    return sorted({f.removeprefix(prefix).split("/")[0] for f in files if f.startswith(prefix)})


def refused(host: LabHost) -> str:
    """What is said of a unit that the lab does not understand; the unit is put back after."""
    written = host.read(UNIT)
    assert written is not None
    host.put(UNIT, written.replace(b"[Service]", b"[Service]\nUser=kafka"))
    try:
        host.unit_start("kafka")
    except StepFailed as error:
        return f"{error.code} {error.message}"
    finally:
        host.put(UNIT, written)
    return "nothing"


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < deadline, f"not all in sync within {WAIT:.0f} s"
        time.sleep(0.3)


if __name__ == "__main__":
    main(*sys.argv[1:])
