"""ZooKeeper, for the cluster that still needs it: a real server, on an address of its own.

Invariant: what only ZooKeeper mode sets, and what it must not set, stands here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kafkaops.lab import kit
from kafkaops.lab.layout import ZOOKEEPER_PORT, LabHostSpec, Layout, Settings
from kafkaops.lab.release import LOG4J

HOST = "zk-1"
NAME = f"{HOST}/zookeeper"
ADDRESS = "127.0.1.200"
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
KRAFT_ONLY = (
    "process.roles",
    "node.id",
    "controller.quorum.voters",
    "controller.listener.names",
)
HEAP = "-Xmx128m"


def properties(
    host: LabHostSpec, settings: Settings, kraft: Mapping[str, object]
) -> dict[str, object]:
    """A broker's settings in ZooKeeper mode, made of those that it would have with KRaft. The
    protocol is pinned to the version's own line, as an operator does before an upgrade."""
    line = settings.version(host.colour).rpartition(".")[0]
    first = {
        "broker.id": host.node_id,
        "zookeeper.connect": f"{ADDRESS}:{ZOOKEEPER_PORT}",
        "inter.broker.protocol.version": line,
    }
    kept = {name: value for name, value in kraft.items() if name not in KRAFT_ONLY}
    return {**first, **kept, "authorizer.class.name": "kafka.security.authorizer.AclAuthorizer"}


def prepare(layout: Layout) -> None:
    """Its directory, configuration and logging."""
    home = layout.host(HOST)
    for directory in (home / "data", home / "logs"):
        directory.mkdir(parents=True, exist_ok=True)
    values = {
        "dataDir": home / "data",
        "clientPort": ZOOKEEPER_PORT,
        "clientPortAddress": ADDRESS,
        "maxClientCnxns": 0,
        "admin.enableServer": "false",
    }
    _config(home).write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    (home / "log4j.properties").write_text(LOG4J)


def command(
    layout: Layout, settings: Settings, jvm: tuple[str, ...]
) -> tuple[list[str], dict[str, str]]:
    """Command line and environment; its jars are those that Kafka itself brings. Of `jvm`, the
    flags of a broker's Java, all but the heap."""
    home = layout.host(HOST)
    flags = [flag for flag in jvm if not flag.startswith("-Xm")]
    logging = f"-Dlog4j.configuration=file:{home / 'log4j.properties'}"
    argv = [str(layout.java), HEAP, *flags, logging, f"-Dkafkaops.host={HOST}", MAIN]
    return [*argv, str(_config(home))], {"CLASSPATH": kit.classpath(settings.version("blue"))}


def _config(home: Path) -> Path:
    return home / "zoo.cfg"
