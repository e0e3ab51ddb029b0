"""Real brokers, configured: server.properties, logging, JVM flags, formatted storage.

Invariant: clients see only the CLIENT listener, under names in the zone; brokers, the mirror
and this tool use REPL, by address, so a fence on CLIENT never reaches them.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from kafkaops.engine.errors import ConfigError
from kafkaops.lab import access, archive, installed, kit, zookeeper
from kafkaops.lab.layout import (
    CLIENT_PORT,
    CONTROLLER_PORT,
    REPL_PORT,
    LabHostSpec,
    Layout,
    Settings,
)
from kafkaops.lab.release import LOG4J, LOG4J2

# A small heap and no optimising compiler: six brokers on two cores (reference figures: a
# broker stays at 150-250 MB). No perf data: its files in /tmp are named by the inner pid.
JVM = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
)


def java(version: str) -> tuple[str, ...]:
    """Java as all of the lab's JVMs run it, with that version's jars."""
    return (str(kit.java()), *JVM, *archive.flags(version), "-cp", kit.classpath(version))


def properties(
    host: LabHostSpec, settings: Settings, data: Path, extra: Mapping[str, object] | None = None
) -> str:
    """server.properties of one node; `extra` comes over the rest."""
    brokers = settings.brokers
    rf = min(3, brokers)
    min_isr = max(1, rf - 1)
    voters = ",".join(
        f"{h.node_id}@{h.address}:{CONTROLLER_PORT}"
        for h in settings.hosts()
        if h.colour == host.colour and h.votes
    )
    a = host.address
    listeners = [f"CLIENT://{a}:{CLIENT_PORT}", f"REPL://{a}:{REPL_PORT}"] if host.serves else []
    listeners += [f"CONTROLLER://{a}:{CONTROLLER_PORT}"] if host.votes else []
    values: dict[str, object] = {
        "process.roles": host.roles,
        "node.id": host.node_id,
        "broker.rack": host.rack,
        "controller.quorum.voters": voters,
        "listeners": ",".join(listeners),
        "advertised.listeners": (
            f"CLIENT://{host.advertised}:{CLIENT_PORT},REPL://{a}:{REPL_PORT}"
        ),
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,REPL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "REPL",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": ",".join(map(str, disks(host, settings, data))),
        "default.replication.factor": rf,
        "min.insync.replicas": min_isr,
        "num.partitions": 3,
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "controlled.shutdown.enable": "true",
        # Internal topics small: 50 partitions each on six brokers are memory and files.
        "offsets.topic.replication.factor": rf,
        "offsets.topic.num.partitions": 10,
        "transaction.state.log.replication.factor": rf,
        "transaction.state.log.min.isr": min_isr,
        "transaction.state.log.num.partitions": 10,
        "group.initial.rebalance.delay.ms": 100,
        # ACLs can be made and compared, and nobody needs one.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 4,
        # The default (128 MB) alone exhausts the small heap and kills the broker.
        "log.cleaner.dedupe.buffer.size": 2097152,
    }
    if int(settings.version(host.colour).split(".")[0]) >= 4:
        values |= {
            "share.coordinator.state.topic.replication.factor": rf,
            "share.coordinator.state.topic.min.isr": min_isr,
            "share.coordinator.state.topic.num.partitions": 3,
        }
    if not host.serves:
        # A controller that is no broker has nothing to advertise, and refuses to.
        del values["advertised.listeners"], values["inter.broker.listener.name"]
    if settings.zookeeper:
        values = zookeeper.properties(host, settings, values)
    return "".join(f"{key}={value}\n" for key, value in (values | dict(extra or {})).items())


def disks(host: LabHostSpec, settings: Settings, data: Path) -> tuple[Path, ...]:
    """The log directories of a node: `data`, and beside it those of further disks."""
    more = range(2, settings.disks + 1) if host.serves else ()
    return (data, *(data.with_name(f"{data.name}-{number}") for number in more))


def homes(layout: Layout, settings: Settings, say: kit.Say) -> None:
    """`bin/java` and, per colour, a directory shaped like an unpacked Kafka: `libs/`, `config/`."""
    layout.java.parent.mkdir(parents=True, exist_ok=True)
    layout.java.symlink_to(kit.java())
    for colour in settings.colours:
        home = layout.kafka_home(colour)
        (home / "config").mkdir(parents=True)
        (home / "libs").symlink_to(kit.fetch(settings.version(colour), say))
        (home / "config" / "log4j.properties").write_text(LOG4J)
        (home / "config" / "log4j2.properties").write_text(LOG4J2)


def logging_flag(layout: Layout, settings: Settings, colour: str) -> str:
    config = layout.kafka_home(colour) / "config"
    if int(settings.version(colour).split(".")[0]) >= 4:
        return f"-Dlog4j2.configurationFile={config / 'log4j2.properties'}"
    return f"-Dlog4j.configuration=file:{config / 'log4j.properties'}"


def prepare(layout: Layout, settings: Settings, host: LabHostSpec, cluster_id: str) -> None:
    """The host's directory: server.properties and storage formatted by Kafka's own tool."""
    home = layout.host(host.name)
    data = home / "data"
    dirs = disks(host, settings, data)
    for directory in (*dirs, home / "logs", layout.boot_rules(host.name)):
        directory.mkdir(parents=True, exist_ok=True)
    (home / "nft").symlink_to(layout.boot_rules(host.name))
    secured = access.broker_properties(layout, settings, host)
    text = properties(host, settings, data, secured)
    if settings.single:
        version = settings.version(host.colour)
        installed.prepare(layout, host, version, text, JVM)
    else:
        (home / "server.properties").write_text(text)
    if settings.zookeeper:
        return  # its storage is made by the broker itself
    for file in formatted(layout, settings, host.colour).iterdir():
        shutil.copy(file, data / file.name)
    text = (data / "meta.properties").read_text()
    for directory in dirs:
        for key, value in (
            ("cluster.id", cluster_id),
            ("node.id", str(host.node_id)),
            ("directory.id", kafka_id()),
        ):
            text = re.sub(rf"(?m)^{re.escape(key)}=.*$", f"{key}={value}", text)
        (directory / "meta.properties").write_text(text)


def kafka_id() -> str:
    """A fresh id in Kafka's form: base64 of a UUID, never starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def command(
    layout: Layout, settings: Settings, host: LabHostSpec
) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a broker."""
    if settings.single:
        return installed.command(layout, host.name), {}
    version = settings.version(host.colour)
    recorded = archive.recording(version, classes(layout, host)) if host.node_id == 1 else []
    argv = [
        str(layout.java),
        *JVM,
        *archive.flags(version),
        *recorded,
        logging_flag(layout, settings, host.colour),
        f"-Dkafkaops.host={host.name}",
        "kafka.Kafka",
        str(layout.host(host.name) / "server.properties"),
    ]
    return argv, {"CLASSPATH": kit.classpath(version)}


def classes(layout: Layout, host: LabHostSpec) -> Path:
    """Where that broker writes down the classes it loads."""
    return layout.host(host.name) / "classes.lst"


def formatted(layout: Layout, settings: Settings, colour: str) -> Path:
    """Storage of the colour as the storage tool formats it. Users are part of it, so a secured
    lab formats once a colour instead of using what is kept."""
    version = settings.version(colour)
    users = access.format_arguments(layout, settings, colour)
    if not users:
        return template(version)
    scratch = layout.kafka_home(colour) / "formatted"
    if not (scratch / "data").exists():
        format_storage(version, scratch, users)
    return scratch / "data"


def template(version: str, say: kit.Say = kit.quiet) -> Path:
    """What Kafka's storage tool writes for this version, made once and kept beside the jars.

    A JVM a broker would double the lab's start; of what the tool writes only the ids in
    meta.properties differ from broker to broker.
    """
    kept = kit.cache() / version / "formatted"
    if (kept / "meta.properties").exists():
        return kept
    say(f"Kafka {version}: storage formatted once, for all its brokers")
    scratch = kit.cache() / version / f".format-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    format_storage(version, scratch)
    try:
        (scratch / "data").rename(kept)
    except OSError:
        if not (kept / "meta.properties").exists():  # another lab was first: its copy serves
            raise
    shutil.rmtree(scratch, ignore_errors=True)
    return kept


def format_storage(version: str, scratch: Path, more: Sequence[str] = ()) -> None:
    """Kafka's own storage tool, for any one broker: `scratch`/data holds what it writes."""
    scratch.mkdir(parents=True)
    config = scratch / "server.properties"
    data = scratch / "data"
    host = LabHostSpec("x", "blue", 1, "127.0.0.1", "a", "x")
    config.write_text(properties(host, Settings(blue_version=version, brokers=1), data))
    argv = [str(kit.java()), *JVM, "kafka.tools.StorageTool", "format", "-t", kafka_id()]
    done = subprocess.run(
        [*argv, "-c", str(config), *more],
        env={**os.environ, "CLASSPATH": kit.classpath(version)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigError(
            "KO-LAB-FORMAT",
            f"Kafka {version} could not format its storage: {(done.stderr or done.stdout)[-500:]}",
            where=str(scratch),
        )
