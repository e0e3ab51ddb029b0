"""`verify` and `offsets translate`: exit codes, exact places, and whose map is asked."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.cli.terminal import Terminal
from kafkaops.engine.facts import FileFacts
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


def test_a_cluster_without_topics_has_nothing_to_compare(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.snapshots["blue"] = replace(operations.snapshots["blue"], topics={})
    code, document, _ = kafkaops("verify", "blue", "green")
    assert (code, document["equal"], document["records"]) == (0, True, 0)
    assert operations.comparison.started == 0


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


def test_a_partition_that_is_not_there_is_a_difference(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.snapshots["green"] = replace(operations.snapshots["green"], topics={})
    code, document, _ = kafkaops("verify", "blue", "green")
    assert code == 20
    assert document["differences"][0]["detail"] == "the partition is not on green"


def test_a_target_that_ends_too_early_is_a_mismatch(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.comparison.behind = 3
    code, document, _ = kafkaops("verify", "blue", "green")
    assert (code, document["error"]["code"]) == (20, "KO-VERIFY-SHORT")
    assert "3 records of blue are not on green" in document["error"]["message"]
    assert "t-3 at source offset 5 of 8" in document["error"]["message"]


def test_live_compares_what_is_there(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    code, document, _ = kafkaops("verify", "blue", "green", "--live")
    assert (code, document["equal"], document["records"]) == (0, True, 7)
    assert operations.comparison.sealed == 0


def test_what_is_found_a_moment_later_is_waited_for(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    """The first looks find nothing left to compare: where the logs end is not known yet."""
    operations.comparison.differences = (Difference(TP, "altered", 41, 40),)
    operations.comparison.late = 5
    assert kafkaops("verify", "blue", "green", "--live")[0] == 20
    assert operations.comparison.looks >= 5


def test_a_comparison_that_cannot_go_on_is_no_verdict(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.comparison.error = "broker 2 is gone"
    code, document, _ = kafkaops("verify", "blue", "green", "--live", "--timeout", "0.3")
    assert (code, document["error"]["code"]) == (7, "KO-VERIFY-TIMEOUT")
    assert "broker 2 is gone" in document["error"]["message"]
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
def test_after_the_cut_the_two_maps_meet(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    """Up to the cut the way there answers, from its sealed map; past it the way back does."""
    (run,) = (config.parent / "state" / "runs").iterdir()
    FileFacts(run / "facts").put("forward.proof", {"t/3": {"source_end": 5, "target_end": 105}})
    code, document, _ = kafkaops("offsets", "translate")
    assert code == 0
    rows = {r["group"]: (r["source"], r["target"]) for r in document["offsets"]}
    assert rows == {"g": (5, 105), "h": (6, -94)}
    assert operations.ways == ["back", "forward"]
    assert operations.comparison.started == 1


@pytest.mark.usefixtures("ran")
def test_offsets_kept_outside_kafka(
    kafkaops: Kafkaops, operations: FakeOperations, tmp_path: Path
) -> None:
    file = tmp_path / "flink.csv"
    file.write_text("topic,partition,offset\nt,3,10\nt,3,11\n")
    code, out, _ = kafkaops("offsets", "translate", "--file", str(file), "--csv", json_=False)
    assert code == 0
    assert out == "group,topic,partition,source,target\n,t,3,10,110\n,t,3,11,111\n"
    operations.seat = Terminal(io.StringIO("offset,topic,partition\n1,t,3\n"))
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
