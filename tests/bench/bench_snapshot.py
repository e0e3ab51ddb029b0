"""`cluster snapshot` of 5,000 partitions of a real cluster: everything that planners read, against
Kafka's own `kafka-topics --describe`, which reads the replicas and the topics' configs alone."""

from __future__ import annotations

from typing import Any

from tests.bench.bench_health import TOPICS
from tests.bench.many_partitions import lab_of
from tests.bench.timing import figure, paired


def figures() -> list[dict[str, Any]]:
    with lab_of(50) as lab:
        saved = str(lab.scratch / "blue.json")
        mine, kafka = paired(
            lab.kafkaops("cluster", "snapshot", "blue", "--out", saved),
            lab.kafka(TOPICS, "--describe"),
            rounds=3,
        )
    return [figure("cluster snapshot, 5,000 partitions, against kafka-topics", mine, "s", kafka)]
