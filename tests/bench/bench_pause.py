"""The pause of a whole move with 20,000 and with 2,000,000 records in the clusters: the same, for
everything slow was done before it began."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from kafkaops.lab.enter import run_inside
from kafkaops.lab.layout import Settings
from kafkaops.lab.up import down, up
from tests.bench.timing import figure

ROOT = Path(__file__).resolve().parents[2]
FILL = """
import sys
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
servers = {"bootstrap.servers": "127.0.1.1:9094"}
admin = AdminClient(servers)  # kept: its answers end with it
admin.create_topics([NewTopic("filled", 12, 3)])["filled"].result()
producer = Producer({**servers, "linger.ms": 50, "batch.num.messages": 10000,
                     "queue.buffering.max.messages": 1000000})
for number in range(int(sys.argv[1])):
    while True:
        try:
            producer.produce("filled", b"%0200d" % number, partition=number % 12)
            break
        except BufferError:
            producer.poll(0.1)
producer.flush(300)
"""


def figures() -> list[dict[str, Any]]:
    small, large = move(20_000), move(2_000_000)
    return [
        figure(f"{name}, 2,000,000 records against 20,000", large[name], "s", small[name])
        for name in small
    ]


def move(records: int) -> dict[str, float]:
    """One move under load on a lab of its own: the tool's pause and the clients' longest."""
    with tempfile.TemporaryDirectory() as scratch:
        lab = Path(scratch) / "lab"
        config = ["-c", str(ROOT / "configs/lab.yaml"), "--set", f"lab.dir={lab}"]
        config += ["--set", f"state.dir={scratch}/state"]
        up(lab, Settings(), say=lambda line: None)
        try:
            assert run_inside(lab, [sys.executable, "-c", FILL, str(records)]).wait(600) == 0
            kafkaops("lab", "load", "start", "--rate", "50", "--dir", str(lab))
            kafkaops("upgrade", "--strategy", "blue-green", "--yes", *config)
            kafkaops("lab", "load", "stop", "--dir", str(lab))
            proof = json.loads(kafkaops("run", "report", "-o", "json", *config))
            ledger = json.loads(
                kafkaops(
                    "lab", "load", "report", "--cluster", "green", "-o", "json", "--dir", str(lab)
                )
            )
            return {
                "fence to unfence": float(proof["moves"][0]["pause"]["total"]),
                "longest producer pause": float(ledger["total"]["longest_producer_pause_s"]),
            }
        finally:
            down(lab, say=lambda line: None)


def kafkaops(*argv: str) -> str:
    line = [sys.executable, "-m", "kafkaops", *argv]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
