"""A rolling restart of real brokers under load, kafkaops killed in the middle of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, Pair, lab_under_load
from tests.integration.sample import turn

pytestmark = [pytest.mark.lab, turn("restart")]

BLUE = ("blue-1", "blue-2", "blue-3")
OBSERVER = ROOT / "tests" / "integration" / "isr_observer.py"


def test_each_broker_is_restarted_once_and_no_write_is_lost_though_kafkaops_is_killed(
    tmp_path: Path,
) -> None:
    with lab_under_load(tmp_path, rate=50) as pair:
        before = {name: processes(pair)[name] for name in BLUE}
        observer = run_inside(
            pair.lab,
            [sys.executable, str(OBSERVER), ",".join(f"127.0.1.{n}:9094" for n in (1, 2, 3)), "2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            killed_after_one(pair, before)
            pair.kafkaops("run", "resume", "--yes")
        finally:
            told, _ = observer.communicate("\n", timeout=60)
        after = processes(pair)
        again = pair.kafkaops("run", "show", "-o", "json")
        pair.in_lab("lab", "load", "stop")
        total = pair.ledger("blue")["total"]
    assert {name: after[name]["starts"] for name in BLUE} == dict.fromkeys(BLUE, 2)
    assert all(after[name]["started"] > before[name]["started"] for name in BLUE)
    assert json.loads(again)["status"] == "done"
    seen = json.loads(told)
    assert seen["below"] == [], seen
    assert (seen["smallest"], seen["samples"] > 20) == (2, True), seen
    zero = ("lost", "altered")
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), total
    assert total["acknowledged"] > 500


def processes(pair: Pair) -> dict[str, dict[str, Any]]:
    return {name: pair.control("service", f"{name}/kafka") for name in BLUE}


def killed_after_one(pair: Pair, before: dict[str, dict[str, Any]]) -> None:
    """kill -9 as soon as one broker has a new process, while it is still catching up."""
    line = pair.line("restart", "--cluster", "blue", "--yes", "--soak", "1", "--reason", "test")
    carried = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while True:
        assert carried.poll() is None, f"it ended by itself: {carried.communicate()[1][-4000:]}"
        assert time.monotonic() < deadline, "no broker was restarted within 300 s"
        now = processes(pair)
        if any(now[n]["active"] and now[n]["starts"] > before[n]["starts"] for n in BLUE):
            break
        time.sleep(0.1)
    carried.send_signal(signal.SIGKILL)
    carried.wait(30)
