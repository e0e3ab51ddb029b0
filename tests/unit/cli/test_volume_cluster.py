"""`kafkaops volume ... --cluster` on hosts that are fakes, each typing at the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafkaops.cli.main import run
from kafkaops.cli.operations import Say, only_reading
from kafkaops.config.schema import Config
from kafkaops.engine.step import Plan
from kafkaops.ports.speeds import Speeds
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import survey
from kafkaops.volumes.cluster.asking import PREPARE, Asked
from tests.crash.volumes_scene import Volumes, config
from tests.unit.cli.fake_terminal import Seated
from tests.unit.cli.test_volume import OnHost
from tests.unit.volumes.bench.fake_speeds import FakeSpeeds

Typed = Callable[..., tuple[int, Any, str]]


class Measuring(OnHost):
    def __init__(self, of: OnHost) -> None:
        super().__init__(of.stage)
        self.spec, self.disk = of.spec, FakeSpeeds()

    def speeds(self, tool: str) -> Speeds:
        return self.disk


class Operator(Seated):
    """Before a cluster of three brokers and a controller."""

    def __init__(self) -> None:
        super().__init__()
        self.volumes_of = Volumes(Asked(PREPARE, "blue"))
        self.hosts = self.volumes_of.hosts
        self.disks: dict[str, FakeSpeeds] = {}
        for name, host in self.hosts.items():
            host.cli = Measuring(host.cli)
            self.disks[name] = host.cli.disk

    def plan_volumes(self, world: World, run: str, asked: Asked) -> Plan:
        return survey.plan(only_reading(world), asked, None, run)

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        return self.volumes_of.world


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def typed(operator: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    file = tmp_path / "kafkaops.yaml"
    shown = config().model_dump(mode="json", exclude_unset=True)
    file.write_text(yaml.safe_dump(shown))

    def do(*argv: str) -> tuple[int, Any, str]:
        line = ["volume", *argv, "--cluster", "blue", "-c", str(file), "-o", "json"]
        code = run(line, operator)
        out = capsys.readouterr()
        return code, json.loads(out.out), out.err

    return do


def test_status_of_every_host_and_of_one_that_cannot_be_asked(
    operator: Operator, typed: Typed
) -> None:
    operator.hosts["blue-2"].module = False
    code, told, _ = typed("status")
    assert code == 0
    rows = {row["host"]: row for row in told["volumes"]}
    assert list(rows) == ["blue-1", "blue-2", "blue-3", "blue-100"]
    assert (rows["blue-1"]["state"], rows["blue-1"]["volume"]) == ("blank", "data-1")
    assert (rows["blue-2"]["state"], rows["blue-2"]["code"]) == ("unknown", "KO-VOLUME-NO-MODULE")
    assert typed("status", "--check", "--only", "blue-1")[0] == 5


def test_a_plan_is_made_through_ports_that_only_read(operator: Operator, typed: Typed) -> None:
    code, told, _ = typed("prepare", "--plan")
    assert code == 0
    assert told["plan"]["specs"][0]["id"] == "prepare-blue-1-data-1"
    assert all(host.stage.disks.formats == 0 for host in operator.hosts.values())


def test_disks_are_measured_one_after_another(operator: Operator, typed: Typed) -> None:
    flags = ("--rounds", "1", "--seconds", "0.5")
    code, told, err = typed("bench", "--only", "blue-3", "--only", "blue-1", "--yes", *flags)
    assert code == 0
    assert [(r["host"], r["volume"]) for r in told["volumes"]] == [
        ("blue-1", "data-1"),
        ("blue-3", "data-1"),
    ]
    assert all(len(row["figures"]) == 15 for row in told["volumes"])
    assert "blue-3 data-1: 2 of 2" in err
    assert operator.disks["blue-1"].asked
    assert not operator.disks["blue-2"].asked


def test_a_disk_that_cannot_be_measured_is_told_beside_the_others(
    operator: Operator, typed: Typed
) -> None:
    operator.hosts["blue-2"].module = False
    code, told, _ = typed("bench", "--reads-only", "--rounds", "1", "--yes")
    assert code == 8
    rows = {row["host"]: row for row in told["volumes"]}
    assert rows["blue-2"]["code"] == "KO-VOLUME-NO-MODULE"
    assert rows["blue-100"]["written"] == 0
    assert rows["blue-100"]["figures"]


def test_nothing_is_measured_before_somebody_agreed(operator: Operator, typed: Typed) -> None:
    code, told, _ = typed("bench")
    assert (code, told["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert "reads 4 disks of blue" in told["error"]["message"]
    assert not any(disk.asked for disk in operator.disks.values())


@pytest.mark.parametrize(
    ("argv", "exits", "said"),
    [
        (("bench", "data-9"), 4, "no volume 'data-9'"),
        (("bench", "--only", "blue-9"), 4, "no host 'blue-9'"),
        (("erase",), 2, "erase of a whole cluster is not offered"),
    ],
)
def test_what_is_not_there_is_refused(
    typed: Typed, argv: tuple[str, ...], exits: int, said: str
) -> None:
    code, told, _ = typed(*argv)
    assert code == exits
    assert said in told["error"]["message"]
