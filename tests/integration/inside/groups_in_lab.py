"""Groups, transactions and producer ids on real brokers."""

from __future__ import annotations

import threading
import uuid

import pytest
from confluent_kafka import Consumer, Producer

from kafkaops.adapters.kafka_cluster import KafkaCluster
from kafkaops.engine.errors import StepFailed
from kafkaops.model.cluster import Group
from kafkaops.upgrade.parity_producers import goal, needed
from tests.integration.inside.clusters import (
    NODES,
    SPREAD,
    client,
    eventually,
    parts,
)


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
