"""Watches a cluster's ISRs from inside the lab until its stdin ends; then one JSON document.

Not kafkaops: a client of its own. `python isr_observer.py BOOTSTRAP MIN_ISR`.
"""

from __future__ import annotations

import json
import select
import sys

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

EVERY = 0.2


def main(bootstrap: str, minimum: int) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    samples, failed, smallest = 0, 0, 99
    below: list[str] = []
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        try:
            found = client.list_topics(timeout=5)
        except KafkaException:
            failed += 1
            continue
        samples += 1
        for name, topic in found.topics.items():
            for part in topic.partitions.values():
                if len(part.replicas) > minimum:
                    smallest = min(smallest, len(part.isrs))
                    if len(part.isrs) < minimum:
                        below.append(f"{name}-{part.id}: {part.isrs}")
    seen = {"samples": samples, "failed": failed, "smallest": smallest, "below": below[:20]}
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
