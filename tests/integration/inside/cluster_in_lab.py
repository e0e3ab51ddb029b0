"""`KafkaCluster` on real brokers: state, records, configs, rights, and faults."""

from __future__ import annotations

import time
import uuid

import pytest

from kafkaops.adapters.kafka_cluster import KafkaCluster
from kafkaops.adapters.kafka_snapshot import JUDGED
from kafkaops.config.schema import Security
from kafkaops.engine.errors import ConfigError, Exit, OpsError, StepFailed, Unreachable
from kafkaops.lab import control
from kafkaops.lab.enter import inside
from kafkaops.lab.layout import Layout
from kafkaops.model.cluster import ScramUser
from kafkaops.model.min_isr import MinIsr
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade import gate
from tests.integration.inside.clusters import (
    ACLS,
    NODES,
    QUOTAS,
    SPREAD,
    eventually,
    parts,
    spec,
)


def test_snapshot_has_everything(cluster: KafkaCluster, topic: str) -> None:
    state = cluster.snapshot()
    version = {"blue": "3.9", "green": "4.3"}[cluster.name]
    assert [(b.id, b.version, b.port) for b in state.brokers] == [(n, version, 9094) for n in NODES]
    assert len({b.rack for b in state.brokers}) == 3
    for broker in state.brokers:
        client_listener = next(li for li in broker.listeners if li.name == "CLIENT")
        assert (client_listener.host, client_listener.port) == (f"b{broker.id}.kafka.lab", 9092)
    assert state.cluster_id == cluster.cluster_id()
    assert state.quorum is not None
    assert state.quorum.leader in NODES
    assert set(state.quorum.voters) == set(NODES)
    assert state.features["metadata.version"] > 0
    mine = state.topics[topic]
    assert {p.tp.partition: list(p.replicas) for p in mine.partitions} == SPREAD
    assert mine.config.values["retention.ms"] == "86400000"
    assert mine.config.sources["retention.ms"] == "topic"
    assert mine.config.sources["unclean.leader.election.enable"] == "static"
    assert set(state.log_dir_free) == set(NODES)
    assert state.broker_config[2]["node.id"] == "2"
    thin = cluster.snapshot(full=False)
    assert set(thin.topics) == set(state.topics)
    assert not thin.broker_config


def test_a_gate_judges_the_same_by_less(cluster: KafkaCluster, topic: str) -> None:
    cluster.alter_topic_config(topic, {"min.insync.replicas": "3"})
    state, less = cluster.snapshot(), cluster.availability()
    assert not less.groups
    assert not less.log_dir_free
    assert set(less.topics[topic].config.values) == set(JUDGED)
    for nodes in ([1], [2, 3]):
        whole = gate.judge(state, nodes)
        assert whole.blocked
        assert gate.judge(less, nodes) == whole
    applied, known = MinIsr(less), MinIsr(state)
    for name, one in state.topics.items():
        for part in one.partitions:
            assert applied.applied(less.topics[name], part) == known.applied(one, part)


def test_a_broker_tells_of_itself_and_never_of_before_its_stop(
    clusters: dict[str, KafkaCluster],
) -> None:
    """Who asks the others right after a clean stop is told that it is up (seen for 0.5 s)."""
    green, socket = clusters["green"], Layout.of(inside()).socket
    told = green.told_by(3)
    assert told is not None
    assert (told.cluster_id, told.brokers) == (green.cluster_id(), NODES)
    assert set(told.topics) == set(green.topics())
    control.call(socket, "stop", name="green-3/kafka", stop_timeout=100.0, timeout=130.0)
    assert green.told_by(3, topics=False) is None
    control.call(socket, "start", name="green-3/kafka")
    eventually("it tells that it is up", lambda: green.told_by(3, topics=False) is not None)
    again = green.told_by(3)
    assert again is not None
    assert again.brokers == NODES


def test_records_ends_and_reading_back(cluster: KafkaCluster, topic: str) -> None:
    tp = TopicPartition(topic, 2)
    offsets = cluster.produce(tp, [(b"k", b"v%d" % i) for i in range(10)])
    assert offsets == tuple(range(10))
    assert cluster.consume(tp, 7, 100) == ((7, b"v7"), (8, b"v8"), (9, b"v9"))
    assert cluster.consume(tp, 10, 5) == ()
    ends = cluster.ends(parts(topic))
    assert (ends[tp].start, ends[tp].high_watermark, ends[tp].stable) == (0, 10, 10)
    assert len(ends) == len(SPREAD)


def test_what_is_not_there_is_told_soon(cluster: KafkaCluster) -> None:
    begun = time.monotonic()
    with pytest.raises(StepFailed, match="nowhere-0"):
        cluster.ends([TopicPartition("nowhere", 0)])
    with pytest.raises(StepFailed, match="UnknownTopic"):
        cluster.commit("g-none", {TopicPartition("nowhere", 0): 1})
    assert time.monotonic() - begun < 10
    assert "nowhere" not in cluster.topics()  # asking never creates


def test_configs_are_set_and_read_back(cluster: KafkaCluster, topic: str) -> None:
    cluster.alter_topic_config(topic, {"min.insync.replicas": "1"}, ["retention.ms"])
    config = cluster.topics(configs=True)[topic].config
    assert (config.values["min.insync.replicas"], config.sources["min.insync.replicas"]) == (
        "1",
        "topic",
    )
    assert config.sources["retention.ms"] == "default"
    cluster.alter_broker_config(2, {"log.retention.ms": "7777777"})
    cluster.alter_broker_config(None, {"producer.id.expiration.ms": "86400001"})
    brokers = cluster.snapshot().broker_config
    assert brokers[2]["log.retention.ms"] == "7777777"
    assert brokers[3]["producer.id.expiration.ms"] == "86400001"
    cluster.alter_broker_config(2, {}, ["log.retention.ms"])
    cluster.alter_broker_config(None, {}, ["producer.id.expiration.ms"])
    with pytest.raises(OpsError, match=r"no\.such\.config"):
        cluster.alter_topic_config(topic, {"no.such.config": "1"})
    with pytest.raises(StepFailed, match="already exists"):
        cluster.create_topic(topic, {0: [1]}, {})
    cluster.create_partitions(topic, {6: [1, 2, 3], 7: [2, 3, 1]})
    assert len(cluster.topics()[topic].partitions) == 8
    cluster.elect_preferred(parts(topic))


def test_acls_and_quotas_survive_the_round_trip(cluster: KafkaCluster) -> None:
    cluster.create_acls(ACLS)
    cluster.create_acls(ACLS[:2])  # again: no error
    cluster.alter_quotas(QUOTAS)

    def kept() -> tuple[int, int]:
        state = cluster.snapshot()
        return len(set(ACLS) & set(state.acls)), len(set(QUOTAS) & set(state.quotas))

    every = (len(ACLS), len(QUOTAS))
    eventually("ACLs and quotas are there", lambda: kept() == every)
    assert kept() == every
    cluster.delete_acls(ACLS)
    cluster.alter_quotas([], QUOTAS)

    eventually("ACLs and quotas are gone", lambda: kept() == (0, 0))
    assert not cluster.snapshot().quotas


def test_scram_users_of_both_mechanisms_come_and_go(cluster: KafkaCluster) -> None:
    """Also one user with two mechanisms, which one request may not name twice."""
    made = [
        ScramUser("app", "SCRAM-SHA-256", 4096),
        ScramUser("app", "SCRAM-SHA-512", 8192),
        ScramUser("other", "SCRAM-SHA-512", 4096),
    ]
    cluster.create_scram_users(dict.fromkeys(made, "a password"))
    assert list(cluster.scram_users()) == made
    assert list(cluster.snapshot().scram_users) == made
    cluster.delete_scram_users(made[:2])
    cluster.delete_scram_users(made)  # two of them are gone already: no error
    assert cluster.scram_users() == ()


def test_a_principal_that_may_do_everything_lacks_no_right(cluster: KafkaCluster) -> None:
    assert cluster.missing_rights() == ()


def test_tls_and_logins_to_a_plain_listener_are_told() -> None:
    for security, words in (
        (Security(protocol="SSL"), "does not speak TLS, and protocol is SSL"),
        (
            Security(protocol="SASL_PLAINTEXT", mechanism="PLAIN", username="u"),
            "takes no login, and protocol is SASL_PLAINTEXT",
        ),
    ):
        wrong = KafkaCluster(spec("blue", security=security), "x")
        with pytest.raises(ConfigError) as refused:
            wrong.cluster_id()
        wrong.close()
        assert refused.value.code == "KO-CLUSTER-LISTENER"
        assert words in refused.value.message
        assert "protocol: PLAINTEXT" in refused.value.hint
        assert refused.value.exit is Exit.CONFIG


def test_faults_are_told_plainly() -> None:
    with pytest.raises(Unreachable) as nobody:
        KafkaCluster(spec("blue", "127.0.9.1:9094", "127.0.9.2:9094"), timeout=2).cluster_id()
    assert "127.0.9.1:9094, 127.0.9.2:9094 for 2 s" in nobody.value.message
    one = KafkaCluster(spec("blue", "127.0.9.1:9094", "127.0.1.2:9094"))
    assert one.cluster_id()
    one.close()


def test_a_killed_broker_is_worked_around(clusters: dict[str, KafkaCluster]) -> None:
    green, socket = clusters["green"], Layout.of(inside()).socket
    topic = f"k-{uuid.uuid4().hex[:8]}"
    green.create_topic(topic, SPREAD, {})
    groups = {f"{topic}-{n}": {tp: n for tp in parts(topic)} for n in range(6)}
    green.commit_all(groups)  # coordinators and leaders are known now, some of them on each broker
    quorum = green.snapshot(full=False).quorum
    assert quorum is not None
    # not the active controller: the next one gives every broker a whole session again
    killed = next(node for node in NODES if node != quorum.leader)
    control.call(socket, "kill", name=f"green-{killed}/kafka", signal="KILL")
    try:
        assert len(green.ends(parts(topic))) == 6
        green.commit_all(groups)
        state = green.snapshot()
        assert [b.id for b in state.brokers] == [node for node in NODES if node != killed]
        assert {g.id for g in state.groups} >= set(groups)
    finally:
        control.call(socket, "start", name=f"green-{killed}/kafka")
    eventually(f"broker {killed} is back", lambda: green.brokers_up() == NODES)
    eventually(
        "all replicas are in sync",
        lambda: all(len(p.isr) == 3 for p in green.topics()[topic].partitions),
    )
    assert green.snapshot().broker_config[killed]["node.id"] == str(killed)
    green.delete_groups(list(groups))
    green.delete_topics([topic])
