"""`KafkaCluster`, parity and refusals on real brokers: 3.9 (blue) and 4.x (green), three each.

Not collected by itself: `test_cluster_adapter.py` runs this file inside a lab's network.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer

from kafkaops.adapters.kafka_cluster import KafkaCluster
from kafkaops.config.schema import ClusterSpec, Config, Cutover, HostSpec, Mirror, Security
from kafkaops.engine.errors import ConfigError, Exit, OpsError, StepFailed, Unreachable
from kafkaops.lab import control
from kafkaops.lab.enter import inside
from kafkaops.lab.layout import ALIAS, Layout
from kafkaops.model.cluster import Acl, Group, Quota, ScramUser
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.names import Record
from kafkaops.upgrade import parity, refusals
from kafkaops.upgrade.parity_producers import goal, needed

NET = {"blue": 1, "green": 2}
NODES = (1, 2, 3)
SPREAD = {p: [(p + i) % 3 + 1 for i in range(3)] for p in range(6)}


def spec(colour: str, *bootstrap: str, **more: object) -> ClusterSpec:
    addresses = {n: f"127.0.{NET[colour]}.{n}" for n in NODES}
    return ClusterSpec.model_validate(
        {
            "name": colour,
            "bootstrap": bootstrap or tuple(f"{a}:9094" for a in addresses.values()),
            "hosts": [
                HostSpec(name=f"{colour}-{n}", node_id=n, address=a) for n, a in addresses.items()
            ],
            **more,
        }
    )


@pytest.fixture(scope="module")
def clusters() -> Iterator[dict[str, KafkaCluster]]:
    found = {colour: KafkaCluster(spec(colour)) for colour in NET}
    yield found
    for cluster in found.values():
        cluster.close()


@pytest.fixture(params=["blue", "green"])
def cluster(request: pytest.FixtureRequest, clusters: dict[str, KafkaCluster]) -> KafkaCluster:
    return clusters[request.param]


@pytest.fixture
def topic(cluster: KafkaCluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.create_topic(name, SPREAD, {"retention.ms": "86400000"})
    yield name
    cluster.delete_topics([name])


def parts(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, p) for p in SPREAD]


def eventually(what: str, ok: object) -> None:
    deadline = time.monotonic() + 30
    while not ok():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def client(cluster: KafkaCluster, **more: object) -> dict[str, object]:
    return {"bootstrap.servers": f"127.0.{NET[cluster.name]}.1:9094", "log_level": 0, **more}


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


def test_commits_are_read_back_from_many_threads(cluster: KafkaCluster, topic: str) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for offset in range(5):
                cluster.commit(f"{topic}-{number}", {tp: offset for tp in parts(topic)})
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    names = [f"{topic}-{n}" for n in range(6)]
    for name in names:
        assert cluster.committed(name) == dict.fromkeys(parts(topic), 4)
    cluster.commit_all({name: {parts(topic)[0]: 77} for name in names})
    assert {cluster.committed(name)[parts(topic)[0]] for name in names} == {77}
    kinds = {g.id: g.kind for g in cluster.groups() if g.id in names}
    assert set(kinds.values()) == {"simple"}
    cluster.delete_groups([*names, "never-was"])
    assert not {g.id for g in cluster.groups()} & set(names)


def described(cluster: KafkaCluster, name: str) -> Group | None:
    return next((g for g in cluster.groups() if g.id == name), None)


def test_groups_with_members(cluster: KafkaCluster, topic: str) -> None:
    kinds = {"classic": "range", **({"consumer": "uniform"} if cluster.name == "green" else {})}
    for kind, assignor in kinds.items():
        name = f"{topic}-{kind}"
        consumer = Consumer(
            client(cluster, **{"group.id": name, "client.id": "app-1", "group.protocol": kind})
        )
        consumer.subscribe([topic])

        def assigned(consumer: Consumer = consumer, name: str = name) -> bool:
            consumer.poll(0.1)
            group = described(cluster, name)
            return group is not None and any(len(m.assignment) == 6 for m in group.members)

        eventually("the group is stable", assigned)
        group = described(cluster, name)
        assert group is not None
        assert (group.kind, group.protocol, group.state) == (kind, assignor, "Stable")
        [member] = group.members
        assert member.client_id == "app-1"
        assert set(member.assignment) == set(parts(topic))
        with pytest.raises(StepFailed) as refused:
            cluster.commit(name, {parts(topic)[0]: 1})
        assert refused.value.code == "KO-GROUP-ACTIVE"
        consumer.close()
        cluster.commit(name, {parts(topic)[0]: 1})
        cluster.delete_groups([name])


def test_a_kip848_group_is_made_on_green(clusters: dict[str, KafkaCluster]) -> None:
    green, name = clusters["green"], f"seed-{uuid.uuid4().hex[:8]}"
    green.create_topic(name, SPREAD, {})
    green.seed_consumer_group(name, name)
    group = described(green, name)
    assert group is not None
    assert (group.kind, group.members, dict(group.offsets)) == ("consumer", (), {})
    green.commit(name, {parts(name)[3]: 9})
    assert green.committed(name) == {parts(name)[3]: 9}
    green.delete_groups([name])
    green.delete_topics([name])


def test_transactions_are_seen_aborted_and_fenced(cluster: KafkaCluster, topic: str) -> None:
    tp = parts(topic)[0]
    producer = Producer(client(cluster, **{"transactional.id": topic}))
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=0)
    producer.flush(10)
    assert (cluster.ends([tp])[tp].high_watermark, cluster.ends([tp])[tp].stable) == (1, 0)
    [mine] = [t for t in cluster.transactions() if t.transactional_id == topic]
    assert (mine.state, mine.partitions) == ("Ongoing", (tp,))
    [state] = cluster.producers([tp])
    assert state.txn_start == 0
    cluster.abort_transaction(state)
    assert cluster.ends([tp])[tp].stable == 2  # the record and the marker
    cluster.abort_transaction(state)  # ended: nothing more is written
    assert cluster.ends([tp])[tp].stable == 2
    assert cluster.consume(tp, 0, 10) == ()
    cluster.fence_transactional_id(topic)
    with pytest.raises(Exception, match=r"(?i)fenced|epoch|state"):
        producer.commit_transaction(10)


def test_producer_ids_of_green_pass_blues(clusters: dict[str, KafkaCluster]) -> None:
    blue, green = clusters["blue"], clusters["green"]
    assert blue.init_producer_ids(2, 2500) > 2000
    taken = {n: blue.init_producer_ids(n, 1) for n in blue.brokers_up()}
    aim = goal([], taken)
    reached = {n: green.init_producer_ids(n, 1) for n in green.brokers_up()}
    while todo := needed(reached, aim):
        reached |= {n: green.init_producer_ids(n, count) for n, count in todo.items()}
    assert min(green.init_producer_ids(n, 1) for n in NODES) > max(taken.values())


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


ACLS = tuple(
    Acl(kind, name, pattern, "User:a", "10.0.0.1", operation, permission)
    for kind, name, operation in (
        ("TOPIC", "pay", "WRITE"),
        ("GROUP", "pay", "READ"),
        ("TRANSACTIONAL_ID", "pay", "DESCRIBE"),
        ("CLUSTER", "kafka-cluster", "IDEMPOTENT_WRITE"),
    )
    for pattern in (("LITERAL", "PREFIXED") if kind != "CLUSTER" else ("LITERAL",))
    for permission in ("ALLOW", "DENY")
)
QUOTAS = (
    Quota((("client-id", "c"), ("user", None)), (("producer_byte_rate", 1e6),)),
    Quota((("user", "u"),), (("consumer_byte_rate", 2e6), ("request_percentage", 50.0))),
    Quota((("ip", "127.0.0.9"),), (("connection_creation_rate", 10.0),)),
)


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


def config(**more: object) -> Config:
    values: dict[str, object] = {
        "name": "pair", "blue": spec("blue"), "green": spec("green"),
        "mirror": Mirror(host="green-1", back_host="blue-1"),
        "cutover": Cutover(
            hosted_zone="Z0LAB", alias=ALIAS,
            broker_names={n: f"b{n}.kafka.lab" for n in NODES},
        ),
        **more,
    }  # fmt: skip
    return Config.model_validate(values)


class BlueRecords:
    """Names as they should be before a move."""

    def records(self, names: list[str]) -> tuple[Record, ...]:
        alias = Record(ALIAS, "A", 60, tuple(f"127.0.1.{n}" for n in NODES))
        own = (Record(f"b{n}.kafka.lab", "A", 60, (f"127.0.1.{n}",)) for n in NODES)
        return (alias, *own)


def test_parity_and_refusals_end_to_end(clusters: dict[str, KafkaCluster]) -> None:
    blue, green = clusters["blue"], clusters["green"]
    names = ["orders", "stamped", "small"]
    blue.create_topic(
        "orders", SPREAD, {"cleanup.policy": "compact,delete", "message.format.version": "2.8-IV1"}
    )
    blue.create_topic("stamped", SPREAD, {"message.timestamp.type": "LogAppendTime"})
    blue.create_topic("small", {0: [2, 3]}, {"segment.bytes": "100000"})
    blue.alter_broker_config(None, {"log.retention.ms": "55555555"})
    blue.create_acls(ACLS)
    blue.alter_quotas(QUOTAS)
    wanted = config()
    seen = refusals.collect(blue, green, BlueRecords(), wanted)  # type: ignore[arg-type]
    found = refusals.find(seen, wanted)
    assert refusals.move_mode(seen.blue, seen.green, wanted) == "shared"
    assert {f"{f.code}:{f.subject}" for f in found if f.blocks and f.code != "KO-TXN-IDS"} == {
        "KO-RF-MIN-ISR:small"
    }
    first = parity.between(blue, green, wanted)
    assert {t.name for t in first.create} == set(names)
    parity.apply(first, green)
    after = parity.between(blue, green, wanted)
    told = after.lines()  # nothing to change, but what waits for the cut and cannot be carried
    assert after.empty, told
    values = {n: t.config.values for n, t in green.topics(configs=True).items()}
    assert values["orders"]["retention.ms"] == "55555555"
    assert values["orders"]["message.timestamp.after.max.ms"] == str(2**63 - 1)
    assert values["stamped"]["message.timestamp.type"] == "CreateTime"
    assert {p.tp.partition: list(p.replicas) for p in green.topics()["orders"].partitions} == SPREAD
    rows = [list(d) for d in after.deferred]
    parity.apply_deferred(rows, green)
    kept = green.topics(configs=True)["stamped"].config.values["message.timestamp.type"]
    assert kept == "LogAppendTime"
    parity.reopen_deferred(rows, green)
    assert parity.between(blue, green, wanted).lines() == told
    blue.create_topic("late", {0: [1, 2, 3]}, {})
    late = parity.between(blue, green, wanted)
    assert [t.name for t in late.create] == ["late"]
    parity.apply(late, green)
    assert parity.between(blue, green, wanted).lines() == told
    green.produce(TopicPartition("late", 0), [(None, b"stray")])
    seen = refusals.collect(blue, green, BlueRecords(), wanted)  # type: ignore[arg-type]
    assert "KO-GREEN-RECORDS:late" in {
        f"{f.code}:{f.subject}" for f in refusals.find(seen, wanted) if f.blocks
    }
    for cluster in (blue, green):
        cluster.delete_topics([*names, "late"])
        cluster.delete_acls(ACLS)
        cluster.alter_quotas([], QUOTAS)
    blue.alter_broker_config(None, {}, ["log.retention.ms"])


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
    green.commit_all(groups)  # coordinators and leaders are known now, some of them on broker 2
    control.call(socket, "kill", name="green-2/kafka", signal="KILL")
    try:
        assert len(green.ends(parts(topic))) == 6
        green.commit_all(groups)
        state = green.snapshot()
        assert [b.id for b in state.brokers] == [1, 3]
        assert {g.id for g in state.groups} >= set(groups)
    finally:
        control.call(socket, "start", name="green-2/kafka")
    eventually("broker 2 is back", lambda: green.brokers_up() == NODES)
    eventually(
        "all replicas are in sync",
        lambda: all(len(p.isr) == 3 for p in green.topics()[topic].partitions),
    )
    assert green.snapshot().broker_config[2]["node.id"] == "2"
    green.delete_groups(list(groups))
    green.delete_topics([topic])
