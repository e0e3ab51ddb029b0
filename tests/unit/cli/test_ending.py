"""What a run says at its end of the pause, its parts and the groups, to people and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kafkaops.engine.facts import FileFacts
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations

STAMPS = {
    "fence.fired": 10.0,
    "fence.closed": 11.6,
    "stands-still": 11.8,
    "proven": 12.1,
    "committed": 12.4,
    "opened": 12.5,
}
PROVEN = {"records": 40, "digest": "ab", "target_start": 0, "target_end": 40}
ROW = {"topic": "t", "partition": 0, "committed": 30, "target": 29, "expired": 0, "unread": 11}
EVEN = {"kept": 29, "skipped": 0, "repeated": 0}
PARTS = "pause 2.50 s (fence 1.60 s, drain 0.20 s, proof 0.30 s, commit 0.30 s, open 0.10 s)"


def facts(stamps: dict[str, float], row: dict[str, Any], *unset: str) -> dict[str, Any]:
    group = {"group": "g", "members": 1, "positions": [{**ROW, **row}], "unset": list(unset)}
    return {
        **{f"forward.time.{n}": {"wall": at, "monotonic": at} for n, at in stamps.items()},
        "forward.ends": {"t/0": [0, 41, 41]},
        "forward.proof": {"t/0": {**PROVEN, "source_start": 0, "source_end": 41}},
        "forward.groups": [group],
    }


def ended(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path, known: dict[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """The lines of a run that ends with these facts, and its proof as JSON."""
    operations.broken.add("bake")
    kafkaops("upgrade", "--strategy", "blue-green", "--yes")
    operations.broken.clear()
    (run,) = (config.parent / "state" / "runs").iterdir()
    for name, value in known.items():
        FileFacts(run / "facts").put(name, value)
    code, out, _ = kafkaops("run", "resume", "--yes", json_=False)
    assert code == 0
    return out.splitlines(), kafkaops("run", "report")[1]["moves"][0]


@pytest.mark.parametrize(
    ("more", "after"), [({}, ""), ({"clients.seen": 15.25}, ", client return 2.75 s")]
)
def test_the_pause_is_told_in_its_parts_with_the_clients_return_where_it_is_known(
    kafkaops: Kafkaops,
    operations: FakeOperations,
    config: Path,
    more: dict[str, float],
    after: str,
) -> None:
    lines, move = ended(kafkaops, operations, config, facts(STAMPS | more, EVEN))
    assert f"clients moved from blue to green: {PARTS}{after}" in lines
    assert move["pause"]["client_return"] == (2.75 if more else None)


def test_groups_are_told_with_what_they_skip(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    ahead = {"kept": 34, "skipped": 4, "repeated": 0}
    lines, move = ended(kafkaops, operations, config, facts(STAMPS, ahead))
    proven = "proven equal: 40 records of 1 partitions; groups skipped 4, may see 11 again"
    assert proven in lines
    assert (move["totals"]["skipped"], move["totals"]["replayed"]) == (4, 11)


def test_a_partition_read_without_a_commit_is_named_and_no_total_is_claimed(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    lines, move = ended(kafkaops, operations, config, facts(STAMPS, EVEN, "u-7"))
    (told,) = [line for line in lines if line.startswith("proven equal")]
    assert told.endswith("may see 11 again; not among it, for it cannot be known: g u-7")
    assert any("auto.offset.reset=latest" in line for line in lines)
    assert (move["totals"]["skipped"], move["totals"]["replayed"]) == (None, None)
    out = kafkaops("run", "report", json_=False)[1].splitlines()
    assert "skipped by groups, blue to green\t-" in out
    assert any(line.startswith("not among it, blue to green\tg u-7: ") for line in out)
