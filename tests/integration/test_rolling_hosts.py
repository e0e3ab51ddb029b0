"""Three hosts with real systemd run Kafka as units; kafkaops rolls them to another version over
real sshd, and back over SSM."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from kafkaops.lab import kit, release
from kafkaops.lab.broker import kafka_id
from tests.integration.real_hosts import ContainerHost, Machines, machines

pytestmark = pytest.mark.lab

OLD, NEW = "3.9.2", "4.3.1"
CLIENT, CONTROLLER, REPL = 9092, 9093, 9094
ROOT = Path(__file__).resolve().parents[2]
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
    """Three combined nodes, their addresses, and the tarballs of both versions."""

    found: Machines
    directory: Path
    old: release.Packed
    new: release.Packed

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{address}:{REPL}" for address in self.found.addresses)

    def config(self, via: str) -> Path:
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
            "aws": {"endpoint_url": f"http://127.0.0.1:{self.found.front.server.server_port}"},
            "versions": {NEW: {"source": str(self.new.path), "sha512": self.new.sha512}},
            "blue": {
                "name": "fleet-blue",
                "bootstrap": self.bootstrap.split(","),
                "properties": "/etc/kafka/server.properties",
                "install": {"directory": "/opt/kafka", "owner": "kafka:kafka"},
                "hosts": hosts,
            },
        }
        path = self.directory / f"{via}.yaml"
        path.write_text(json.dumps(document))  # JSON is YAML
        return path

    def kafkaops(self, via: str, *argv: str, expect: int = 0) -> dict[str, Any]:
        line = [sys.executable, "-m", "kafkaops", *argv, "-c", str(self.config(via)), "-o", "json"]
        keys = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
        ended = subprocess.run(
            line, capture_output=True, text=True, timeout=900, check=False, env=os.environ | keys
        )
        assert ended.returncode == expect, f"{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
        document: dict[str, Any] = json.loads(ended.stdout)
        return document


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("fleet")
    old, new = release.pack(OLD, directory), release.pack(NEW, directory)
    jre = directory / "jre.tgz"
    with tarfile.open(jre, "w:gz", compresslevel=1) as tar:
        tar.add(kit.java().resolve().parent.parent, "java")
    with machines(directory) as found:
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
    admin.create_topics([NewTopic("orders", 6, 3)])["orders"].result(60)
    producer = Producer({"bootstrap.servers": fleet.bootstrap, "acks": "all"})
    for number in range(1000):
        producer.produce("orders", str(number).encode())
    assert producer.flush(60) == 0


def end_offsets(fleet: Fleet) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": fleet.bootstrap, "group.id": "count"})
    try:
        places = [TopicPartition("orders", n) for n in range(6)]
        return sum(consumer.get_watermark_offsets(p, timeout=30)[1] for p in places)
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


def test_to_the_new_version_over_ssh_and_back_over_ssm(fleet: Fleet) -> None:
    assert runs(fleet) == [OLD] * 3
    roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0")
    refused = fleet.kafkaops("ssm", *roll, "--plan", expect=4)
    assert refused["error"]["code"] == "KO-VERSION-NOT-SENDABLE"
    plan = fleet.kafkaops("ssh", *roll, "--plan")["plan"]
    assert len([s for s in plan["specs"] if s["kind"] == "gate-open"]) == 3  # combined: one by one
    assert runs(fleet) == [OLD] * 3
    done = fleet.kafkaops("ssh", *roll, "--yes")
    assert done["outcome"] == "done"
    assert runs(fleet) == [NEW] * 3
    shown = fleet.kafkaops("ssh", "health")
    assert {h["release"] for h in shown["clusters"][0]["hosts"]} == {NEW}
    back = fleet.kafkaops("ssm", "run", "rollback", "--yes")
    assert back["status"] == "rolled-back"
    assert runs(fleet) == [OLD] * 3
    assert end_offsets(fleet) == 1000


def test_only_the_host_whose_unit_was_changed_would_be_restarted(fleet: Fleet) -> None:
    host = fleet.found.local(1)
    pids = [fleet.found.local(n).unit("kafka").pid for n in range(3)]
    host.put("/etc/systemd/system/kafka.service", UNIT.replace("256m", "300m").encode())
    host.units_reload()
    shown = fleet.kafkaops("ssh", "restart", "--changed-config", "--plan", "--soak", "0")
    stopped = [s["args"]["host"] for s in shown["plan"]["specs"] if s["kind"] == "node-stopped"]
    assert stopped == [host.name]
    assert [fleet.found.local(n).unit("kafka").pid for n in range(3)] == pids
