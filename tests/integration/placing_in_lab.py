"""What a cluster holds, as a client sees it that is not kafkaops; run inside the lab.

`python placing_in_lab.py BOOTSTRAP make JSON` (topic to rows of replicas and MiB a partition),
`... throttle JSON` (`broker 1` or `topic t` to configs), `... look`, and `... moving` (waits until
some partition waits for a new replica).
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

PATIENCE = 60.0
OWN = (ConfigSource.DYNAMIC_BROKER_CONFIG.value, ConfigSource.DYNAMIC_TOPIC_CONFIG.value)


class Client:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def make(self, text: str) -> None:
        wanted: dict[str, dict[str, Any]] = json.loads(text)
        new = [
            NewTopic(t, num_partitions=len(w["rows"]), replica_assignment=w["rows"])
            for t, w in wanted.items()
        ]
        for future in self.admin.create_topics(new).values():
            future.result(30)
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for topic, w in wanted.items():
            for partition in range(len(w["rows"])):
                for _ in range(int(w["mib"]) * 16):
                    producer.produce(topic, b"x" * 65536, partition=partition)
                    producer.poll(0)
        assert producer.flush(120) == 0

    def throttle(self, text: str) -> None:
        for where, values in json.loads(text).items():
            kind, _, name = where.partition(" ")
            entries = [
                ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET)
                for k, v in values.items()
            ]
            of = ResourceType.BROKER if kind == "broker" else ResourceType.TOPIC
            resource = ConfigResource(of, name, incremental_configs=entries)
            self.admin.incremental_alter_configs([resource])[resource].result(30)

    def look(self) -> None:
        found = self.admin.list_topics(timeout=10)
        topics = {n: t.partitions for n, t in found.topics.items()}
        each = [[ConfigResource(ResourceType.BROKER, str(b))] for b in found.brokers]
        each.append([ConfigResource(ResourceType.TOPIC, name) for name in topics])
        throttles: dict[str, str] = {}
        futures = [pair for of in each for pair in self.admin.describe_configs(of).items()]
        for resource, future in futures:  # librdkafka takes one broker a call
            kind = "broker" if resource.restype is ResourceType.BROKER else "topic"
            for name, entry in future.result(30).items():
                if ("throttled" in name or "alter.log.dirs.io" in name) and entry.source in OWN:
                    throttles[f"{kind} {resource.name} {name}"] = entry.value
        seen = {
            "assignment": {
                n: [list(p.replicas) for _, p in sorted(parts.items())]
                for n, parts in topics.items()
            },
            "leaders": {n: [p.leader for _, p in sorted(t.items())] for n, t in topics.items()},
            "isr": {n: [sorted(p.isrs) for _, p in sorted(t.items())] for n, t in topics.items()},
            "throttles": throttles,
        }
        print(json.dumps(seen), flush=True)

    def moving(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for topic in self.admin.list_topics(timeout=10).topics.values():
                if any(len(p.isrs) < len(p.replicas) for p in topic.partitions.values()):
                    return
            time.sleep(0.1)
        raise SystemExit("nothing began to move")


if __name__ == "__main__":
    getattr(Client(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
