"""The main job on real clusters under load, judged by the load's ledger and its own log reader."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.pair import Pair, lab_under_load

pytestmark = pytest.mark.lab


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with lab_under_load(tmp_path) as made:
        yield made


def judge(report: dict[str, Any]) -> None:
    total = report["total"]
    assert total["acknowledged"] > 1000, total
    assert (total["lost"], total["skipped"], total["duplicated_in_log"]) == (0, 0, 0), report
    assert total["errors"] == 0, report


def test_clients_move_to_green_and_back_and_nothing_is_lost(pair: Pair) -> None:
    pair.upgrade("--until", "gates")
    assert pair.ledger("blue")["total"]["lost"] == 0
    pair.kafkaops("run", "resume", "--yes")
    time.sleep(5)
    pair.upgrade()  # a second run of the same command finds nothing to do
    proof = json.loads(pair.kafkaops("run", "report", "-o", "json"))
    assert proof["schema_version"] == 1
    there = pair.ledger("green")["total"]
    assert (there["lost"], there["skipped"], there["duplicated_in_log"]) == (0, 0, 0), there
    pair.kafkaops("run", "rollback", "--yes", "--reason", "test")
    time.sleep(5)
    pair.in_lab("lab", "load", "stop")
    judge(pair.ledger("blue"))
