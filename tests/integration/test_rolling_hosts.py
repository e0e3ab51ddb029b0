"""Three hosts with real systemd run Kafka as units; under load, kafkaops rolls them to another
version over real sshd and back over SSM, then there over SSM, and back over sshd."""

from __future__ import annotations

import hashlib
import json
import os
import signal
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

import boto3
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from moto.server import ThreadedMotoServer

from kafkaops.lab import kit, release
from kafkaops.lab.broker import kafka_id
from tests.integration.observing import OBSERVER
from tests.integration.real_hosts import ContainerHost, Machines, machines

pytestmark = pytest.mark.lab

OLD, NEW = "3.9.2", "4.3.1"
BUCKET, PARTITIONS = "versions", 6
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


AGENT = "[Service]\nExecStart=/bin/sleep 100000\n"
RUN = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
TIMER = "[Timer]\nOnActiveSec=1h\nOnUnitActiveSec=1h\n"
AGENTS = ("agent.service", "chef.timer", "idle.service")
BEFORE = {"agent.service": "active", "chef.timer": "active", "idle.service": "inactive"}


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


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("fleet")
    old, new = release.pack(OLD, directory), release.pack(NEW, directory)
    jre = directory / "jre.tgz"
    with tarfile.open(jre, "w:gz", compresslevel=1) as tar:
        tar.add(kit.java().resolve().parent.parent, "java")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    with machines(directory, moto=moto.get_host_and_port()) as found:
        made = Fleet(found, directory, old, new)
        cluster = kafka_id()
        for n in range(3):
            install(made, found.local(n), n + 1, cluster, jre)
        for n in range(3):
            found.local(n).unit_start("kafka", timeout=120)
        topic(made)
        yield made
    moto.stop()


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


def test_to_the_new_version_over_ssh_and_back_over_ssm(fleet: Fleet) -> None:
    assert runs(fleet) == [OLD] * 3
    roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0")
    refused = fleet.kafkaops("ssm", *roll, "--plan", expect=4)
    assert refused["error"]["code"] == "KO-VERSION-NOT-SENDABLE"
    plan = fleet.kafkaops("ssh", *roll, "--plan")["plan"]
    assert len([s for s in plan["specs"] if s["kind"] == "gate-open"]) == 3  # combined: one by one
    assert runs(fleet) == [OLD] * 3
    with under_load(fleet):
        done = fleet.kafkaops("ssh", *roll, "--yes")
        assert done["outcome"] == "done"
        assert runs(fleet) == [NEW] * 3
        shown = fleet.kafkaops("ssh", "health")
        assert {h["release"] for h in shown["clusters"][0]["hosts"]} == {NEW}
        back = fleet.kafkaops("ssm", "run", "rollback", "--yes")
    assert back["status"] == "rolled-back"
    assert runs(fleet) == [OLD] * 3


def test_to_the_new_version_over_ssm_and_back_over_ssh(fleet: Fleet) -> None:
    """Each host fetches the tarball itself, by an address that is signed for it."""
    for n in range(3):
        gone = fleet.found.local(n).run(("rm", "-r", f"/opt/kafka/versions/{NEW}"))
        assert gone.code == 0, gone
    keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
    s3 = boto3.client("s3", endpoint_url=fleet.aws, region_name="us-east-1", **keys)
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(fleet.new.path), BUCKET, "kafka.tgz")
    source = f"s3://{BUCKET}/kafka.tgz"
    roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0", "--yes")
    with under_load(fleet):
        done = fleet.kafkaops("ssm", *roll, source=source)
        assert done["outcome"] == "done"
        assert runs(fleet) == [NEW] * 3
        back = fleet.kafkaops("ssh", "run", "rollback", "--yes", source=source)
    assert back["status"] == "rolled-back"
    assert runs(fleet) == [OLD] * 3


@pytest.fixture
def agents(fleet: Fleet) -> Iterator[None]:
    """On each host a service and a timer that run, and a service that does not."""
    for n in range(3):
        host = fleet.found.local(n)
        for name, text in (
            *(("agent.service", AGENT), ("idle.service", AGENT)),
            *(("chef.service", RUN), ("chef.timer", TIMER)),
        ):
            host.put(f"/etc/systemd/system/{name}", text.encode())
        host.units_reload()
        host.run(("systemctl", "start", "agent.service", "chef.timer"))
    fleet.held = {"agents": list(AGENTS), "agents_return": 25}
    assert states(fleet) == [BEFORE] * 3
    yield
    fleet.held = {}


def states(fleet: Fleet) -> list[dict[str, str]]:
    """By systemd itself, host by host."""
    return [one(fleet.found.local(n), AGENTS) for n in range(3)]


def one(host: ContainerHost, units: tuple[str, ...]) -> dict[str, str]:
    shown = host.run(("systemctl", "is-active", *units)).out.split()
    return dict(zip(units, shown, strict=True))


@contextmanager
def watched(fleet: Fleet) -> Iterator[dict[int, list[dict[str, str]]]]:
    """What the agents of each host did while its broker's unit was not active, before and after
    that look."""
    seen: dict[int, list[dict[str, str]]] = {n: [] for n in range(3)}
    over = threading.Event()

    def look(n: int) -> None:
        host = fleet.found.local(n)
        while not over.wait(0.05):
            found = one(host, ("kafka", *AGENTS, "kafka.service"))
            if "active" not in (found.pop("kafka"), found.pop("kafka.service")):
                seen[n].append(found)

    threads = [threading.Thread(target=look, args=(n,), daemon=True) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def test_agents_do_not_run_while_the_broker_is_down_and_do_again_after(
    fleet: Fleet, agents: None
) -> None:
    with watched(fleet) as seen:
        done = fleet.kafkaops("ssm", "restart", "--yes", "--soak", "0")
    assert done["outcome"] == "done"
    assert all(seen.values()), seen
    stopped = dict.fromkeys(AGENTS, "inactive")
    assert [found for looks in seen.values() for found in looks if found != stopped] == []
    assert states(fleet) == [BEFORE] * 3
    assert not any(fleet.found.local(n).agents(AGENTS).armed for n in range(3))


def test_killed_the_host_starts_its_agents_by_itself_and_a_resume_holds_them_anew(
    fleet: Fleet, agents: None
) -> None:
    line = fleet.line("ssh", "restart", "--yes", "--soak", "0")
    carried = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while True:
        down = [n for n in range(3) if fleet.found.local(n).unit("kafka").active != "active"]
        if down:
            break
        assert carried.poll() is None, carried.communicate()[1][-4000:]
        assert time.monotonic() < deadline, "no broker was stopped within 300 s"
        time.sleep(0.1)
    carried.send_signal(signal.SIGKILL)
    carried.wait(30)
    host = fleet.found.local(down[0])
    assert one(host, AGENTS) == dict.fromkeys(AGENTS, "inactive")
    shown = fleet.kafkaops("ssh", "run", "show")
    assert any(host.name in line and "agent.service" in line for line in shown["held"])
    deadline = time.monotonic() + 120
    while one(host, AGENTS) != BEFORE:
        units = host.run(("systemctl", "status", "--no-pager", "kafkaops-agents-*")).out
        assert time.monotonic() < deadline, f"{host.agents(AGENTS)} {units}"
        time.sleep(0.5)
    with watched(fleet) as seen:
        fleet.kafkaops("ssh", "run", "resume", "--yes")
    stopped = dict.fromkeys(AGENTS, "inactive")
    others = [found for n, looks in seen.items() if n != down[0] for found in looks]
    assert others
    assert [found for found in others if found != stopped] == []
    assert states(fleet) == [BEFORE] * 3
    assert fleet.kafkaops("ssh", "health")["held"] == []


def test_only_the_host_whose_unit_was_changed_would_be_restarted(fleet: Fleet) -> None:
    host = fleet.found.local(1)
    pids = [fleet.found.local(n).unit("kafka").pid for n in range(3)]
    host.put("/etc/systemd/system/kafka.service", UNIT.replace("256m", "300m").encode())
    host.units_reload()
    shown = fleet.kafkaops("ssh", "restart", "--changed-config", "--plan", "--soak", "0")
    stopped = [s["args"]["host"] for s in shown["plan"]["specs"] if s["kind"] == "node-stopped"]
    assert stopped == [host.name]
    assert [fleet.found.local(n).unit("kafka").pid for n in range(3)] == pids
