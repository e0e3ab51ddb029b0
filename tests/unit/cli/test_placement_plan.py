"""`placement plan|show|leaders`: from Kafka's formats, a snapshot, a live cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kafkaops.cli import placement_table
from kafkaops.cli.main import run
from kafkaops.model.cluster_json import to_json
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.planning import planner
from kafkaops.placement.planning.goals import Goals
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations
from tests.unit.upgrade.placements import cluster, topic

RACKS: dict[int, str | None] = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
ROWS = [(1, 2, 3), (1, 2, 3), (1, 5, 6), (1, 2, 3)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKAOPS_CONFIG", raising=False)
    parts = [{"topic": "t", "partition": i, "replicas": list(r)} for i, r in enumerate(ROWS)]
    (tmp_path / "A.json").write_text(json.dumps({"version": 1, "partitions": parts}))
    (tmp_path / "B.json").write_text(json.dumps([{"id": b, "rack": r} for b, r in RACKS.items()]))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> Any:
    assert run(["placement", *argv, "-o", "json"]) == code
    return json.loads(capsys.readouterr().out)


FORMATS = ("--assignment", "A.json", "--brokers", "B.json")


def test_plan_from_kafkas_formats_without_any_cluster(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(capsys, "plan", *FORMATS, "--reassignment-out", "R.json", "--out", "moves.json")
    assert (found["schema_version"], found["kind"]) == (1, "placement")
    assert (found["moves"], found["bound"], found["gap"]) == (4, 4, 0)
    assert found["proof"] == "closed form"
    written = json.loads((files / "R.json").read_text())
    assert written["version"] == 1
    then = {i: list(r) for i, r in enumerate(ROWS)}
    then |= {p["partition"]: p["replicas"] for p in written["partitions"]}
    load = [b for row in then.values() for b in row]
    assert [load.count(b) for b in RACKS] == [2] * 6
    assert sum(then[i][0] != ROWS[i][0] for i in then) == found["leaders_changed"]
    saved = json.loads((files / "moves.json").read_text())
    assert {m["partition"]: m["after"] for m in saved["moves"]} == {
        p["partition"]: p["replicas"] for p in written["partitions"]
    }
    assert Goals.of_json(saved["goals"]).drain_absent
    (files / "A.json").write_text(
        json.dumps({"version": 1, "partitions": [
            {"topic": "t", "partition": i, "replicas": r} for i, r in then.items()
        ]})
    )  # fmt: skip
    again = said(capsys, "plan", *FORMATS, "--detailed-exitcode")
    assert (again["moves"], again["changes"]) == (0, [])


def test_goals_as_flags(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(
        capsys, "plan", *FORMATS, "--drain", "1", "--rf", "t=2", "--capacity", "4=1.5",
        "--no-receive", "6", "--detailed-exitcode", code=10,
    )  # fmt: skip
    assert found["goals"]["rf"] == [["t", 2]]
    assert found["goals"]["capacity"] == [[4, "1.5"]]
    assert [c["after"] for c in found["changes"] if 1 in c["after"]] == []
    drained = next(b for b in found["brokers"] if b["id"] == 1)
    assert (drained["now"]["replicas"], drained["after"]["replicas"]) == (4, 0)
    assert drained["emptied"] is True


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (["--replace", "1"], "KO-USAGE", "--replace '1' cannot be read"),
        (["--balance", "everything"], "KO-USAGE", "cannot be read"),
        (["--objective", "time"], "KO-USAGE", "cannot be read"),
        (["--tolerance", "much"], "KO-USAGE", "cannot be read"),
        (["--drain", "99"], "KO-PLACEMENT-BROKER", "broker 99"),
        (["--from", "x.json"], "KO-USAGE", "contradict each other"),
    ],
)
def test_flags_that_cannot_be(
    files: Path, capsys: pytest.CaptureFixture[str], flags: list[str], code: str, word: str
) -> None:
    found = said(capsys, "plan", *FORMATS, *flags, code=2)
    assert found["error"]["code"] == code
    assert word in found["error"]["message"]


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--out", "A.json"], "--out would write over --assignment A.json"),
        (["--reassignment-out", "./B.json"], "--reassignment-out would write over --brokers"),
        (["--out", "x.json", "--reassignment-out", "x.json"], "would write over --out x.json"),
    ],
)
def test_no_file_is_written_over_another_one_of_the_command(
    files: Path, capsys: pytest.CaptureFixture[str], flags: list[str], word: str
) -> None:
    before = (files / "A.json").read_text()
    for command in ("plan", "leaders"):
        assert word in said(capsys, command, *FORMATS, *flags, code=2)["error"]["message"]
    both = ("--assignment", "-", "--brokers", "-")
    assert "stdin can be one" in said(capsys, "plan", *both, code=2)["error"]["message"]
    assert (files / "A.json").read_text() == before
    assert not (files / "x.json").exists()


def test_what_cannot_be_reached_is_refused_with_its_numbers(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(capsys, "plan", *FORMATS, "--rf", "t=7", code=5)
    assert found["error"]["code"] == "KO-PLACEMENT-BROKERS"
    assert "needed: 7 replicas, possible: 6" in found["error"]["details"]
    assert "relax: --rf" in found["error"]["details"]
    assert said(capsys, "plan", "--assignment", "A.json", code=2)["error"]["code"] == "KO-USAGE"


def test_plan_from_a_snapshot_and_from_a_cluster(
    kafkaops: Kafkaops, operations: FakeOperations, tmp_path: Path
) -> None:
    state = cluster(RACKS, topic("t", ROWS))
    file = tmp_path / "blue.json"
    file.write_text(json.dumps(to_json(state)))
    operations.snapshots = {"green": state}
    argv = ("placement", "plan", "--drain", "1")
    code, saved, _ = kafkaops(*argv, "--from", str(file))
    code, live, _ = kafkaops(*argv, "--cluster", "green")
    assert (code, saved["moves"]) == (0, 4)
    assert live == saved


def test_show_is_brokers_by_rack(
    files: Path, capsys: pytest.CaptureFixture[str], kafkaops: Kafkaops
) -> None:
    code, out, err = kafkaops("placement", "show", *FORMATS, json_=False)
    assert code == 0
    assert out.splitlines()[:3] == [
        "rack\tbroker\treplicas\tleaders\tshare\tstate",
        "a\t1\t4\t4\t####################\t-",
        "a\t4\t0\t0\t....................\t-",
    ]
    assert "rack violations: 0 now" in err
    code, out, err = kafkaops("placement", "show", *FORMATS, "--drain", "1", json_=False)
    assert out.splitlines()[1] == "a\t1\t4\t0\t4\t0\t....................\temptied"
    assert "4 replicas moved, 4 preferred leaders changed" in err
    assert "fewer are impossible" in err


def test_at_a_terminal_now_and_after_fit_in_80_columns() -> None:
    parts = tuple((b, 2, 3) for b in (1, 1, 1, 1))
    held = dict.fromkeys((TopicPartition("t", i) for i in range(4)), 7 * 10**11)
    state = replace(cluster(RACKS, topic("t", parts)), replica_bytes=held)
    shown = placement_table.brokers(
        planner.plan(state, Goals(drain=(1,))), after=True, narrow=True
    )  # fmt: skip
    assert shown.columns == ["rack", "broker", "replicas", "leaders", "bytes", "share"]
    assert shown.rows[0] == ["a", 1, "4 > 0", "4 > 0", "2.5T > 0B", "emptied"]
    assert shown.rows[1] == ["a", 4, "0 > 4", "0 > 4", "0B > 2.5T", "##########"]
    assert shown.rows[3] == ["b", 5, "0", "0", "0B", ".........."]


def test_leaders_move_no_bytes(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "leaders", *FORMATS)
    assert (found["moves"], found["leaders_changed"], found["gap"]) == (0, 2, 0)
    assert all(set(c["before"]) == set(c["after"]) for c in found["changes"])


def test_help_loads_neither_numpy_nor_ortools() -> None:
    import subprocess
    import sys

    words = (
        "import sys; from kafkaops.cli.main import run; run(['placement', 'plan', '--help']);"
        "sys.exit(any(m in sys.modules for m in ('numpy', 'ortools', 'kafka', 'boto3')))"
    )
    assert subprocess.run([sys.executable, "-c", words], capture_output=True).returncode == 0
