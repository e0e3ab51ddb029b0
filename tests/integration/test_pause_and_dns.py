"""The pause does not wait for DNS: INSYNC held back for 60 s, TTL 60, JVMs that cache 30 s."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.integration.changed_lab import TTL
from tests.integration.pair import Pair

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_a_slow_zone_and_caching_clients_do_not_lengthen_the_pause(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.in_lab("lab", "up")
    try:
        python = [sys.executable, "-c", TTL, "60"]
        pair.kafkaops("lab", "shell", "--dir", str(pair.lab), "--", *python, config=False)
        pair.in_lab("lab", "set", "insync_delay=60")
        pair.in_lab("lab", "load", "start", "--rate", "50", "--dns-cache", "30")
        pair.upgrade("--set", "cutover.ttl=60")
        pair.in_lab("lab", "set", "insync_delay=0")
        pair.kafkaops("run", "rollback", "--yes", "--reason", "test")
        pair.in_lab("lab", "load", "stop")
        proof = json.loads(pair.kafkaops("run", "report", "-o", "json"))
        report = pair.ledger("blue")
    finally:
        pair.in_lab("lab", "down")
    total = report["total"]
    slow, quick = (move["pause"]["total"] for move in proof["moves"])
    assert (total["lost"], total["skipped"], total["duplicated_in_log"]) == (0, 0, 0), report
    # the same pause within a busy machine's noise, far below INSYNC, TTL and the JVM's cache
    assert abs(slow - quick) < 3, (slow, quick)
    assert max(slow, quick) < 10
    assert total["longest_producer_pause_s"] < max(slow, quick) + 5, report
