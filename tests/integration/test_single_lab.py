"""A cluster alone on hosts with Kafka installed: switched to a packed version and back under load,
and restarted by kafkaops."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, Pair

pytestmark = pytest.mark.lab

NODES = {"blue-1": 1, "blue-2": 2, "blue-3": 3, "ctl-1": 101}
HOSTS = ", ".join(
    f"{{name: {name}, node_id: {node}, address: 127.0.1.{node}, via: lab}}"
    for name, node in NODES.items()
)
SETTINGS = (f"blue.hosts=[{HOSTS}]",)
INSTALL = ROOT / "tests" / "integration" / "install_in_lab.py"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Three brokers and a controller, under load."""
    directory = tmp_path_factory.mktemp("single")
    made = Pair(directory, SETTINGS, ROOT / "configs" / "lab-rolling.yaml")
    made.in_lab("lab", "up", "--single", "--brokers", "3", "--controllers", "1")
    try:
        clients = ("--producers", "p-1:librdkafka,p-2:kafka-python", "--groups", "g-1:librdkafka")
        made.in_lab("lab", "load", "start", "--rate", "50", *clients)
        yield made
    finally:
        made.in_lab("lab", "down")


def test_a_host_runs_what_its_link_names_and_rejoins(single: Pair, tmp_path: Path) -> None:
    told = single.kafkaops(
        "lab", "pack", "4.3.1", "--out", str(tmp_path), "-o", "json", config=False
    )
    packed = json.loads(told)
    process = run_inside(
        single.lab,
        [sys.executable, str(INSTALL), str(single.lab), packed["path"], packed["sha512"]],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["before"] == found["back"] == ["3.9.2"]
    assert found["controller"] == found["upgraded"] == ["4.3.1"]
    assert found["unit"] == ["/etc/systemd/system/kafka.service", False, True, 330.0]
    assert found["refused"].startswith("KO-UNIT ")
    assert "User is not understood in [Service]" in found["refused"]


def test_kafkaops_restarts_all_of_it_and_no_write_is_lost(single: Pair) -> None:
    before = {name: single.control("service", f"{name}/kafka") for name in NODES}
    told = single.kafkaops("restart", "--cluster", "blue", "--yes", "--soak", "1", "-o", "json")
    assert json.loads(told)["outcome"] == "done"
    after = {name: single.control("service", f"{name}/kafka") for name in NODES}
    assert {n: after[n]["starts"] - before[n]["starts"] for n in NODES} == dict.fromkeys(NODES, 1)
    health = json.loads(single.kafkaops("cluster", "health", "-o", "json"))
    assert "bad" not in json.dumps(health)
    single.in_lab("lab", "load", "stop")
    total = single.ledger("blue")["total"]
    zero = ("lost", "altered", "skipped")
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), total
    assert total["acknowledged"] > 500
