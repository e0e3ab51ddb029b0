"""`kafkaops volume bench`, typed on a host whose disk and its speed are fakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafkaops.cli.main import run
from kafkaops.ports.speeds import Speeds
from tests.unit.cli.test_volume import OnHost
from tests.unit.volumes.bench.fake_speeds import FakeSpeeds
from tests.unit.volumes.fake_disks import Stage


class Measuring(OnHost):
    def __init__(self, **speeds: Any) -> None:
        super().__init__(Stage())
        self.disk = FakeSpeeds(**speeds)

    def speeds(self, tool: str) -> Speeds:
        return self.disk


def typed(
    host: OnHost, capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0
) -> dict[str, Any]:
    assert run(["volume", *argv, "-o", "json"], host) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_blank_disk_is_written_and_the_flags_that_gain_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    host = Measuring(
        share={"encrypted": 0.7, "no queues": 0.9, "no read queue": 0.7, "no write queue": 0.7}
    )
    [row] = typed(host, capsys, "bench", "--yes", "--rounds", "1")["volumes"]
    assert host.disk.asked[0] == "fill"
    assert row["written"] == 1 << 30
    assert row["perf"] == ["no_read_workqueue", "no_write_workqueue"]
    assert row["cost"]["write, in order"] == pytest.approx(0.3)
    assert len(row["figures"]) == 15
    assert host.stage.disks.formats == 0


def test_a_volume_with_data_is_read_alone(capsys: pytest.CaptureFixture[str]) -> None:
    host = Measuring()
    typed(host, capsys, "prepare", "--yes")
    [row] = typed(host, capsys, "bench", "--yes")["volumes"]
    assert row["written"] == 0
    assert "fill" not in host.disk.asked
    assert {figure["load"] for figure in row["figures"]} == {"read, in order", "read, at random"}


def test_nothing_is_measured_before_somebody_agreed(capsys: pytest.CaptureFixture[str]) -> None:
    host = Measuring()
    told = typed(host, capsys, "bench", code=2)
    assert told["error"]["code"] == "KO-CONSENT-MISSING"
    assert host.disk.asked == []


def test_people_read_a_table_and_the_line_for_their_config(
    capsys: pytest.CaptureFixture[str],
) -> None:
    host = Measuring(share={"no write queue": 1.4}, lacks=("no read queue",))
    assert run(["volume", "bench", "data-1", "--yes", "--rounds", "1"], host) == 0
    _, err = capsys.readouterr()
    assert "data-1: next: perf: [no_write_workqueue] in the config" in err
    assert "no read queue is not to be had here: not supported" in err
    assert "15 of 15: read, at random, no queues: 1,000 MB/s" in err
    assert "left" in err


def test_a_tool_that_nobody_knows_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    told = typed(Measuring(), capsys, "bench", "--tool", "dd", code=2)
    assert told["error"]["hint"] == "--tool auto"


def test_a_disk_that_fails_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    host = Measuring()
    host.disk.broken = host.spec.device
    told = typed(host, capsys, "bench", "--yes", code=8)
    assert told["error"]["code"] == "KO-VOLUME-BENCH"
