"""What keeps a wave from beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kafkaops.engine.step import Blocked
from kafkaops.model.cluster import LogDir
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.placement.applying import gate
from kafkaops.placement.moves import Move

GIB = 1 << 30
MINE, OTHER = TopicPartition("t", 0), TopicPartition("o", 0)
MOVE = Move(MINE, (1, 2, 3), (1, 2, 4), GIB)


def topic(
    tp: TopicPartition, replicas: tuple[int, ...], isr: tuple[int, ...], leader: int
) -> Topic:
    config = TopicConfig({"min.insync.replicas": "2"}, {})
    return Topic(tp.topic, "", False, (Partition(tp, leader, 0, replicas, isr),), config)


def judged(
    move: Move = MOVE,
    *,
    isr: tuple[int, ...] = (1, 2, 3),
    leader: int = 1,
    replicas: tuple[int, ...] = (1, 2, 3),
    other: tuple[int, ...] = (1, 2, 3),
    moving: Mapping[TopicPartition, Reassignment] | None = None,
    up: tuple[int, ...] = (1, 2, 3, 4),
    free: int = 100 * GIB,
    **more: Any,
) -> Blocked | None:
    topics = {"t": topic(MINE, replicas, isr, leader), "o": topic(OTHER, (1, 2, 3), other, 1)}
    dirs = {4: (LogDir("/a", usable=free),)}
    return gate.judge([move], gate.Seen(moving or {}, topics, up, dirs), **more)


def test_a_sound_cluster_lets_it_pass() -> None:
    assert judged() is None


@pytest.mark.parametrize(
    ("seen", "code", "transient"),
    [
        ({"leader": -1, "isr": ()}, "KO-PLACEMENT-OFFLINE", True),
        ({"isr": (1, 3)}, "KO-PLACEMENT-ISR", True),  # 2 stays, and is late
        ({"other": (1, 2)}, "KO-PLACEMENT-UNDER-REPLICATED", True),
        ({"up": (1, 2, 3)}, "KO-PLACEMENT-BROKER-DOWN", True),
        ({"free": GIB - 1}, "KO-PLACEMENT-DISK", True),
        ({"free": 2 * GIB - 1, "reserve": GIB}, "KO-PLACEMENT-DISK", True),
        ({"replicas": (5, 6, 7)}, "KO-PLACEMENT-FOREIGN", False),
        ({"moving": {MINE: Reassignment((5, 1), (5,), ())}}, "KO-PLACEMENT-FOREIGN", False),
    ],
)
def test_it_waits_or_refuses(seen: dict[str, Any], code: str, transient: bool) -> None:
    found = judged(**seen)
    assert found is not None
    assert (found.code, found.transient) == (code, transient)
    assert found.hint


def test_a_replica_that_the_move_takes_away_need_not_be_in_sync() -> None:
    assert judged(isr=(1, 2)) is None


def test_a_broker_that_was_down_from_the_start_holds_nothing_up() -> None:
    assert judged(other=(1, 2), up=(1, 2, 4), down=[3]) is None
    assert judged(other=(1, 2), up=(1, 2, 4)) is not None, "it died since"
    assert judged(other=(1, 2), down=[3]) is not None, "it is back, and catches up"


def test_every_replica_that_stays_has_to_be_in_sync_however_many_are() -> None:
    """Kafka would not end the move before: min.insync.replicas has nothing to do with it."""
    wide = Move(MINE, (1, 2, 3, 5), (1, 2, 3, 4), GIB)
    found = judged(wide, replicas=(1, 2, 3, 5), isr=(1, 2, 5))
    assert found is not None
    assert found.code == "KO-PLACEMENT-ISR"
    assert "t-0 on broker 3" in found.reason
    order = Move(MINE, (1, 2, 3), (2, 1, 3), GIB)
    assert judged(order, isr=(1, 2)) is None, "another order ends at once"


def test_what_the_plan_itself_takes_away_need_not_catch_up_first() -> None:
    assert judged(other=(1, 2), removed={OTHER: (3,)}) is None
    assert judged(other=(1,), removed={OTHER: (3,)}) is not None, "2 lags, and stays"


def test_somebody_elses_move_elsewhere_is_no_under_replication() -> None:
    elsewhere = {OTHER: Reassignment((4, 1, 2, 3), (4,), (3,))}
    assert judged(other=(1, 2), moving=elsewhere) is None


def test_fewer_replicas_wait_until_enough_of_the_rest_are_in_sync() -> None:
    fewer = Move(MINE, (1, 2, 3), (1, 2), GIB)
    assert judged(fewer, isr=(1, 3)) is not None
    assert judged(fewer, isr=(1, 2)) is None
    assert judged(fewer) is None


def test_room_that_a_broker_does_not_tell_is_not_judged() -> None:
    assert judged(free=-1) is None
