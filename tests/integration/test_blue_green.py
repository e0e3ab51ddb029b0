"""The main job on real clusters under load, judged by the load's ledger and its own log reader."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "lab.yaml"

pytestmark = pytest.mark.lab


class Pair:
    """A lab of its own with load on it, and the command line as an operator types it."""

    def __init__(self, directory: Path) -> None:
        self.lab, self.state = directory / "lab", directory / "state"

    def kafkaops(self, *argv: str, expect: int = 0, config: bool = True) -> str:
        line = [sys.executable, "-m", "kafkaops", *argv]
        if config:
            line += ["-c", str(CONFIG), "--set", f"lab.dir={self.lab}"]
            line += ["--set", f"state.dir={self.state}", "--set", "cutover.ttl=10"]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=900, check=False)
        assert ended.returncode == expect, (
            f"`{' '.join(argv)}` ended with {ended.returncode}, not {expect}:\n"
            f"{ended.stdout[-2000:]}\n{ended.stderr[-6000:]}"
        )
        return ended.stdout

    def in_lab(self, *argv: str) -> str:
        return self.kafkaops(*argv, "--dir", str(self.lab), config=False)

    def upgrade(self, *more: str, expect: int = 0) -> str:
        return self.kafkaops(
            "upgrade", "--strategy", "blue-green", "--yes", "--reason", "test", *more, expect=expect
        )

    def ledger(self, cluster: str) -> dict[str, Any]:
        found = self.in_lab("lab", "load", "report", "--cluster", cluster, "-o", "json")
        report: dict[str, Any] = json.loads(found)
        return report


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    made.in_lab("lab", "up")
    try:
        made.in_lab("lab", "load", "start", "--rate", "100")
        yield made
    finally:
        made.in_lab("lab", "down")


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
