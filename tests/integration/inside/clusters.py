"""`KafkaCluster` of a lab's blue (3.9) and green (4.x), three brokers each: a pytest plugin."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from kafkaops.adapters.kafka_cluster import KafkaCluster
from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.model.cluster import Acl, Quota
from kafkaops.model.partition import TopicPartition

NET = {"blue": 1, "green": 2}
NODES = (1, 2, 3)
SPREAD = {p: [(p + i) % 3 + 1 for i in range(3)] for p in range(6)}


def spec(colour: str, *bootstrap: str, **more: object) -> ClusterSpec:
    addresses = {n: f"127.0.{NET[colour]}.{n}" for n in NODES}
    return ClusterSpec.model_validate(
        {
            "name": colour,
            "bootstrap": bootstrap or tuple(f"{a}:9094" for a in addresses.values()),
            "hosts": [
                HostSpec(name=f"{colour}-{n}", node_id=n, address=a) for n, a in addresses.items()
            ],
            **more,
        }
    )


@pytest.fixture(scope="module")
def clusters() -> Iterator[dict[str, KafkaCluster]]:
    found = {colour: KafkaCluster(spec(colour)) for colour in NET}
    yield found
    for cluster in found.values():
        cluster.close()


@pytest.fixture(params=["blue", "green"])
def cluster(request: pytest.FixtureRequest, clusters: dict[str, KafkaCluster]) -> KafkaCluster:
    return clusters[request.param]


@pytest.fixture
def topic(cluster: KafkaCluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.create_topic(name, SPREAD, {"retention.ms": "86400000"})
    yield name
    cluster.delete_topics([name])


def parts(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, p) for p in SPREAD]


def eventually(what: str, ok: object) -> None:
    deadline = time.monotonic() + 30
    while not ok():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def client(cluster: KafkaCluster, **more: object) -> dict[str, object]:
    return {"bootstrap.servers": f"127.0.{NET[cluster.name]}.1:9094", "log_level": 0, **more}


ACLS = tuple(
    Acl(kind, name, pattern, "User:a", "10.0.0.1", operation, permission)
    for kind, name, operation in (
        ("TOPIC", "pay", "WRITE"),
        ("GROUP", "pay", "READ"),
        ("TRANSACTIONAL_ID", "pay", "DESCRIBE"),
        ("CLUSTER", "kafka-cluster", "IDEMPOTENT_WRITE"),
    )
    for pattern in (("LITERAL", "PREFIXED") if kind != "CLUSTER" else ("LITERAL",))
    for permission in ("ALLOW", "DENY")
)
QUOTAS = (
    Quota((("client-id", "c"), ("user", None)), (("producer_byte_rate", 1e6),)),
    Quota((("user", "u"),), (("consumer_byte_rate", 2e6), ("request_percentage", 50.0))),
    Quota((("ip", "127.0.0.9"),), (("connection_creation_rate", 10.0),)),
)
