"""`upgrade batches`: from a cluster, from a file without any config, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.cli.main import run
from kafkaops.cli.output import Text
from kafkaops.cli.upgrade_batches import _parts
from kafkaops.model.cluster_json import to_json
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade.batches import Limits, plan
from kafkaops.upgrade.batches_moves import Advice, Move
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations
from tests.unit.upgrade.placements import cluster, grown, topic

RACKS: dict[int, str | None] = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
ROWS = [(a, b, c) for a in (1, 4) for b in (2, 5) for c in (3, 6)]


@pytest.fixture
def saved(tmp_path: Path) -> str:
    file = tmp_path / "blue.json"
    file.write_text(json.dumps(to_json(cluster(RACKS, topic("t", ROWS)))))
    return str(file)


def test_from_a_file_without_a_config(
    saved: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKAOPS_CONFIG", raising=False)
    assert run(["upgrade", "batches", "--from", saved, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert (document["count"], document["bound"], document["proven"]) == (4, 4, True)
    assert document["max_batch"] == 3
    assert document["batches"][0] == {
        "nodes": [2], "role": "canary", "racks": ["b"], "leaders": 0, "at_minimum": 4,
    }  # fmt: skip
    assert document["advice"] is None


def test_from_a_cluster_of_the_config(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    operations.snapshots = {"green": cluster(RACKS, topic("t", ROWS))}
    code, document, _ = kafkaops("upgrade", "batches", "--cluster", "green", "--no-canary")
    assert (code, document["count"]) == (0, 3)
    code, document, _ = kafkaops(
        "upgrade", "batches", "--cluster", "green", "--no-canary", "--max-batch", "1"
    )
    assert (code, document["count"]) == (0, 6)


def test_the_table(kafkaops: Kafkaops, saved: str) -> None:
    code, out, err = kafkaops(
        "upgrade", "batches", "--from", saved, "--whole-racks", "--no-canary", json_=False
    )
    assert code == 0
    assert out.splitlines() == [
        "batch\trole\tnodes\tracks\tleaders\tat min ISR",
        "1\tbrokers\t1,4\ta\t8\t8",
        "2\tbrokers\t2,5\tb\t0\t8",
        "3\tbrokers\t3,6\tc\t0\t8",
    ]
    assert "3 batches; fewer are impossible" in err


def test_the_moves_are_shown(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    operations.snapshots = {"blue": grown(30, 3, 3_000, stray=0.002)}
    look = ("upgrade", "batches", "--cluster", "blue", "--whole-racks")
    code, document, _ = kafkaops(*look)
    moves = document["advice"]["moves"]
    assert (code, document["advice"]["count"]) == (0, 4)
    _, out, err = kafkaops(*look, json_=False)
    rows = [line for line in out.splitlines() if line.startswith("t-")]
    assert rows == [f"{m['partition']}\t{m['source']}\t{m['target']}" for m in moves]
    assert f"there would be 4 instead of {document['count']}" in err


def test_one_badly_placed_partition_is_said_of_one() -> None:
    found = plan(cluster(RACKS, topic("t", ROWS)), Limits(canary=False))
    advice = Advice((Move(TopicPartition("t", 3), 1, 4),), 3, 2)
    said = [part.text for part in _parts(replace(found, advice=advice)) if isinstance(part, Text)]
    assert said[1] == (
        "1 badly placed partition costs batches: with 1 replica moved there would be 2 instead of"
        " 3 batches"
    )


def test_what_no_order_can_keep_writable_needs_a_name(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.snapshots = {
        "blue": cluster(RACKS, topic("t", ROWS), topic("one", [(1,)], minimum=1))
    }
    code, document, _ = kafkaops("upgrade", "batches", "--cluster", "blue")
    assert code == 5
    assert document["never"] == [{"partition": "one-0", "rf": 1, "min_isr": 1, "accepted": False}]
    code, out, err = kafkaops("upgrade", "batches", "--cluster", "blue", json_=False)
    assert (code, "one-0\t1\t1\tno" in out.splitlines()) == (5, True)
    assert "--accept-unavailable one" in err
    code, document, _ = kafkaops(
        "upgrade", "batches", "--cluster", "blue", "--accept-unavailable", "on*"
    )
    assert (code, document["never"][0]["accepted"]) == (0, True)


@pytest.mark.parametrize(
    ("argv", "exit", "code", "words"),
    [
        ([], 2, "KO-USAGE", "one of --cluster and --from"),
        (["--cluster", "blue", "--from", "x"], 2, "KO-USAGE", "two clusters"),
        (["--cluster", "blu"], 2, "KO-CLUSTER-UNKNOWN", "'blu'"),
        (["--from", "/nowhere.json"], 2, "KO-FILE-READ", "/nowhere.json"),
        (["--cluster", "blue", "--max-batch", "0"], 2, "KO-MAX-BATCH", "0 brokers"),
        (["--cluster", "blue", "--max-batch", "many"], 2, "KO-USAGE", "valid integer"),
        (["--cluster", "blue", "--max-batch", "2", "--whole-racks"], 2, "KO-USAGE", "contradict"),
        (["--cluster", "blue", "--whole-racks"], 2, "KO-NO-RACKS", "no broker has a rack"),
    ],
)
def test_bad_input(
    kafkaops: Kafkaops,
    operations: FakeOperations,
    argv: list[str],
    exit: int,
    code: str,
    words: str,
) -> None:
    operations.snapshots = {"blue": cluster({1: None}, topic("t", [(1,)], minimum=1))}
    got, document, _ = kafkaops("upgrade", "batches", *argv)
    assert (got, document["error"]["code"]) == (exit, code)
    assert words in document["error"]["message"]


@pytest.mark.parametrize("text", ["{}", "[1]", "{", '{"kind": "cluster-state"}'])
def test_a_file_that_is_no_snapshot(kafkaops: Kafkaops, tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    got, document, _ = kafkaops("upgrade", "batches", "--from", str(file))
    assert got == 2
    assert document["error"]["code"] in ("KO-SNAPSHOT-BROKEN", "KO-FILE-JSON")
    assert document["error"]["where"] == str(file)


def test_a_snapshot_without_configs_is_refused(kafkaops: Kafkaops, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(to_json(cluster(RACKS, topic("t", ROWS, minimum=None)))))
    got, document, _ = kafkaops("upgrade", "batches", "--from", str(file))
    assert (got, document["error"]["code"]) == (5, "KO-MIN-ISR-UNKNOWN")


def test_flags_of_the_upgrade_itself_are_not_lost_silently(kafkaops: Kafkaops) -> None:
    got, document, _ = kafkaops("upgrade", "--yes", "batches", "--cluster", "blue")
    assert (got, document["error"]["code"]) == (2, "KO-USAGE")
    assert "--yes" in document["error"]["message"]
    got, document, _ = kafkaops("upgrade", "--yes")
    assert (got, document["error"]["message"]) == (2, "Missing option '--strategy'.")
