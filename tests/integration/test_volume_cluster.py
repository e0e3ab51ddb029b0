"""Encrypted volumes of a cluster from the operator's machine, over real sshd: a real broker on
two of them in a virtual machine, two brokers beside it; installed, prepared, keyed anew, rebooted,
closed under a restart, and made anew by the renewal roll. Nothing acknowledged is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from kafkaops.volumes.module import COMMAND
from tests.integration import broker_vm
from tests.integration.broker_site import Site, site
from tests.integration.broker_vm import DIRS, must
from tests.integration.real_vm import image_or_skip

pytestmark = [pytest.mark.lab, pytest.mark.soak]

BLUE = ("--cluster", "blue")
VM = ("--only", "vm-1")
MODULE = "/opt/kafkaops/current"
DROP_IN = "/etc/systemd/system/kafka.service.d/90-test.conf"
CLOSES = f"[Service]\nExecStopPost=+{COMMAND} volume close data-2\n"


def test_a_cluster_with_a_broker_on_encrypted_volumes(tmp_path: Path) -> None:
    with site(image_or_skip(), tmp_path) as found:
        try:
            installed_and_prepared(found)
            started(found)
            keyed_anew(found)
            rebooted(found)
            closed_under_a_restart(found)
            made_anew(found)
            assert broker_vm.consume(1) == set(range(250)), "what was acknowledged is there"
        finally:
            print("\n".join(found.told))
            print(found.figures)


def installed_and_prepared(site: Site) -> None:
    site.kafkaops("volume", "install", *BLUE, "--yes")
    assert must(site.vm, "readlink", MODULE).startswith("kafkaops-")
    assert must(site.vm, "stat", "-c", "%a", "/etc/kafkaops/volumes.json") == "600\n"
    for unit in ("kafkaops-volume@data-1", "kafkaops-volume@data-2"):
        assert must(site.vm, "systemctl", "is-enabled", unit) == "enabled\n"
    site.kafkaops("volume", "install", *BLUE, "--yes")  # again: it finds all there
    assert "blank" in site.kafkaops("volume", "status", *BLUE, "--check", expect=5)
    site.kafkaops("volume", "prepare", *BLUE, "--yes")
    site.kafkaops("volume", "status", *BLUE, "--check")


def started(site: Site) -> None:
    """On the meta.properties that `prepare` wrote; with records, read again from the leaders."""
    must(site.vm, "systemctl", "start", "kafka")
    site.broker_up()
    broker_vm.make_topic()
    site.synced()
    broker_vm.produce(0, 200)
    assert broker_vm.consume(1) == set(range(200))
    held = must(site.vm, "sh", "-c", f"ls -d {DIRS[0]}/orders-* {DIRS[1]}/orders-*").split()
    assert {Path(path).parent for path in held} == {Path(home) for home in DIRS}


def keyed_anew(site: Site) -> None:
    """While Kafka runs."""
    pid = site.host.unit("kafka").pid
    before = keys(site)
    site.kafkaops("volume", "rotate", *BLUE, "--yes")
    after = keys(site)
    assert all(before[name] != after[name] for name in before)
    site.kafkaops("volume", "rewrap", *BLUE, "--yes")
    site.kafkaops("volume", "header-backup", *BLUE, "--yes")
    listed = site.aws.client("s3").list_objects_v2(Bucket="keys")["Contents"]
    assert len([o for o in listed if "/header-" in o["Key"]]) == len(DIRS)
    site.kafkaops("volume", "status", *BLUE, "--check")
    assert site.host.unit("kafka").pid == pid
    broker_vm.produce(200, 50)


def keys(site: Site) -> dict[str, str]:
    _, out, err = site.host.command((COMMAND, "volume", "status", "--local", "-o", "json"))
    rows = json.loads(out or err)["volumes"]
    return {row["volume"]: row["key_id"] for row in rows}


def rebooted(site: Site) -> None:
    begun = time.monotonic()
    site.vm.reboot()
    site.timed("reboot until commands", begun)
    site.broker_up()
    site.timed("reboot until the broker is up", begun)
    site.synced()
    assert broker_vm.consume(1) == set(range(250))
    site.kafkaops("volume", "status", *BLUE, "--check")


def closed_under_a_restart(site: Site) -> None:
    """Kafka is not started while one volume is closed; the run waits, and goes on once it is."""
    must(site.vm, "tee", DROP_IN, stdin=CLOSES.encode())
    must(site.vm, "systemctl", "daemon-reload")
    with site.going("restart", *VM, "--soak", "0", "--yes") as run:
        run.says("KO-VOLUME-NOT-MOUNTED", 600)
        assert not site.host.unit("kafka").running
        must(site.vm, "rm", DROP_IN)
        must(site.vm, "systemctl", "daemon-reload")
        must(site.vm, COMMAND, "volume", "mount", "data-2")
        run.ends(1200)
    assert broker_vm.consume(1) == set(range(250))


def made_anew(site: Site) -> None:
    """The renewal roll: erased, and all of it replicated again from the others."""
    before = keys(site)
    uuids = must(site.vm, "blkid", "-s", "UUID", "-o", "value", *(d.path for d in site.vm.disks))
    site.kafkaops("volume", "rotate", *BLUE, "--volume-key", *VM, "--plan")
    site.kafkaops("volume", "rotate", *BLUE, "--volume-key", *VM, "--yes", expect=2)
    site.kafkaops("volume", "rotate", *BLUE, "--volume-key", *VM, "--confirm", "vm")
    after = keys(site)
    assert all(before[name] != after[name] for name in before)
    now = must(site.vm, "blkid", "-s", "UUID", "-o", "value", *(d.path for d in site.vm.disks))
    assert not set(uuids.split()) & set(now.split())
    site.synced()
    assert broker_vm.consume(1) == set(range(250))
    site.kafkaops("volume", "status", *BLUE, "--check")
