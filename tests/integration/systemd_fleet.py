"""Three hosts with real systemd that run Kafka as units: how they are laid out, what they run, and
the load that judges what is done to them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafkaops.lab import kit, release
from kafkaops.lab.broker import kafka_id
from tests.integration.observing import OBSERVER
from tests.integration.real_hosts import ContainerHost, Machines, machines
from tests.unit.adapters.aws_lab import moto_port

OLD, NEW = "3.9.2", "4.3.1"
PARTITIONS = 6
CLIENT, CONTROLLER, REPL = 9092, 9093, 9094
UNIT = """\
[Unit]
Description=Apache Kafka
[Service]
User=kafka
Environment=JAVA_HOME=/opt/java
Environment="KAFKA_HEAP_OPTS=-Xmx256m"
Environment="KAFKA_JVM_PERFORMANCE_OPTS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
ExecStart=/opt/kafka/current/bin/kafka-server-start.sh /etc/kafka/server.properties
SuccessExitStatus=143
TimeoutStopSec=330
[Install]
WantedBy=multi-user.target
"""


@dataclass
class Fleet:
    """Three combined nodes, their addresses, and the tarballs of both versions; the new one lies
    here, and for hosts over SSM in S3. `held` is the `fleet` of the config."""

    found: Machines
    directory: Path
    old: release.Packed
    new: release.Packed
    held: dict[str, Any] = field(default_factory=dict)

    @property
    def aws(self) -> str:
        return f"http://127.0.0.1:{self.found.front.server.server_port}"

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{address}:{REPL}" for address in self.found.addresses)

    def config(self, via: str, source: str) -> Path:
        target = {"ssh": "ops@{1}", "ssm": "i-{0}"}[via]
        hosts = [
            {
                "name": name,
                "node_id": n + 1,
                "address": address,
                "via": via,
                "target": target.format(n, address),
            }
            for n, (name, address) in enumerate(
                zip(self.found.names, self.found.addresses, strict=True)
            )
        ]
        document = {
            "schema_version": 1,
            "name": "fleet",
            "state": {"dir": str(self.directory / "state"), "lease": "file"},
            "ssh": {"config_file": str(self.found.ssh_config)},
            "aws": {"endpoint_url": self.aws},
            "versions": {NEW: {"source": source, "sha512": self.new.sha512}},
            "blue": {
                "name": "fleet-blue",
                "bootstrap": self.bootstrap.split(","),
                "properties": "/etc/kafka/server.properties",
                "install": {"directory": "/opt/kafka", "owner": "kafka:kafka"},
                "hosts": hosts,
                "fleet": self.held,
            },
        }
        path = self.directory / f"{via}.yaml"
        path.write_text(json.dumps(document))  # JSON is YAML
        return path

    def line(self, via: str, *argv: str, source: str = "") -> list[str]:
        config = self.config(via, source or str(self.new.path))
        return [sys.executable, "-m", "kafkaops", *argv, "-c", str(config), "-o", "json"]

    def kafkaops(self, via: str, *argv: str, expect: int = 0, source: str = "") -> dict[str, Any]:
        line = self.line(via, *argv, source=source)
        keys = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
        ended = subprocess.run(
            line, capture_output=True, text=True, timeout=900, check=False, env=os.environ | keys
        )
        assert ended.returncode == expect, f"{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
        document: dict[str, Any] = json.loads(ended.stdout)
        return document


@contextmanager
def running(directory: Path) -> Iterator[Fleet]:
    """Three hosts with the old version installed and running, and a topic."""
    old, new = release.pack(OLD, directory), release.pack(NEW, directory)
    jre = directory / "jre.tgz"
    with tarfile.open(jre, "w:gz", compresslevel=1) as tar:
        tar.add(kit.java().resolve().parent.parent, "java")
    with moto_port() as port, machines(directory, moto=("127.0.0.1", port)) as found:
        made = Fleet(found, directory, old, new)
        cluster = kafka_id()
        for n in range(3):
            install(made, found.local(n), n + 1, cluster, jre)
        for n in range(3):
            found.local(n).unit_start("kafka", timeout=120)
        topic(made)
        yield made


def install(fleet: Fleet, host: ContainerHost, node: int, cluster: str, jre: Path) -> None:
    """As an operator lays a host out once."""
    host.run(("useradd", "--system", "kafka"))
    digest = hashlib.sha512(jre.read_bytes()).hexdigest()
    host.upload("/opt/jre.tgz", jre, sha512=digest)
    host.unpack("/opt/jre.tgz", "/opt/java")
    host.upload("/opt/old.tgz", fleet.old.path, sha512=fleet.old.sha512)
    host.unpack("/opt/old.tgz", f"/opt/kafka/versions/{OLD}", owner="kafka:kafka")
    host.switch("/opt/kafka/current", f"versions/{OLD}")
    host.put("/etc/kafka/server.properties", properties(fleet, node).encode())
    line = "java -cp '/opt/kafka/current/libs/*' kafka.tools.StorageTool format"
    script = f"/opt/java/bin/{line} -t {cluster} -c /etc/kafka/server.properties"
    made = host.run(
        ("sh", "-c", f"mkdir -p /data && {script} && chown -R kafka:kafka /data"), timeout=120
    )
    assert made.code == 0, made
    host.put("/etc/systemd/system/kafka.service", UNIT.encode())
    host.units_reload()


def properties(fleet: Fleet, node: int) -> str:
    addresses = fleet.found.addresses
    mine = addresses[node - 1]
    voters = ",".join(f"{n}@{address}:{CONTROLLER}" for n, address in enumerate(addresses, 1))
    values = {
        "process.roles": "broker,controller",
        "node.id": node,
        "broker.rack": f"r{node}",
        "controller.quorum.voters": voters,
        "listeners": f"CLIENT://{mine}:{CLIENT},REPL://{mine}:{REPL},CONTROLLER://{mine}:{CONTROLLER}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,REPL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "REPL",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": "/data",
        "min.insync.replicas": 2,
        "default.replication.factor": 3,
        "offsets.topic.num.partitions": 3,
        "log.cleaner.dedupe.buffer.size": 2097152,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def topic(fleet: Fleet) -> None:
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap, "log_level": 0})
    deadline = time.monotonic() + 120
    while True:
        try:
            if len(admin.list_topics(timeout=5).brokers) == 3:
                break
        except KafkaException:
            pass
        assert time.monotonic() < deadline, "the brokers found no quorum"
        time.sleep(0.5)
    admin.create_topics([NewTopic("orders", PARTITIONS, 3)])["orders"].result(60)


@contextmanager
def under_load(fleet: Fleet) -> Iterator[None]:
    """A producer with acks=all all the while, whose every acknowledged record is in the log once
    at the end, and an observer that sees no partition below its min ISR."""
    config = {"bootstrap.servers": fleet.bootstrap, "enable.idempotence": True, "log_level": 0}
    producer, over = Producer(config), threading.Event()
    acknowledged: list[bytes] = []
    failed: list[str] = []

    def noted(error: Any, message: Any) -> None:
        failed.append(str(error)) if error else acknowledged.append(message.value())

    def produce() -> None:
        while not over.wait(0.02):
            producer.produce("orders", str(time.time_ns()).encode(), on_delivery=noted)
            producer.poll(0)

    before = len(records(fleet))
    watching = subprocess.Popen(
        [sys.executable, str(OBSERVER), fleet.bootstrap, "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    producing = threading.Thread(target=produce, daemon=True)
    producing.start()
    try:
        yield
    finally:
        over.set()
        producing.join(30)
        unsent = producer.flush(60)
        told, _ = watching.communicate("\n", timeout=60)
    seen, held = json.loads(told), records(fleet)
    assert (unsent, failed) == (0, [])
    assert len(acknowledged) > 500
    assert len(held) == before + len(acknowledged), "not each acknowledged record is there once"
    assert set(acknowledged) <= set(held)
    assert (seen["below"], seen["samples"] > 50) == ([], True), seen


def records(fleet: Fleet) -> list[bytes]:
    """All values of the topic, by a reader of its own."""
    consumer = Consumer({"bootstrap.servers": fleet.bootstrap, "group.id": "reader"})
    try:
        places = [TopicPartition("orders", n, 0) for n in range(PARTITIONS)]
        total = sum(consumer.get_watermark_offsets(p, timeout=30)[1] for p in places)
        consumer.assign(places)
        found: list[bytes] = []
        deadline = time.monotonic() + 60
        while len(found) < total:
            assert time.monotonic() < deadline, f"{len(found)} of {total} records read in 60 s"
            found += [m.value() or b"" for m in consumer.consume(1000, 1.0) if not m.error()]
        return found
    finally:
        consumer.close()


def runs(fleet: Fleet) -> list[str]:
    """By the real /proc of each host."""
    return [
        next(
            name.rpartition("-")[2].removesuffix(".jar")
            for name in host.open_files(host.unit("kafka").pid)
            if "/kafka-clients-" in name
        )
        for host in (fleet.found.local(n) for n in range(3))
    ]
