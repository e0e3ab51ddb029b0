"""Health: each trouble is found, named, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.model.cluster import Broker, ClusterState, Quorum
from kafkaops.model.health import Level, judge
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition


def topic(
    name: str, *, leader: int = 1, isr: tuple[int, ...] = (1, 2, 3), rf: int = 3, **config: str
) -> Topic:
    part = Partition(TopicPartition(name, 0), leader, 0, tuple(range(1, rf + 1)), isr)
    values = {key.replace("_", "."): value for key, value in config.items()}
    return Topic(name, "", False, (part,), TopicConfig(values, {}))


def state(*topics: Topic) -> ClusterState:
    return ClusterState(
        cluster_id="c",
        taken=0.0,
        controller=1,
        brokers=tuple(Broker(n, f"h{n}", 9094, None) for n in (1, 2, 3)),
        topics={t.name: t for t in topics},
        quorum=Quorum(1, 1, 100, {1: 100, 2: 100, 3: 99}),
    )


HEALTHY = state(topic("t", min_insync_replicas="2"))


def silent(*voters: int) -> Quorum:
    """These ended 30 s ago, in an idle cluster."""
    now = 1_700_000_000_000
    ends = {n: 940 if n in voters else 1000 for n in (1, 2, 3)}
    times = {n: now - 30_000 if n in voters else now - 400 for n in (2, 3)}
    return Quorum(1, 1, 1000, ends, caught_up={1: now, **times})


def test_healthy() -> None:
    health = judge(HEALTHY, expected=(1, 2, 3))
    assert health.verdict is Level.OK, health
    assert all(not c.items for c in health.checks)
    assert judge(replace(HEALTHY, quorum=silent())).verdict is Level.OK


@pytest.mark.parametrize(
    ("sick", "name", "level", "items"),
    [
        (state(topic("t", leader=-1, isr=())), "offline partitions", Level.BAD, ("t-0",)),
        (state(topic("t", isr=(1, 2))), "under-replicated", Level.BAD, ("t-0",)),
        (
            state(topic("t", isr=(1,), min_insync_replicas="2")),
            "under min ISR",
            Level.BAD,
            ("t-0",),
        ),
        (replace(HEALTHY, controller=-1), "controller", Level.BAD, ()),
        (replace(HEALTHY, brokers=HEALTHY.brokers[:2]), "brokers", Level.BAD, ("3",)),
        (replace(HEALTHY, quorum=Quorum(-1, 1, 0, {1: 0})), "quorum", Level.BAD, ()),
        (
            replace(HEALTHY, quorum=Quorum(1, 1, 0, {1: 9000, 2: 9000, 3: 5})),
            "quorum",
            Level.WARN,
            ("3",),
        ),
        (
            replace(HEALTHY, quorum=Quorum(1, 1, 0, {1: 9000, 2: 7, 3: 5})),
            "quorum",
            Level.BAD,
            ("2", "3"),
        ),
        (
            replace(HEALTHY, quorum=silent(3)),
            "quorum",
            Level.WARN,
            ("3",),
        ),
        (
            replace(HEALTHY, quorum=silent(2, 3)),
            "quorum",
            Level.BAD,
            ("2", "3"),
        ),
        (
            replace(HEALTHY, reassigning=(TopicPartition("t", 0),)),
            "reassignments",
            Level.WARN,
            ("t-0",),
        ),
        (
            state(topic("t", unclean_leader_election_enable="true")),
            "unclean election",
            Level.WARN,
            ("t",),
        ),
    ],
)
def test_each_trouble(sick: ClusterState, name: str, level: Level, items: tuple[str, ...]) -> None:
    health = judge(sick, expected=(1, 2, 3))
    found = {c.name: c for c in health.checks}
    assert (found[name].level, found[name].items) == (level, items)
    assert health.verdict is level


def test_under_min_isr_is_capped_at_the_replica_count() -> None:
    """A topic with RF 1 under min.insync.replicas=2 takes acks=all writes."""
    health = judge(state(topic("t", isr=(1,), rf=1, min_insync_replicas="2")), expected=(1, 2, 3))
    assert health.verdict is Level.OK


def test_without_expected_brokers_replicas_say_who_should_be_there() -> None:
    sick = replace(HEALTHY, brokers=HEALTHY.brokers[:2])
    assert judge(sick).verdict is Level.BAD


def test_controllers_on_hosts_of_their_own_are_no_missing_brokers() -> None:
    apart = replace(HEALTHY, quorum=Quorum(101, 1, 100, {101: 100}, {1: 100, 2: 100, 3: 100}))
    assert judge(apart, expected=(1, 2, 3, 101)).verdict is Level.OK
    sick = replace(apart, brokers=apart.brokers[:2])
    found = {c.name: c for c in judge(sick, expected=(1, 2, 3, 101)).checks}
    assert found["brokers"].items == ("3",)
