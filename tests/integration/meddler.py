"""Somebody else at work on the cluster: `python meddler.py BOOTSTRAP WHAT [ARG...]`, in the lab.

Not kafkaops: a client of its own. `fill TOPIC NODES MIB`, `move TOPIC NODES RATE`,
`moved TOPIC NODES`, `lonely TOPIC NODE`, `slow RATE|off`; NODES as 1,2,3 and RATE in bytes/s.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient as Confluent
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

PATIENCE = 180.0
LEADER, FOLLOWER = "leader.replication.throttled", "follower.replication.throttled"


class Meddler:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = Confluent({"bootstrap.servers": bootstrap, "log_level": 0})

    def fill(self, topic: str, nodes: str, mib: str) -> None:
        """A topic of one partition on these nodes, with data in it."""
        self._create(topic, [int(n) for n in nodes.split(",")])
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for _ in range(int(mib) * 16):
            producer.produce(topic, b"x" * 65536, partition=0)
            producer.poll(0)
        assert producer.flush(60) == 0

    def move(self, topic: str, nodes: str, rate: str) -> None:
        """Begin a reassignment that lasts."""
        self._throttle(rate, topic)
        self._move(topic, nodes)

    def moved(self, topic: str, nodes: str) -> None:
        """It has come where it was sent."""
        deadline = time.monotonic() + PATIENCE
        wanted = [int(n) for n in nodes.split(",")]
        while self._replicas(topic) != wanted:
            assert time.monotonic() < deadline, f"{self._replicas(topic)}, not {wanted}"
            time.sleep(0.5)

    def lonely(self, topic: str, node: str) -> None:
        self._create(topic, [int(node)])

    def slow(self, rate: str) -> None:
        """Whoever catches up does so at this rate, on every topic of the load."""
        self._throttle("" if rate == "off" else rate, "orders", "payments")

    def _create(self, topic: str, replicas: list[int]) -> None:
        new = NewTopic(topic, num_partitions=1, replica_assignment=[replicas])
        self.admin.create_topics([new])[topic].result(30)

    def _move(self, topic: str, nodes: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))
        wanted = {TopicPartition(topic, 0): [int(n) for n in nodes.split(",")]}
        refused = [str(e) for e in admin.alter_partition_reassignments(wanted).values() if e]
        admin.close()
        assert not refused, refused

    def _replicas(self, topic: str) -> list[int]:
        found = self.admin.list_topics(topic, timeout=10).topics[topic].partitions[0]
        return list(found.replicas)

    def _throttle(self, rate: str, *topics: str) -> None:
        """Off where the rate is empty."""
        every = {(ResourceType.TOPIC, t): "*" if rate else "" for t in topics}
        every |= {
            (ResourceType.BROKER, str(b)): rate for b in self.admin.list_topics(timeout=10).brokers
        }
        for (kind, name), value in every.items():
            ending = "replicas" if kind is ResourceType.TOPIC else "rate"
            change = AlterConfigOpType.SET if value else AlterConfigOpType.DELETE
            keys = (f"{LEADER}.{ending}", f"{FOLLOWER}.{ending}")
            entries = [ConfigEntry(k, value, incremental_operation=change) for k in keys]
            resource = ConfigResource(kind, name, incremental_configs=entries)
            self.admin.incremental_alter_configs([resource])[resource].result(30)


if __name__ == "__main__":
    getattr(Meddler(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
