"""The observer of ISRs beside a test, in the lab's network: a judge that is not kafkaops."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, Pair

OBSERVER = ROOT / "tests" / "integration" / "isr_observer.py"


@contextmanager
def observed(pair: Pair, brokers: Collection[int]) -> Iterator[dict[str, Any]]:
    """What the observer saw of partitions below two in sync, filled in at the end."""
    servers = ",".join(f"127.0.1.{n}:9094" for n in brokers)
    argv = [sys.executable, str(OBSERVER), servers, "2"]
    watching = run_inside(pair.lab, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    seen: dict[str, Any] = {}
    try:
        yield seen
    finally:
        told, _ = watching.communicate("\n", timeout=60)
        seen.update(json.loads(told))
