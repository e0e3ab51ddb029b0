"""Elects every leader of the load anew, ROUNDS times: `python elector.py BOOTSTRAP ROUNDS`.

Not kafkaops: a client of its own, run inside the lab.
"""

from __future__ import annotations

import sys
import time

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

TOPICS = ("orders", "payments")


def main(bootstrap: str, rounds: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    order = {
        TopicPartition(topic["name"], p["partition_index"]): list(p["replica_nodes"])
        for topic in admin.describe_topics(list(TOPICS))
        for p in topic["partitions"]
    }
    places: dict[str, list[int]] = {}
    for tp in order:
        places.setdefault(tp.topic, []).append(tp.partition)
    for _ in range(rounds):
        order = {tp: replicas[1:] + replicas[:1] for tp, replicas in order.items()}
        refused = [str(e) for e in admin.alter_partition_reassignments(order).values() if e]
        assert not refused, refused
        admin.elect_leaders(0, places, raise_errors=False)
        time.sleep(0.15)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
