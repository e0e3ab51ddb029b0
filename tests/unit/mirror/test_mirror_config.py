from __future__ import annotations

import re

import pytest

from kafkaops.config.schema import ClusterSpec, Config, Cutover, HostSpec, Mirror, Security
from kafkaops.engine.errors import ConfigError
from kafkaops.mirror import config as rendering

LOGIN = Security(
    protocol="SASL_SSL",
    mechanism="SCRAM-SHA-512",
    username="mirror",
    password="env:MIRROR_PASSWORD",
    ca_file="/etc/kafka/ca.pem",
)


def cluster(colour: str, security: Security = Security()) -> ClusterSpec:
    hosts = tuple(HostSpec(name=f"{colour}-{n}", address=f"10.0.0.{n}") for n in (1, 2, 3))
    return ClusterSpec(name=colour, bootstrap=(f"{colour}:9094",), hosts=hosts, security=security)


def made(*, exactly_once: bool = True, exclude: tuple[str, ...] = ()) -> Config:
    mirror = Mirror(
        host="green-1", back_host="blue-1", exactly_once=exactly_once, exclude=exclude, tasks=3
    )
    return Config(
        name="orders",
        blue=cluster("blue", LOGIN),
        green=cluster("green"),
        mirror=mirror,
        cutover=Cutover(hosted_zone="Z1", alias="kafka.example.net"),
    )


def test_forward_and_back_exchange_the_clusters() -> None:
    forward = rendering.connector(made(), "forward")
    back = rendering.connector(made(), "back")
    assert forward["source.cluster.alias"] == back["target.cluster.alias"] == "blue"
    assert forward["source.cluster.bootstrap.servers"] == "blue:9094"
    assert back["source.cluster.bootstrap.servers"] == "green:9094"
    assert rendering.worker(made(), "forward", "10.0.0.1")["bootstrap.servers"] == "green:9094"
    assert rendering.worker(made(), "back", "10.0.0.1")["listeners"] == "http://10.0.0.1:8084"
    assert rendering.name("forward") != rendering.name("back")


def test_nothing_that_we_own_is_synced_and_nothing_is_converted() -> None:
    rendered = rendering.connector(made(), "forward")
    assert rendered["replication.policy.class"].endswith("IdentityReplicationPolicy")
    assert rendered["source.consumer.isolation.level"] == "read_committed"
    for off in ("sync.topic.configs", "sync.topic.acls", "sync.group.offsets", "emit.offset-syncs"):
        assert rendered[f"{off}.enabled"] == "false"
    # beside emit.offset-syncs.enabled=false, Connect's validation refuses any of these
    assert not [k for k in rendered if k.startswith("offset-syncs.")]
    for role in ("key", "value", "header"):
        assert rendered[f"{role}.converter"].endswith("ByteArrayConverter")


def test_exactly_once_needs_both_worker_and_connector() -> None:
    on, off = made(), made(exactly_once=False)
    assert rendering.connector(on, "forward")["exactly.once.support"] == "required"
    assert rendering.worker(on, "forward", "h")["exactly.once.source.support"] == "enabled"
    assert "exactly.once.support" not in rendering.connector(off, "forward")
    assert rendering.worker(off, "forward", "h")["exactly.once.source.support"] == "disabled"


def test_our_own_topics_are_never_mirrored() -> None:
    config = made(exclude=("tmp-*",))
    patterns = rendering.connector(config, "forward")["topics.exclude"].split(",")
    worker = rendering.worker(config, "forward", "h")
    ours = [worker[f"{kind}.storage.topic"] for kind in ("offset", "config", "status")]
    for topic in (*ours, "__consumer_offsets", "tmp-1"):
        assert not rendering.carried(topic, patterns)
        assert any(re.fullmatch(p, topic) for p in patterns)
    assert rendering.carried("orders", patterns)
    assert rendering.carried("my-tmp-1", patterns)


def test_topics_that_mirrormaker_would_drop_silently_are_named() -> None:
    topics = ["orders", "orders-internal", "a.internal", ".hidden", "kafkaops-x-internal"]
    assert rendering.unmirrorable(topics, made().mirror) == [
        ".hidden",
        "a.internal",
        "orders-internal",
    ]


def test_no_secret_is_in_what_connect_stores() -> None:
    config = made()
    everything = {
        **rendering.connector(config, "forward"),
        **rendering.worker(config, "back", "10.0.0.1"),
    }
    jaas = everything["source.cluster.sasl.jaas.config"]
    assert jaas == "${file:/var/lib/kafkaops/mirror/forward/secrets.properties:blue}"
    assert everything["sasl.jaas.config"].endswith("back/secrets.properties:blue}")
    assert everything["producer.sasl.mechanism"] == "SCRAM-SHA-512"
    assert everything["source.cluster.ssl.truststore.certificates"] == (
        "${directory:/var/lib/kafkaops/mirror/forward:blue-ca.pem}"
    )
    assert "MIRROR_PASSWORD" not in str(everything)


def test_the_login_line_is_quoted_for_java() -> None:
    line = rendering.login(LOGIN, 'a"b\\c')
    assert line.endswith('username="mirror" password="a\\"b\\\\c";')
    raw = rendering.properties({"blue": line, "note": "é\n"}).decode()
    assert 'password="a\\\\"b\\\\\\\\c";' in raw
    assert "note=\\u00e9\\n\n" in raw
    with pytest.raises(ConfigError, match="OAUTHBEARER"):
        rendering.login(LOGIN.model_copy(update={"mechanism": "OAUTHBEARER"}), "x")


def test_pem_files_are_copied_for_the_worker_by_cluster() -> None:
    config = made()
    where = "/var/lib/kafkaops/mirror/back"
    assert rendering.certificates(config, "back") == {f"{where}/blue-ca.pem": "/etc/kafka/ca.pem"}
    both = LOGIN.model_copy(update={"cert_file": "/c.pem", "key_file": "/k.pem"})
    config = config.model_copy(update={"green": cluster("green", both)})
    copies = rendering.certificates(config, "forward")
    assert sorted(copies.values()) == ["/c.pem", "/etc/kafka/ca.pem", "/etc/kafka/ca.pem", "/k.pem"]
    rendered = rendering.worker(config, "forward", "h")
    assert rendered["ssl.keystore.key"] == (
        "${directory:/var/lib/kafkaops/mirror/forward:green-key.pem}"
    )
    assert "/var/lib/kafkaops/mirror/forward/green-key.pem" in copies
