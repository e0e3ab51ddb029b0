"""Where a partition stands, told by two who do not speak at the same moment."""

from __future__ import annotations

import pytest

from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.model.reassignment import Reassignment
from kafkaops.placement.applying.standing import Stand, stand
from kafkaops.placement.moves import Move

TP = TopicPartition("t", 0)
MOVE = Move(TP, (1, 2, 3), (4, 2, 1))
ON_ITS_WAY = Reassignment((4, 2, 1, 3), (4,), (3,))


@pytest.mark.parametrize(
    ("replicas", "moving", "found"),
    [
        ((1, 2, 3), None, Stand.BEFORE),
        ((2, 1, 3), None, Stand.BEFORE),  # called off: the brokers are back, the order is not
        ((4, 2, 1, 3), ON_ITS_WAY, Stand.MOVING),
        ((1, 2, 3), ON_ITS_WAY, Stand.MOVING),  # a broker that is late
        ((4, 2, 1, 3), None, Stand.SETTLING),
        ((4, 2, 1), None, Stand.THERE),
        ((2, 4, 1), None, Stand.BEFORE),  # there, in another order: sent once more
        ((5, 2, 1), None, Stand.STRANGE),
        ((1, 2, 3), Reassignment((5, 2, 1, 3), (5,), (3,)), Stand.STRANGE),
        (None, None, Stand.GONE),
    ],
)
def test_it_stands(
    replicas: tuple[int, ...] | None, moving: Reassignment | None, found: Stand
) -> None:
    part = None if replicas is None else Partition(TP, 1, 0, replicas, replicas)
    assert stand(MOVE, part, moving) is found


def test_more_replicas_are_not_there_before_they_are_in_sync() -> None:
    more = Move(TP, (1, 2), (1, 2, 3))
    part = Partition(TP, 1, 0, (1, 2, 3), (1, 2))
    assert stand(more, part, Reassignment((1, 2, 3), (3,), ())) is Stand.MOVING
