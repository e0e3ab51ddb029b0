"""`cluster health` against Kafka's own `kafka-topics --under-replicated-partitions`, both cold, on
2,000 partitions of a real cluster."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from kafkaops.lab import kit
from kafkaops.lab.enter import run_inside
from kafkaops.lab.layout import Settings
from kafkaops.lab.up import down, up
from tests.bench.timing import figure, paired

ROOT = Path(__file__).resolve().parents[2]
CREATE = """
from confluent_kafka.admin import AdminClient, NewTopic
admin = AdminClient({"bootstrap.servers": "127.0.1.1:9094"})
made = admin.create_topics([NewTopic(f"t{i}", 100, 3) for i in range(20)])
[future.result() for future in made.values()]
"""


def figures() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        lab = Path(scratch) / "lab"
        up(lab, Settings(), say=lambda line: None)
        try:
            assert run_inside(lab, [sys.executable, "-c", CREATE]).wait(120) == 0
            enter = [sys.executable, "-m", "kafkaops", "lab", "shell", "--dir", str(lab), "--"]
            ours = [
                *enter,
                sys.executable,
                "-m",
                "kafkaops",
                "cluster",
                "health",
                "blue",
                "-c",
                str(ROOT / "configs/lab.yaml"),
                "--set",
                f"lab.dir={lab}",
            ]
            theirs = [
                *enter,
                str(kit.java()),
                "-Xmx256m",
                "-cp",
                kit.classpath("3.9.2"),
                "org.apache.kafka.tools.TopicCommand",
                "--bootstrap-server",
                "127.0.1.1:9094",
                "--describe",
                "--under-replicated-partitions",
            ]
            mine, kafka = paired(ours, theirs, rounds=5)
            return [
                figure("cluster health, 2,000 partitions, against kafka-topics", mine, "s", kafka)
            ]
        finally:
            down(lab, say=lambda line: None)
