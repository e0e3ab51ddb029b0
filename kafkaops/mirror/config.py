"""Configuration of the mirror: a Connect worker beside the target, one MirrorSourceConnector.
Pure.

Identity policy, read_committed, bytes as they are, nothing synced that we own ourselves (topic
configs, ACLs, groups), exactly once. Invariant: no secret's value is in what is rendered here;
it refers to files on the worker's host by config providers.
Source: Kafka's MirrorSourceConfig and DistributedConfig, KIP-618 (exactly-once source), KIP-875
(offsets, STOPPED), KIP-1031.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping

from kafkaops.config.schema import ClusterSpec, Config, Mirror, Security
from kafkaops.engine.errors import ConfigError

CONNECTOR = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter"
NEVER = ("kafkaops-.*", "__.*", "mm2-.*\\.internal", ".*\\.checkpoints\\.internal")
"""Kafka's own topics, MirrorMaker's and ours; what `is_carried` does not carry."""
LARGEST = 32 * 1024 * 1024
"""Bytes of the largest record batch that can be mirrored."""
JAAS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def name(direction: str) -> str:
    """The connector's name; `direction` is `forward` or `back`."""
    return f"kafkaops-{direction}"


def group_id(direction: str) -> str:
    return f"kafkaops-mirror-{direction}"


def ends(config: Config, direction: str) -> tuple[tuple[str, ClusterSpec], tuple[str, ClusterSpec]]:
    """(alias, cluster) of the source and of the target; aliases are the colours."""
    blue, green = ("blue", config.blue), ("green", config.green)
    return (blue, green) if direction == "forward" else (green, blue)


def own_topics(direction: str) -> dict[str, int]:
    """Partitions of the topics, all compacted, in which the worker keeps its own state."""
    group = group_id(direction)
    return {f"{group}-offsets": 5, f"{group}-configs": 1, f"{group}-status": 2}


def transactional_ids(direction: str, tasks: int) -> tuple[str, ...]:
    """Ids of the exactly-once tasks, as Connect's Worker makes them."""
    return tuple(f"{group_id(direction)}-{name(direction)}-{task}" for task in range(tasks))


def excluded(mirror: Mirror) -> tuple[str, ...]:
    """Patterns (regular expressions, whole names) of topics that are not mirrored."""
    return (*NEVER, *(_pattern(glob) for glob in mirror.exclude))


def _pattern(glob: str) -> str:
    """A glob as a regular expression that Java and Python read alike."""
    return "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob)


def carried(topic: str, patterns: Collection[str]) -> bool:
    """Whether no exclusion matches."""
    return not any(re.fullmatch(pattern, topic) for pattern in patterns)


def unmirrorable(topics: Collection[str], mirror: Mirror) -> list[str]:
    """Topics that we want to carry and MirrorMaker never will: it takes names which begin with a
    dot or end in `.internal` or `-internal` for its own or Connect's, whatever the filter says."""
    patterns = excluded(mirror)
    return sorted(
        topic
        for topic in topics
        if carried(topic, patterns)
        and (topic.startswith(".") or topic.endswith((".internal", "-internal")))
    )


def connector(config: Config, direction: str) -> dict[str, str]:
    """The connector's configuration, strings as Connect wants them."""
    mirror = config.mirror
    (source_alias, source), (target_alias, target) = ends(config, direction)
    rendered = {
        "connector.class": CONNECTOR,
        "tasks.max": str(mirror.tasks),
        "key.converter": BYTES,
        "value.converter": BYTES,
        "header.converter": BYTES,
        "source.cluster.alias": source_alias,
        "target.cluster.alias": target_alias,
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        "replication.factor": str(min(3, len(target.hosts))),
        "topics": ".*",
        "topics.exclude": ",".join(excluded(mirror)),
        "refresh.topics.enabled": "true",
        "refresh.topics.interval.seconds": "5",
        "sync.topic.configs.enabled": "false",
        "sync.topic.acls.enabled": "false",
        "sync.group.offsets.enabled": "false",
        "emit.checkpoints.enabled": "false",
        "emit.heartbeats.enabled": "false",
        # No translation by MirrorMaker, so no offset-syncs topic anywhere; naming its location
        # beside this is refused by the connector's own validation.
        "emit.offset-syncs.enabled": "false",
        "source.consumer.isolation.level": "read_committed",
        "source.consumer.auto.offset.reset": "earliest",
        # A fetch answers as soon as there is a record; each poll is one transaction, so a poll
        # should hold many.
        "source.consumer.fetch.min.bytes": "1",
        "source.consumer.fetch.max.wait.ms": "100",
        "source.consumer.max.poll.records": "5000",
        "source.consumer.max.partition.fetch.bytes": str(4 * 1024 * 1024),
        "source.consumer.fetch.max.bytes": str(LARGEST),
        "consumer.poll.timeout.ms": "200",
        "producer.override.linger.ms": "0",
        "producer.override.batch.size": str(256 * 1024),
        "producer.override.buffer.memory": str(2 * LARGEST),
        "producer.override.max.request.size": str(LARGEST),
        "producer.override.compression.type": "lz4",
    }
    if mirror.exactly_once:
        rendered |= {
            "exactly.once.support": "required",
            "transaction.boundary": "poll",
            # What a killed task left open holds the target's LSO for no longer than this.
            "producer.override.transaction.timeout.ms": "10000",
        }
    directory = host_directory(mirror, direction)
    for prefix, alias, cluster in (
        ("source.cluster.", source_alias, source),
        ("target.cluster.", target_alias, target),
    ):
        rendered[f"{prefix}bootstrap.servers"] = ",".join(cluster.bootstrap)
        for key, value in security(cluster.security, alias, directory).items():
            rendered[f"{prefix}{key}"] = value
    return rendered


def worker(config: Config, direction: str, address: str) -> dict[str, str]:
    """The worker's properties; its REST interface listens on `address`, the host's own."""
    mirror = config.mirror
    _, (alias, target) = ends(config, direction)
    port = mirror.rest_port if direction == "forward" else mirror.back_rest_port
    factor = str(min(3, len(target.hosts)))
    offsets, configs, status = own = own_topics(direction)
    rendered = {
        "bootstrap.servers": ",".join(target.bootstrap),
        "group.id": group_id(direction),
        "listeners": f"http://{address}:{port}",
        "rest.advertised.host.name": address,
        "rest.advertised.port": str(port),
        "key.converter": BYTES,
        "value.converter": BYTES,
        "header.converter": BYTES,
        "plugin.discovery": "service_load",
        "offset.storage.topic": offsets,
        "offset.storage.partitions": str(own[offsets]),
        "offset.storage.replication.factor": factor,
        "config.storage.topic": configs,
        "config.storage.replication.factor": factor,
        "status.storage.topic": status,
        "status.storage.partitions": str(own[status]),
        "status.storage.replication.factor": factor,
        "offset.flush.interval.ms": "1000",
        "exactly.once.source.support": "enabled" if mirror.exactly_once else "disabled",
        "connector.client.config.override.policy": "All",
        # One worker: a restarted one must not wait for the dead one's tasks to be claimed.
        "scheduled.rebalance.max.delay.ms": "0",
        "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "1500",
        "task.shutdown.graceful.timeout.ms": "3000",
        "config.providers": "file,directory",
        "config.providers.file.class": (
            "org.apache.kafka.common.config.provider.FileConfigProvider"
        ),
        "config.providers.directory.class": (
            "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
        ),
    }
    for key, value in security(target.security, alias, host_directory(mirror, direction)).items():
        for prefix in ("", "producer.", "consumer.", "admin."):
            rendered[f"{prefix}{key}"] = value
    return rendered


def host_directory(mirror: Mirror, direction: str) -> str:
    """Where the worker's files lie on its host."""
    return posixpath.join(mirror.work_dir, direction)


def secrets_file(mirror: Mirror, direction: str) -> str:
    return posixpath.join(host_directory(mirror, direction), "secrets.properties")


def security(security: Security, alias: str, directory: str) -> dict[str, str]:
    """Client properties for one cluster. PEM files are read on the worker's host, from the copies
    that `certificates` names; the login line comes from the secrets file (`login`)."""
    rendered: dict[str, str] = {"security.protocol": security.protocol}
    if security.mechanism:
        rendered["sasl.mechanism"] = security.mechanism
        path = posixpath.join(directory, "secrets.properties")
        rendered["sasl.jaas.config"] = f"${{file:{path}:{alias}}}"
    if security.ca_file:
        rendered["ssl.truststore.type"] = "PEM"
        rendered["ssl.truststore.certificates"] = _content(_copy(directory, alias, "ca"))
    if security.cert_file:
        rendered["ssl.keystore.type"] = "PEM"
        rendered["ssl.keystore.certificate.chain"] = _content(_copy(directory, alias, "cert"))
        rendered["ssl.keystore.key"] = _content(_copy(directory, alias, "key"))
    return rendered


def certificates(config: Config, direction: str) -> dict[str, str]:
    """PEM files of the worker's host: the path there, and the path where kafkaops runs that it is a
    copy of."""
    directory = host_directory(config.mirror, direction)
    found: dict[str, str] = {}
    for alias, cluster in ends(config, direction):
        own = cluster.security
        for kind, path in (("ca", own.ca_file), ("cert", own.cert_file), ("key", own.key_file)):
            if path:
                found[_copy(directory, alias, kind)] = path
    return found


def _copy(directory: str, alias: str, kind: str) -> str:
    return posixpath.join(directory, f"{alias}-{kind}.pem")


def login(security: Security, password: str) -> str:
    """The JAAS line. Only for the secrets file, mode 0600."""
    if security.mechanism not in JAAS:
        raise ConfigError(
            "KO-MIRROR-SECURITY",
            f"the mirror cannot log in with {security.mechanism or 'no mechanism'}",
            where="security.mechanism",
            hint=f"one of {', '.join(JAAS)}, or a client certificate",
        )
    quoted = {"u": _quoted(security.username), "p": _quoted(password)}
    return f'{JAAS[security.mechanism]} required username="{quoted["u"]}" password="{quoted["p"]}";'


def properties(values: Mapping[str, str]) -> bytes:
    """A Java properties file."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in values.items()).encode()


def _content(path: str) -> str:
    directory, base = posixpath.split(path)
    return f"${{directory:{directory}:{base}}}"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(value: str) -> str:
    plain = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return "".join(c if ord(c) < 128 else "".join(_unit(u) for u in _utf16(c)) for c in plain)


def _utf16(character: str) -> list[int]:
    raw = character.encode("utf-16-be")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


def _unit(value: int) -> str:
    return f"\\u{value:04x}"
