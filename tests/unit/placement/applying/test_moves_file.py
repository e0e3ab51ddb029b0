"""Moves out of a file."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.engine.errors import UsageFault
from kafkaops.model.cluster import Broker, ClusterState
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.placement.applying import moves_file
from kafkaops.placement.moves import DirMove, Move

TP = TopicPartition("t", 0)
STATE = ClusterState(
    "C",
    0.0,
    1,
    tuple(Broker(b, f"b{b}", 9094, None) for b in (1, 2, 3)),
    {"t": Topic("t", "", False, (Partition(TP, 1, 0, (1, 2), (1, 2)),))},
    replica_bytes={TP: 77},
)


def kafkas(*rows: tuple[str, int, list[Any]]) -> dict[str, Any]:
    parts = [{"topic": t, "partition": p, "replicas": r} for t, p, r in rows]
    return {"version": 1, "partitions": parts}


def test_kafkas_own_format_begins_from_what_there_is() -> None:
    moves, dirs = moves_file.read(kafkas(("t", 0, [3, 1])), STATE)
    assert (moves, dirs) == ((Move(TP, (1, 2), (3, 1), 77),), ())
    assert moves_file.read(kafkas(("t", 0, [1, 2])), STATE)[0] == ()


def test_ours_says_what_was_before() -> None:
    row = {"topic": "t", "partition": 0, "before": [2, 1], "after": [3, 1]}
    nested = {"tp": {"topic": "t", "partition": 0}, "before": [2, 1], "after": [3, 1]}
    for one in (row, nested):
        assert moves_file.read({"moves": [one]}, STATE)[0] == (Move(TP, (2, 1), (3, 1), 77),)
    between = {"topic": "t", "partition": 0, "broker": 1, "source": "/a", "target": "/b"}
    found = moves_file.read({"moves": [], "dir_moves": [between]}, STATE)
    assert found == ((), (DirMove(TP, 1, "/a", "/b"),))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"cluster_id": "D", "moves": []}, "it is of cluster D, and this is C"),
        ([], "neither a list of moves"),
        (kafkas(("t", 0, [3, 3])), "a broker is named twice"),
        (kafkas(("t", 0, [3]), ("t", 0, [2])), "t-0 is in it 2 times"),
        (kafkas(("t", 1, [3])), "the cluster has no t-1"),
        (kafkas(("x", 0, [3])), "the cluster has no x-0"),
        (kafkas(("t", 0, [9])), "broker 9, which is not up"),
        (kafkas(("t", 0, ["3"])), "no list of broker ids"),
        ({"partitions": [{"topic": "t"}]}, "names no topic and partition"),
    ],
)
def test_what_cannot_be_carried_out_is_named(document: Any, why: str) -> None:
    with pytest.raises(UsageFault, match=why) as fault:
        moves_file.read(document, STATE)
    assert fault.value.code == "KO-PLACEMENT-FILE"
