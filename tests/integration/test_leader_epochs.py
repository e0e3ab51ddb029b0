"""A blue with a long life: its leader epochs are high, green's low, and its leaders are others.
Clients that kept the leaders they know would stand for ever after the move."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, lab_under_load
from tests.integration.sample import turn

pytestmark = [pytest.mark.lab, turn("leader-epochs")]

ELECTOR = ROOT / "tests" / "integration" / "elector.py"
ROUNDS = 13  # not a multiple of the replicas: the leaders differ from green's afterwards


def test_clients_follow_a_green_whose_leader_epochs_were_lower(tmp_path: Path) -> None:
    with lab_under_load(tmp_path, rate=100, settings=("gates.hold=2",)) as pair:
        pair.upgrade("--until", "parity")
        blue = ",".join(f"127.0.1.{n}:9094" for n in (1, 2, 3))
        elected = run_inside(
            pair.lab, [sys.executable, str(ELECTOR), blue, str(ROUNDS)], stderr=subprocess.PIPE
        )
        _, err = elected.communicate(timeout=120)
        assert elected.returncode == 0, err
        time.sleep(3)
        # librdkafka bumps its epoch and sends again what a flurry of elections left in doubt
        before = pair.ledger("blue")["total"]["duplicated_in_log"]
        pair.kafkaops("run", "resume", "--yes")
        pair.in_lab("lab", "load", "stop")
        report = pair.ledger("green")
    total = report["total"]
    assert total["duplicated_in_log"] == before, report
    zero = ("lost", "skipped", "errors")
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), report
    assert total["longest_producer_pause_s"] < 20, report
    assert total["acknowledged"] > 1000
