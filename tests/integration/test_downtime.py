"""Three brokers and three controllers upgraded in one outage, kafkaops killed in the middle of it,
and back by another. The judges are the load's own ledger and the lab's own count of starts."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab.layout import Layout
from kafkaops.lab.load.ledger_reader import tally
from tests.integration.pair import ROOT, Pair
from tests.integration.sample import turn

pytestmark = pytest.mark.lab

OLD, NEW = "3.9.2", "4.3.1"
NODES = {f"blue-{n}": n for n in (1, 2, 3)} | {f"ctl-{n}": 100 + n for n in (1, 2, 3)}
HOSTS = ", ".join(
    f"{{name: {name}, node_id: {node}, address: 127.0.1.{node}, via: lab}}"
    for name, node in NODES.items()
)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    bare = Pair(tmp_path)
    told = bare.kafkaops("lab", "pack", NEW, "--out", str(tmp_path), "-o", "json", config=False)
    packed = json.loads(told)
    version = f"{{source: {packed['path']}, sha512: {packed['sha512']}}}"
    settings = (f'versions={{"{NEW}": {version}}}', f"blue.hosts=[{HOSTS}]")
    made = Pair(tmp_path, settings, ROOT / "configs" / "lab-rolling.yaml")
    made.in_lab("lab", "up", "--single", "--brokers", "3", "--controllers", "3")
    try:
        made.in_lab("lab", "load", "start", "--rate", "50")
        yield made
    finally:
        made.in_lab("lab", "down")


def starts(pair: Pair) -> dict[str, int]:
    return {name: pair.control("service", f"{name}/kafka")["starts"] for name in NODES}


def active(pair: Pair) -> int:
    return sum(pair.control("service", f"{name}/kafka")["active"] for name in NODES)


def acknowledged(pair: Pair) -> int:
    """Records that producers and consumers wrote down, while the cluster cannot be read."""
    return sum(tally(path)[0] for path in (pair.lab / "load").glob("*.ledger"))


def judged(pair: Pair) -> dict[str, Any]:
    pair.in_lab("lab", "load", "stop")
    total: dict[str, Any] = pair.ledger("blue")["total"]
    zero = ("lost", "altered", "skipped", "duplicated_in_log")
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), total
    return total


@turn("downtime")
def test_one_outage_there_and_one_back_and_no_write_is_lost(pair: Pair) -> None:
    line = pair.line("upgrade", "--strategy", "downtime", "--to", NEW, "--yes", "--reason", "test")
    carried = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while active(pair) == len(NODES):  # until the first one is down
        assert carried.poll() is None, f"it ended by itself: {carried.communicate()[1][-4000:]}"
        assert time.monotonic() < deadline, "nobody was stopped in time"
        time.sleep(0.1)
    carried.send_signal(signal.SIGKILL)
    carried.wait(30)
    told = json.loads(pair.kafkaops("run", "resume", "--yes", "-o", "json"))
    assert told["outcome"] == "done"
    assert starts(pair) == dict.fromkeys(NODES, 2)
    shown = pair.kafkaops("run", "show")
    assert "done" in shown
    back = json.loads(pair.kafkaops("run", "rollback", "--yes", "-o", "json"))
    assert back["status"] == "rolled-back"
    assert starts(pair) == dict.fromkeys(NODES, 3)
    total = judged(pair)
    # clients were out for two outages, and went on by themselves
    assert total["longest_producer_pause_s"] > 5, total
    assert total["acknowledged"] > 1000


@turn("downtime-elected")
def test_without_the_last_replica_another_is_elected_by_name_and_no_write_is_lost(
    pair: Pair,
) -> None:
    line = ("upgrade", "--strategy", "downtime", "--to", NEW, "--return-timeout", "90")
    plan = json.loads(pair.kafkaops(*line, "--plan", "-o", "json"))["plan"]
    brokers = [
        s["args"] for s in plan["specs"] if s["kind"] == "outage-down" and s["args"]["broker"]
    ]
    last = brokers[-1]["host"]
    properties = Layout.of(pair.lab).host_root(last) / "etc/kafka/server.properties"
    good = properties.read_text()
    properties.write_text(f"{good}num.io.threads=0\n")  # it runs, and will not start again
    told = json.loads(pair.kafkaops(*line, "--yes", "--reason", "test", "-o", "json", expect=8))
    assert (told["error"]["code"], told["error"]["where"]) == ("KO-NODE-ENDED", last)
    before = acknowledged(pair)
    resume = ("run", "resume", "--without", last, "--elect-unclean", "*", "--elect-unclean", "__*")
    refused = pair.refused(*resume, "--yes", changes=())
    assert refused["error"]["code"] == "KO-CONSENT-MISSING", refused
    told = json.loads(pair.kafkaops(*resume, "--confirm", "rolling", "-o", "json"))
    assert told["outcome"] == "done"
    deadline = time.monotonic() + 60
    while acknowledged(pair) < before + 1000:
        assert time.monotonic() < deadline, "clients are not back"
        time.sleep(1)
    properties.write_text(good)
    pair.control("start", f"{last}/kafka")
    judged(pair)
