"""`cluster`: what is shown, when health fails, what a snapshot file is good for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.cli.main import run
from kafkaops.engine.errors import Unreachable
from kafkaops.model.cluster import Broker, ClusterState, Group
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition
from kafkaops.upgrade.rolling.roster import Entry
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations

TP = TopicPartition("t", 0)


def state(*, isr: tuple[int, ...] = (1, 2), minimum: str = "1") -> ClusterState:
    part = Partition(TP, 1, 0, (1, 2), isr)
    topic = Topic("t", "", False, (part,), TopicConfig({"min.insync.replicas": minimum}, {}))
    return ClusterState(
        cluster_id="c",
        taken=0.0,
        controller=1,
        brokers=(Broker(1, "h1", 9094, "a", "3.9"), Broker(2, "h2", 9094, "b", "3.9")),
        topics={"t": topic},
        groups=(Group("g", "classic", "Stable", "range", (), {TP: 5}),),
    )


def test_health_is_exit_5_only_when_something_is_bad(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.snapshots = {"blue": state(), "green": state()}
    code, document, _ = kafkaops("cluster", "health")
    assert code == 0
    assert [(c["name"], c["verdict"]) for c in document["clusters"]] == [
        ("blue", "ok"),
        ("green", "ok"),
    ]
    operations.snapshots["green"] = state(isr=(1,), minimum="2")
    code, document, _ = kafkaops("cluster", "health", "green")
    assert code == 5
    found = {c["name"]: c["level"] for c in document["clusters"][0]["checks"]}
    assert (found["under-replicated"], found["under min ISR"]) == ("bad", "bad")
    assert kafkaops("cluster", "health", "blue")[0] == 0


def test_health_of_all_says_what_each_host_runs_and_is_exit_5_if_one_is_not_up(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.snapshots = {"blue": state(), "green": state()}
    up = Entry("b-1", 1, "active (running)", "3.9.2", "4.3.1", 1e9, outdated=True)
    operations.entries = {"old": [up]}
    code, out, _ = kafkaops("health", json_=False)
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("b-1"))
    assert row.split("\t")[2:] == [
        "active (running)",
        "3.9.2",
        "4.3.1",
        "2001-09-09T01:46:40Z",
        "configuration changed since its start",
    ]
    operations.entries["new"] = [Entry("g-1", 1, trouble="KO-HOST-AWAY: it does not answer")]
    code, document, _ = kafkaops("health")
    assert code == 5
    assert document["clusters"][1]["hosts"][0]["trouble"].startswith("KO-HOST-AWAY")


def test_health_of_a_cluster_that_is_down_still_says_what_its_hosts_run(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.snapshots = {"blue": state()}
    operations.silent = {"green": Unreachable("KO-KAFKA-AWAY", "nobody at 10.0.2.1:9094")}
    operations.entries = {"new": [Entry("g-1", 1, "failed (failed)", "", "4.3.1")]}
    code, document, _ = kafkaops("health")
    assert (code, [c["verdict"] for c in document["clusters"]]) == (5, ["ok", "bad"])
    [check] = document["clusters"][1]["checks"]
    assert check["text"] == "does not answer: nobody at 10.0.2.1:9094"
    assert document["clusters"][1]["hosts"][0]["unit"] == "failed (failed)"
    code, _, said = kafkaops("health", json_=False)
    assert code == 5
    assert "new: bad: does not answer" in said
    assert "new: bad; not up: g-1" in said


def test_health_misses_a_broker_that_the_config_names(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    whole = state()
    operations.snapshots = {"blue": replace(whole, brokers=whole.brokers[:1], topics={})}
    code, out, _ = kafkaops("cluster", "health", "blue", json_=False)
    assert code == 5
    assert "blue\tbrokers\tbad\t1 up, not up: 2" in out.splitlines()


def test_a_cluster_by_address_needs_no_config(
    operations: FakeOperations, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    operations.snapshots = {"10.9.9.9:9094": state()}
    code = run(["cluster", "health", "10.9.9.9:9094", "-o", "json"], operations)
    assert code == 0
    assert json.loads(capsys.readouterr().out)["clusters"][0]["name"] == "10.9.9.9:9094"


def test_an_unknown_cluster_names_the_known(kafkaops: Kafkaops) -> None:
    code, document, _ = kafkaops("cluster", "show", "blu")
    assert code == 2
    assert document["error"]["hint"] == "blue (old), green (new), or HOST:PORT"


def test_show(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    operations.snapshots = {"blue": state()}
    code, out, err = kafkaops("cluster", "show", "old", "--topics", "--groups", json_=False)
    assert code == 0
    lines = out.splitlines()
    assert "blue\t1\th1\t9094\ta\t3.9\t1\t1\t-\t-" in lines
    assert "blue\tt\t1\t2\t-\tno" in lines
    assert "blue\tg\tclassic\tStable\t0\t1" in lines
    assert "1 topics, 1 partitions" in err


def test_snapshots_and_their_difference(
    kafkaops: Kafkaops, operations: FakeOperations, tmp_path: Path
) -> None:
    operations.snapshots = {"blue": state(), "green": replace(state(), topics={})}
    file = str(tmp_path / "blue.json")
    assert kafkaops("cluster", "snapshot", "blue", "--out", file)[0] == 0
    code, document, _ = kafkaops("cluster", "diff", file, "green")
    assert (code, document["equal"]) == (0, False)
    assert document["difference"]["create"][0]["name"] == "t"
    assert kafkaops("cluster", "diff", file, "green", "--detailed-exitcode")[0] == 10
    assert kafkaops("cluster", "diff", file, file, "--detailed-exitcode")[0] == 0
    Path(file).write_text('{"kind": "cluster-state", "schema_version": 1, "state": {}}')
    code, document, _ = kafkaops("cluster", "diff", file, "green")
    assert (code, document["error"]["code"]) == (2, "KO-SNAPSHOT-BROKEN")


def test_green_alone_is_emptied_and_only_when_its_name_is_typed(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    assert kafkaops("cluster", "clear", "green")[1]["outcome"] == "nothing-to-do"
    operations.topics = {"orders": 6, "payments": 3}
    code, document, _ = kafkaops("cluster", "clear", "blue", "--confirm", "orders")
    assert (code, document["error"]["code"]) == (2, "KO-CLEAR-WHICH")
    code, document, _ = kafkaops("cluster", "clear", "green")
    assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert operations.done == []
    name = document["error"]["where"]
    code, document, _ = kafkaops("cluster", "clear", "green", "--confirm", name)
    assert code == 0
    assert (document["outcome"], document["topics"]) == ("done", ["orders", "payments"])
    assert operations.done == ["clear"]
    assert kafkaops("run", "list")[1]["runs"][0]["operation"] == "clear"
