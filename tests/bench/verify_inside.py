"""What `bench_verify` runs inside the lab: filling both clusters alike, and one comparison."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.producer import ProduceRequest

from kafkaops.adapters.raw_log import RawLog
from kafkaops.adapters.verification import LogVerification
from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.engine.clock import SystemClock
from kafkaops.model.partition import TopicPartition
from kafkaops.verify.compare import verify_clusters

SERVERS = {"blue": "127.0.1.1:9094", "green": "127.0.2.1:9094"}
PARTITIONS = 12
SIZE = 200  # bytes of a value


def reader(colour: str) -> RawLog:
    server = SERVERS[colour]
    host = HostSpec(name=colour, address=server.split(":")[0])
    return RawLog(ClusterSpec(name=colour, bootstrap=(server,), hosts=(host,)))


def values() -> list[bytes]:
    """Text-like values that compress about as JSON does."""
    seed = random.Random(7)
    words = [bytes(seed.choices(b"abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(2000)]
    return [b" ".join(seed.choices(words, k=40))[:SIZE] for _ in range(20_000)]


def fill(topic: str, count: int, codec: str) -> None:
    """`count` records over all partitions of blue by librdkafka, then its batches, as they are,
    to green."""
    for server in SERVERS.values():
        admin = AdminClient({"bootstrap.servers": server})
        [future] = admin.create_topics([NewTopic(topic, PARTITIONS)]).values()
        future.result(60)
    made = Producer(
        {
            "bootstrap.servers": SERVERS["blue"],
            "compression.type": codec,
            "linger.ms": 20,
            "batch.size": 65536,
            "queue.buffering.max.messages": 500_000,
        }
    )
    pool = values()
    for i in range(count):
        while True:
            try:
                made.produce(topic, pool[i % len(pool)], b"%d" % i, i % PARTITIONS)
                break
            except BufferError:
                made.poll(0.1)
        if i % 20_000 == 0:
            made.poll(0)
    assert made.flush(120) == 0
    carry(topic)


def carry(topic: str) -> None:
    """Blue's batches to green without taking them apart."""
    net = NetworkSelector(client_id="carry", slow_task_threshold_secs=0)
    manager = KafkaConnectionManager(net, bootstrap_servers=[SERVERS["green"]])
    manager.bootstrap(timeout_ms=20_000)
    log = reader("blue")
    tps = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    ends = {tp: e.stable for tp, e in log.bounds(tps).items()}
    at = dict.fromkeys(tps, 0)
    while any(at[tp] < ends[tp] for tp in tps):
        for chunk in log.fetch(
            {tp: o for tp, o in at.items() if o < ends[tp]}, max_wait=0.5, max_bytes=8 << 20
        ):
            for batch, after in whole(bytes(chunk.data)):
                answer = net.run(manager.send, produce(chunk.tp, batch), 1)
                code = answer.responses[0].partition_responses[0].error_code
                assert code == 0, f"green refused a batch of {chunk.tp}: error {code}"
                at[chunk.tp] = after
    log.close()
    manager.close()
    net.close()


def whole(data: bytes) -> list[tuple[bytes, int]]:
    found, start = [], 0
    while start + 61 <= len(data):
        size = 12 + int.from_bytes(data[start + 8 : start + 12], "big")
        if start + size > len(data):
            break
        batch = data[start : start + size]
        after = int.from_bytes(batch[:8], "big") + int.from_bytes(batch[23:27], "big") + 1
        found.append((bytes(8) + batch[8:], after))  # a producer's batches begin at 0
        start += size
    return found


def produce(tp: TopicPartition, batch: bytes) -> Any:
    topic = ProduceRequest.TopicProduceData
    part = topic.PartitionProduceData
    return ProduceRequest(
        transactional_id=None,
        acks=1,
        timeout_ms=30_000,
        topic_data=[topic(name=tp.topic, partition_data=[part(index=tp.partition, records=batch)])],
        max_version=9,
    )


def compare(topic: str) -> dict[str, Any]:
    blue, green = reader("blue"), reader("green")
    result = verify_clusters(blue, green, {topic: (PARTITIONS, False)}, SystemClock())
    assert result.equal, result.differences[:3]
    blue.close()
    green.close()
    return {"records": result.records, "seconds": result.seconds}


def seal(topic: str) -> float:
    """Median seconds of sealing 1,000 new records over 20 partitions, followed until then."""
    partitions, turns = 20, 5
    for server in SERVERS.values():
        admin = AdminClient({"bootstrap.servers": server})
        [future] = admin.create_topics([NewTopic(topic, partitions)]).values()
        future.result(60)
    made = [
        Producer({"bootstrap.servers": server, "enable.idempotence": True, "linger.ms": 50})
        for server in SERVERS.values()
    ]
    blue, green = reader("blue"), reader("green")
    tps = [TopicPartition(topic, p) for p in range(partitions)]
    took: list[float] = []
    now = int(time.time() * 1000)
    with tempfile.TemporaryDirectory() as scratch:
        followed = LogVerification(
            blue, green, lambda: {topic: (partitions, False)}, Path(scratch), SystemClock()
        )
        followed.start()
        for turn in range(turns + 1):
            for each in made:  # blue first: what green alone has is a difference
                for i in range(1000):
                    each.produce(topic, b"%d %d" % (turn, i), b"k", i % 20, timestamp=now + turn)
                assert each.flush(60) == 0
            ends = {tp: e.stable for tp, e in blue.bounds(tps).items()}
            begun = time.perf_counter()
            followed.seal(ends, timeout=30)
            took.append(time.perf_counter() - begun)
        followed.stop()
    return statistics.median(took[1:])  # the first one loads the kernels


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == "seal":
        print(seal(sys.argv[2]))
    else:
        print(json.dumps(compare(sys.argv[2])))
