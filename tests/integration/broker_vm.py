"""A cluster of three brokers of which one runs in a virtual machine, as a systemd unit on two
encrypted volumes; the other two are processes of this machine, one of them the controller too.

All of them have addresses of this machine's loopback. The machine's own is a port that leads in;
what it sends to the others leaves it by its network, which opens the same address here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafkaops.lab import archive, broker, kit
from kafkaops.lab.vm.machine import ADDRESS, GATEWAY, Extras, Forward, Machine

VERSION = "4.3.1"
NODES = {1: "127.0.7.1", 2: "127.0.7.2", 3: "127.0.7.3"}
AWS = "127.0.7.9"
CLIENT, CONTROLLER, REPL, SSH = 9092, 9093, 9094, 2222
KIT = "/opt/kit"
DIRS = ("/var/lib/kafka/data-1", "/var/lib/kafka/data-2")
TOPIC, PARTITIONS = "orders", 4
# More specific than the loopback's own route: these addresses are at this machine, not there.
ROUTES = f"""\
[Unit]
Description=Addresses of the lab's other hosts
Requires=lab-network.service
After=lab-network.service
Before=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/sysctl -q -w net.ipv4.conf.eth0.route_localnet=1
ExecStart=/usr/sbin/ip address replace {NODES[1]}/32 dev lo
ExecStart=/usr/sbin/ip route replace 127.0.7.0/24 via {GATEWAY} dev eth0 src {ADDRESS} table local

[Install]
WantedBy=multi-user.target network-online.target
"""
MOUNT = f"""\
[Unit]
Description=Java and Kafka's jars

[Mount]
What=/dev/disk/by-id/virtio-shared
Where={KIT}
Type=ext4
Options=ro

[Install]
WantedBy=multi-user.target
"""
UNIT = f"""\
[Unit]
Description=Apache Kafka
RequiresMountsFor={KIT}
Wants=network-online.target
After=network-online.target

[Service]
User=kafka
ExecStart={KIT}/kafka.sh /etc/kafka/server.properties
SuccessExitStatus=143
TimeoutStopSec=330

[Install]
WantedBy=multi-user.target
"""
LOG4J2 = """\
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%p %m (%c{1})%n
"""
EXTRAS_PORTS = tuple(
    Forward(NODES[1], port, to) for port, to in ((CLIENT, CLIENT), (REPL, REPL), (SSH, 22))
)


def extras(directory: Path) -> Extras:
    return Extras(EXTRAS_PORTS, shared(directory))


def shared(directory: Path) -> Path:
    """A file system of the lab's Java and Kafka, with the class data that it has for them."""
    root, disk = directory / "kit", directory / "kit.img"
    jars = kit.fetch(VERSION)
    shutil.copytree(kit.java().resolve().parent.parent, root / "java", symlinks=True)
    shutil.copytree(jars, root / "libs", ignore=shutil.ignore_patterns("load-*", "*.lock"))
    names = [f"{KIT}/libs/{Path(jar).name}" for jar in kit.classpath(VERSION).split(":")]
    line = [
        f"{KIT}/java/bin/java",
        *broker.JVM,
        f"-Dlog4j2.configurationFile={KIT}/log4j2.properties",
    ]
    if (cds := archive.path(VERSION)).exists():
        shutil.copy2(cds, root / "libs")
        line.append(f"-XX:SharedArchiveFile={KIT}/libs/{cds.name}")
    script = root / "kafka.sh"
    script.write_text(
        f'#!/bin/sh\nCLASSPATH={":".join(names)} exec {" ".join(line)} kafka.Kafka "$@"\n'
    )
    script.chmod(0o755)
    (root / "log4j2.properties").write_text(LOG4J2)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", root, disk, "400m"],
        check=True,
        timeout=300,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    shutil.rmtree(root)
    return disk


def properties(node: int, dirs: Sequence[str]) -> str:
    """Node 2 is the controller too; node 1 takes what comes to any address of its machine."""
    mine, bound = NODES[node], NODES[node] if node != 1 else "0.0.0.0"
    listeners = [f"CLIENT://{bound}:{CLIENT}", f"REPL://{bound}:{REPL}"]
    listeners += [f"CONTROLLER://{mine}:{CONTROLLER}"] if node == 2 else []
    values = {
        "process.roles": "broker,controller" if node == 2 else "broker",
        "node.id": node,
        "broker.rack": f"r{node}",
        "controller.quorum.voters": f"2@{NODES[2]}:{CONTROLLER}",
        "listeners": ",".join(listeners),
        "advertised.listeners": f"CLIENT://{mine}:{CLIENT},REPL://{mine}:{REPL}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,REPL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "REPL",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": ",".join(dirs),
        "default.replication.factor": 3,
        "min.insync.replicas": 2,
        "offsets.topic.replication.factor": 3,
        "offsets.topic.num.partitions": 2,
        "group.initial.rebalance.delay.ms": 100,
        "auto.create.topics.enable": "false",
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 2097152,
        # An emulated processor is slow at everything.
        "broker.session.timeout.ms": 30000,
        "replica.lag.time.max.ms": 60000,
        "controller.socket.timeout.ms": 60000,
        "controller.quorum.request.timeout.ms": 30000,
        "controller.quorum.fetch.timeout.ms": 30000,
        "request.timeout.ms": 60000,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


@contextmanager
def others(directory: Path, cluster: str) -> Iterator[None]:
    """Brokers 2 and 3 as processes of this machine; they end with it."""
    java, jars = str(kit.java()), {"CLASSPATH": kit.classpath(VERSION)}
    (directory / "log4j2.properties").write_text(LOG4J2)
    jvm = [*broker.JVM, *archive.flags(VERSION)]
    jvm += [f"-Dlog4j2.configurationFile={directory}/log4j2.properties"]
    with ExitStack() as stack:
        for node in (2, 3):
            home = directory / f"broker-{node}"
            home.mkdir()
            file = home / "server.properties"
            file.write_text(properties(node, (str(home / "data"),)))
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(file)]
            run = [java, *jvm]
            subprocess.run([*run, *tool], env=os.environ | jars, check=True, timeout=120)
            log = stack.enter_context(open(home / "log", "wb"))
            started = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *run, "kafka.Kafka", str(file)],
                env=os.environ | jars,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            stack.callback(started.wait, 60)
            stack.callback(started.kill)
        yield


def furnish(vm: Machine, public_key: str) -> None:
    """What an operator lays out on a host before there are volumes: a user, Java, Kafka, its
    properties and its unit; and sshd, which knows the test's key. Nothing of kafkaops."""
    must(vm, "useradd", "--system", "kafka")
    must(vm, "mkdir", "-p", KIT, "/etc/kafka", "/var/lib/kafka", "/root/.ssh")
    for path, text in {
        "/etc/systemd/system/lab-peers.service": ROUTES,
        f"/etc/systemd/system/{KIT.strip('/').replace('/', '-')}.mount": MOUNT,
        "/etc/systemd/system/kafka.service": UNIT,
        "/etc/kafka/server.properties": properties(1, DIRS),
        "/root/.ssh/authorized_keys": public_key,
    }.items():
        must(vm, "tee", path, stdin=text.encode())
    must(vm, "systemctl", "daemon-reload")
    must(vm, "systemctl", "enable", "--now", "lab-peers", "opt-kit.mount", "ssh")
    must(vm, "systemctl", "enable", "kafka")


def must(vm: Machine, *argv: str, stdin: bytes = b"") -> str:
    code, out, err = vm.run(argv, stdin, timeout=300)
    assert code == 0, f"{argv}: {out.decode()} {err.decode()}\n{vm.console()[-3000:]}"
    return out.decode()


def within(seconds: float, found: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, what()
        time.sleep(1)


def admin() -> AdminClient:
    return AdminClient({"bootstrap.servers": f"{NODES[2]}:{REPL}", "log_level": 0})


def up() -> set[int]:
    """Ids of the brokers that are up, as node 2 says."""
    try:
        return set(admin().list_topics(timeout=10).brokers)
    except KafkaException:
        return set()


def in_sync() -> dict[int, list[int]]:
    """Who is in sync with each partition of the topic."""
    found = admin().list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    return {number: sorted(p.isrs) for number, p in found.items()}


def make_topic() -> None:
    places = [[1, 2, 3], [1, 3, 2], [2, 3, 1], [1, 2, 3]]
    topic = NewTopic(
        TOPIC, len(places), replica_assignment=places, config={"min.insync.replicas": "2"}
    )
    client = admin()  # it has to outlive the answer
    client.create_topics([topic])[TOPIC].result(60)


def produce(first: int, count: int) -> None:
    """Acknowledged by all in sync, or it fails."""
    producer = Producer(
        {"bootstrap.servers": f"{NODES[2]}:{REPL}", "acks": "all", "message.timeout.ms": 120_000}
    )
    lost: list[str] = []
    for number in range(first, first + count):
        producer.produce(
            TOPIC,
            f"record {number}".encode(),
            partition=number % PARTITIONS,
            on_delivery=lambda error, _: lost.append(str(error)) if error is not None else None,
        )
    assert producer.flush(120) == 0
    assert lost == []


def consume(node: int) -> set[int]:
    """Numbers of all records, from the partitions whose replica on this node can be read: read by
    the follower where it does not lead (KIP-392 needs the broker's consent, so its rack)."""
    consumer = Consumer(
        {
            "bootstrap.servers": f"{NODES[node]}:{REPL}",
            "group.id": "nobody",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    found: set[int] = set()
    try:
        places = [TopicPartition(TOPIC, n, 0) for n in range(PARTITIONS)]
        ends = [consumer.get_watermark_offsets(p, timeout=60)[1] for p in places]
        consumer.assign(places)
        deadline = time.monotonic() + 120
        while len(found) < sum(ends):
            assert time.monotonic() < deadline, f"{len(found)} of {sum(ends)} records"
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                found.add(int((message.value() or b"").split()[1]))
    finally:
        consumer.close()
    return found
