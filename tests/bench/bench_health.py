"""`cluster health` against Kafka's own `kafka-topics --under-replicated-partitions`, both cold, on
2,000 partitions of a real cluster."""

from __future__ import annotations

from typing import Any

from tests.bench.many_partitions import lab_of
from tests.bench.timing import figure, paired

TOPICS = "org.apache.kafka.tools.TopicCommand"


def figures() -> list[dict[str, Any]]:
    with lab_of(20) as lab:
        mine, kafka = paired(
            lab.kafkaops("cluster", "health", "blue"),
            lab.kafka(TOPICS, "--describe", "--under-replicated-partitions"),
            rounds=5,
        )
    return [figure("cluster health, 2,000 partitions, against kafka-topics", mine, "s", kafka)]
