"""`verify` over two logs in which a test planted one difference: named exactly, exit 20.

The comparison is the real one; only the brokers are logs in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaops.adapters.verification import LogVerification
from kafkaops.config.schema import Config
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import Ends, Partition, Topic, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.verification import Verification
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations, ToyCluster
from tests.unit.verify.batches import Rec
from tests.unit.verify.fake_log import TOPICS, A, B, FakeCluster, cluster, recs

COUNT, AT = 600, 234
"""Records of a partition; where the difference is planted."""

Plant = Callable[[list[Rec]], None]


def altered(records: list[Rec]) -> None:
    records[AT] = Rec(AT, records[AT].key, b"another value")


def missing(records: list[Rec]) -> None:
    del records[AT]


def one_too_many(records: list[Rec]) -> None:
    records.insert(AT, Rec(AT, b"k", b"of nobody"))


def swapped(records: list[Rec]) -> None:
    records[AT], records[AT + 1] = records[AT + 1], records[AT]


class OnLogs(ToyCluster):
    """A toy cluster whose ends are those of logs in memory."""

    def __init__(self, state: ClusterState, logs: FakeCluster) -> None:
        super().__init__(state)
        self.logs = logs

    def ends(self, partitions: Any) -> Mapping[TopicPartition, Ends]:
        return self.logs.bounds(partitions)


@dataclass
class RealComparison(FakeOperations):
    """Both clusters are logs in memory, compared for real."""

    logs: dict[str, FakeCluster] = field(default_factory=dict)

    def clock(self) -> Clock:
        return SystemClock()

    def cluster(self, config: Config, colour: str) -> Cluster:
        return cast(Cluster, OnLogs(self.snapshots[colour], self.logs[colour]))

    def verification(self, config: Config, direction: str, facts: Any, work: Path) -> Verification:
        blue, green = self.logs["blue"], self.logs["green"]
        return LogVerification(blue, green, lambda: dict(TOPICS), work, self.clock())


@pytest.fixture
def operations() -> FakeOperations:
    parts = tuple(Partition(tp, 1, 0, (1,), (1,)) for tp in (A, B))
    state = ClusterState(
        cluster_id="c",
        taken=0.0,
        controller=1,
        brokers=(),
        topics={"a": Topic("a", "", False, parts)},
    )
    logs = {name: cluster(name, limit=100_000) for name in ("blue", "green")}
    return RealComparison(snapshots={"blue": state, "green": state}, logs=logs)


def fill(operations: FakeOperations, plant: Plant) -> None:
    """The same records in both, save what is planted into partition 1 of green."""
    assert isinstance(operations, RealComparison)
    changed = recs(0, COUNT)
    plant(changed)
    for tp in (A, B):
        for at in range(0, COUNT, 60):
            operations.logs["blue"].write(tp, *recs(at, 60), codec=3)
        theirs = recs(0, COUNT) if tp == A else changed
        for at in range(0, len(theirs), 25):
            operations.logs["green"].write(tp, *theirs[at : at + 25])


@pytest.mark.parametrize(
    ("plant", "places"),
    [
        (altered, [("altered", AT, AT)]),
        (missing, [("missing", AT, -1)]),
        (one_too_many, [("extra", -1, AT)]),
        (swapped, [("reordered", AT, AT + 1), ("reordered", AT + 1, AT)]),
    ],
)
def test_a_planted_difference_is_named_to_people_and_in_json(
    kafkaops: Kafkaops,
    operations: FakeOperations,
    plant: Plant,
    places: list[tuple[str, int, int]],
) -> None:
    fill(operations, plant)
    code, document, _ = kafkaops("verify", "blue", "green")
    assert (code, document["exit"], document["equal"]) == (20, 20, False)
    found = [
        (d["tp"], d["kind"], d["source_offset"], d["target_offset"])
        for d in document["differences"]
    ]
    assert found == [({"topic": "a", "partition": 1}, *place) for place in places]
    code, out, err = kafkaops("verify", "blue", "green", json_=False)
    assert code == 20
    head, *rows = out.splitlines()
    assert head.startswith("topic\tpartition\tdifference\tsource offset\ttarget offset")
    assert [row.split("\t")[:5] for row in rows] == [["a", "1", *map(str, p)] for p in places]
    assert f"blue and green differ in {len(places)} places" in err
