"""There, back, green emptied, and there again: on real clusters, judged by the load's ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.pair import lab_under_load

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_after_a_rollback_the_second_attempt_loses_nothing_either(tmp_path: Path) -> None:
    with lab_under_load(tmp_path, rate=50, settings=("gates.hold=2",)) as pair:
        pair.upgrade()
        pair.kafkaops("run", "rollback", "--yes")
        pair.kafkaops("upgrade", "--strategy", "blue-green", "--yes", expect=5)
        pair.kafkaops("cluster", "clear", "green", "--confirm", "demo")
        pair.upgrade()
        pair.in_lab("lab", "load", "stop")
        report = pair.ledger("green")
    total = report["total"]
    zero = ("lost", "skipped", "duplicated_in_log", "altered", "errors")
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), report
    assert total["acknowledged"] > 1000
