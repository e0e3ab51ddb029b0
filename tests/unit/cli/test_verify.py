"""`verify` and `offsets translate`: exit codes, exact places, and whose map is asked."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from kafkaops.model.cluster import ClusterState, Group
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.ports.verification import Difference
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations

TP = TopicPartition("t", 3)


@pytest.fixture
def operations() -> FakeOperations:
    topic = Topic("t", "", False, (Partition(TP, 1, 0, (1,), (1,)),))
    hidden = TopicPartition("__consumer_offsets", 0)
    internal = Topic(hidden.topic, "", True, (Partition(hidden, 1, 0, (1,), (1,)),))
    state = ClusterState(
        cluster_id="c",
        taken=0.0,
        controller=1,
        brokers=(),
        topics={"t": topic, hidden.topic: internal},
        groups=(
            Group("g", "classic", "Empty", "", (), {TP: 5}),
            Group("h", "classic", "Empty", "", (), {TP: 6}),
        ),
    )
    fake = FakeOperations()
    fake.snapshots = {"blue": state, "green": state}
    return fake


def test_equal(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    code, document, _ = kafkaops("verify", "blue", "green")
    assert (code, document["equal"], document["records"]) == (0, True, 8)
    assert [p["tp"] for p in document["partitions"]] == [{"topic": "t", "partition": 3}]
    assert operations.compared == [("10.0.0.1:9094", "10.0.1.1:9094")]
    assert operations.comparison.stopped == 1


@pytest.mark.parametrize("when", ["differences", "at_seal"])
def test_each_difference_is_named_with_its_offsets(
    kafkaops: Kafkaops, operations: FakeOperations, when: str
) -> None:
    planted = (Difference(TP, "altered", 41, 40, "value"), Difference(TP, "gap", 50, -1))
    setattr(operations.comparison, when, planted)
    code, out, err = kafkaops("verify", "blue", "green", json_=False)
    assert code == 20
    assert "t\t3\taltered\t41\t40\tvalue" in out.splitlines()
    assert "differ in 2 places" in err
    assert operations.comparison.stopped == 1


def test_a_gap_alone_is_21(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    operations.comparison.differences = (Difference(TP, "gap", 50, -1),)
    code, document, _ = kafkaops("verify", "blue", "green")
    assert (code, document["exit"], document["equal"]) == (21, 21, False)


def test_a_comparison_that_fails_is_no_verdict(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.comparison.error = "broker 2 is gone"
    code, document, _ = kafkaops("verify", "blue", "green")
    assert (code, document["error"]["code"]) == (8, "KO-VERIFY-FAILED")
    assert operations.comparison.stopped == 1


@pytest.fixture
def ran(kafkaops: Kafkaops) -> None:
    kafkaops("upgrade", "--strategy", "blue-green", "--yes")


@pytest.mark.usefixtures("ran")
def test_offsets_of_groups(kafkaops: Kafkaops) -> None:
    code, out, _ = kafkaops("offsets", "translate", json_=False)
    assert code == 0
    assert out == "group\ttopic\tpartition\tsource\ttarget\ng\tt\t3\t5\t105\nh\tt\t3\t6\t106\n"
    code, document, _ = kafkaops("offsets", "translate", "--back", "--group", "h")
    assert [r["target"] for r in document["offsets"]] == [-94]
    assert (document["source"], document["target"]) == ("green", "blue")
    assert kafkaops("offsets", "translate", "--group", "x")[1]["error"]["code"] == (
        "KO-GROUP-UNKNOWN"
    )


@pytest.mark.usefixtures("ran")
def test_offsets_kept_outside_kafka(
    kafkaops: Kafkaops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flink.csv"
    file.write_text("topic,partition,offset\nt,3,10\nt,3,11\n")
    code, out, _ = kafkaops("offsets", "translate", "--file", str(file), "--csv", json_=False)
    assert code == 0
    assert out == "group,topic,partition,source,target\n,t,3,10,110\n,t,3,11,111\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("offset,topic,partition\n1,t,3\n"))
    document = kafkaops("offsets", "translate", "--file", "-")[1]
    assert document["offsets"][0]["target"] == 101


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("topic,partition\nt,3\n", "no column offset"),
        ("topic,partition,offset\nt,x,1\n", "must be numbers"),
    ],
)
def test_a_bad_csv_names_the_place(
    kafkaops: Kafkaops, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    code, document, _ = kafkaops("offsets", "translate", "--file", str(file))
    assert code == 2
    assert words in document["error"]["message"]


def test_offsets_without_a_run(kafkaops: Kafkaops) -> None:
    assert kafkaops("offsets", "translate")[1]["error"]["code"] == "KO-RUN-NONE"
