"""The load on a real lab: real clients, and a judge that sees what is done to their records."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab import control
from kafkaops.lab.enter import run_inside
from kafkaops.lab.load import fleet
from kafkaops.lab.load.moments import replayed_between, uncommitted_at

pytestmark = pytest.mark.lab

ALWAYS_ZERO = ("lost", "skipped", "duplicated_in_log", "altered", "reordered", "errors", "behind")


def kafkaops(*argv: str) -> Any:
    line = [sys.executable, "-c", "from kafkaops.cli.main import main; main()", *argv, "-o", "json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("load") / "lab"
    kafkaops("lab", "up", "--dir", str(directory))
    try:
        yield directory
    finally:
        kafkaops("lab", "down", "--dir", str(directory))


def load(lab: Path, *argv: str) -> Any:
    return kafkaops("lab", "load", *argv, "--dir", str(lab))


def rows(lab: Path, role: str) -> dict[str, dict[str, Any]]:
    return {r["name"]: r for r in fleet.status(lab) if r["role"] == role}


def start(lab: Path) -> None:
    # A short session: a killed member is missed after 6 s instead of 45.
    load(lab, "start", "--rate", "100", "--client-config", "session.timeout.ms=6000")


def test_undisturbed_all_is_zero_and_hooks_replay_nothing(lab: Path) -> None:
    start(lab)
    time.sleep(5)
    running = fleet.status(lab)
    assert all(r["active"] and r["records"] for r in running), running
    assert {r["kind"] for r in running} >= {
        "librdkafka",
        "java-4.3.1",
        "java-3.9.2",
        "kafka-python",
    }

    began = time.monotonic()
    paused = load(lab, "pause", "orders-*", "p-java4", "p-python")["paused"]
    assert time.monotonic() - began < 40
    assert len(paused) == 6
    stopped = {r["name"]: r for r in fleet.status(lab) if r["name"] in paused}
    assert all(not r["active"] and r["exit_code"] in (0, 143) for r in stopped.values()), stopped
    load(lab, "resume", *paused)
    time.sleep(4)

    assert load(lab, "stop")["drained"]
    report = load(lab, "report")
    total = report["total"]
    assert {k: total[k] for k in ALWAYS_ZERO} == dict.fromkeys(ALWAYS_ZERO, 0)
    assert total["replayed"] == 0
    assert total["commit_failures"] == 0
    assert total["acknowledged"] == total["in_log"] > 2000
    for group in report["groups"].values():
        assert group["received"] == total["acknowledged"]
    # The pause that the hooks made is seen, and whose it was.
    assert report["producers"]["p-python"]["longest_pause_s"] > 0.3
    assert report["producers"]["p-rdkafka"]["acknowledged"] > 500


def test_kill_9_loses_nothing_and_replays_what_was_not_committed(lab: Path) -> None:
    start(lab)
    time.sleep(4)
    for row in fleet.status(lab):
        control.call(lab / "control.sock", "kill", name=f"load/{row['name']}", signal="KILL")
    killed = time.time()
    assert not any(r["active"] for r in fleet.status(lab))
    fleet.resume(lab, ["*"])
    time.sleep(12)
    assert load(lab, "stop")["drained"]

    written = fleet.ledger(lab)
    replayed = {g: replayed_between(written, g, killed, time.time()) for g in written.groups()}
    for group, count in replayed.items():
        # A commit on its way when the kill came may have landed or not.
        least = uncommitted_at(written, group, killed, landed=True)
        assert least <= count <= uncommitted_at(written, group, killed), replayed
    assert sum(replayed.values()) > 0
    total = load(lab, "report")["total"]
    assert {k: total[k] for k in ALWAYS_ZERO} == dict.fromkeys(ALWAYS_ZERO, 0)
    assert total["replayed"] == sum(replayed.values())


def test_the_report_sees_what_is_done_to_the_log(lab: Path) -> None:
    before = load(lab, "report")["total"]
    script = """
        from confluent_kafka import Consumer, Producer, TopicPartition
        from confluent_kafka.admin import AdminClient
        where = {"bootstrap.servers": "127.0.1.1:9094,127.0.1.2:9094,127.0.1.3:9094"}
        reader = Consumer({**where, "group.id": "planter"})
        partition = max(range(6), key=lambda p: reader.get_watermark_offsets(
            TopicPartition("orders", p), 10)[1])
        reader.assign([TopicPartition("orders", partition, 10)])
        message = next(m for m in iter(lambda: reader.poll(5), None) if not m.error())
        producer = Producer(where)
        copy = dict(key=message.key(), partition=partition)
        producer.produce("orders", message.value(), **copy)
        producer.produce("orders", message.value()[:-1] + b"!", **copy)
        producer.flush(10)
        admin = AdminClient(where)
        for future in admin.delete_records([TopicPartition("orders", partition, 7)]).values():
            future.result(10)
    """
    process = run_inside(lab, [sys.executable, "-c", textwrap.dedent(script)])
    assert process.wait(60) == 0
    after = load(lab, "report")["total"]
    changed = {k: after[k] - before[k] for k in (*ALWAYS_ZERO, "replayed")}
    assert {k: v for k, v in changed.items() if v} == {
        "lost": 7,
        "duplicated_in_log": 1,
        "altered": 1,
    }
