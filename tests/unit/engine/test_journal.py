"""The journal: what survives, what is dropped, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, OpsError
from kafkaops.engine.files import OsFiles
from kafkaops.engine.journal import Journal, head_of
from tests.unit.engine.conftest import Filling, plan_of

CLOCK = FakeClock()


def written(path: Path) -> Journal:
    journal = Journal.create(path, plan_of("a"), CLOCK)
    journal.append("intent", {"step": "a"})
    journal.append("done", {"step": "a", "seconds": 1.5})
    return journal


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r1" / "j.jsonl"
    journal = written(path)
    again = Journal.open(path, CLOCK)
    assert again.records == journal.records
    assert again.plan == plan_of("a")
    assert again.plan_hash == journal.plan_hash
    assert [r.seq for r in again.records] == [0, 1, 2]


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    written(path)
    Journal.open(path, CLOCK).append("end", {})
    assert [r.kind for r in Journal.open(path, CLOCK).records] == ["plan", "intent", "done", "end"]


def killed_in_its_last_append(path: Path, cut: int) -> None:
    """As a process leaves it that dies inside an append: not all of the line, no word of it in the
    head."""
    Journal.create(path, plan_of("a"), CLOCK).append("intent", {"step": "a"})
    before = head_of(path).read_bytes()
    Journal.open(path, CLOCK).append("done", {"step": "a", "seconds": 1.5})
    path.write_bytes(path.read_bytes()[:-cut])
    head_of(path).write_bytes(before)


@pytest.mark.parametrize("cut", [1, 2, 10, 60])
def test_an_unfinished_last_line_is_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j.jsonl"
    killed_in_its_last_append(path, cut)
    journal = Journal.open(path, CLOCK)
    assert [r.kind for r in journal.records] == ["plan", "intent"]
    journal.append("failed", {"step": "a"})
    assert [r.kind for r in Journal.open(path, CLOCK).records] == ["plan", "intent", "failed"]


def test_a_tail_of_zeros_is_an_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    written(path)
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert len(Journal.open(path, CLOCK).records) == 3


def test_looking_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    killed_in_its_last_append(path, 3)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert len(Journal.look(path, CLOCK).records) == 2
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def edit(lines: list[str], number: int) -> list[str]:
    body = json.loads(lines[number - 1])
    body["data"] = {"step": "b"} if number > 1 else body["data"] | {"more": 1}
    return [*lines[: number - 1], json.dumps(body), *lines[number:]]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: edit(lines, 1), 1),
        (lambda lines: edit(lines, 2), 2),
        (lambda lines: edit(lines, 3), 3),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[0], lines[1][:40], lines[2]], 2),
        (lambda lines: [lines[0], lines[2], lines[1]], 2),
        (lambda lines: [*lines, lines[2]], 4),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], "[]", *lines[1:]], 2),
    ],
)
def test_any_other_damage_is_refused_naming_the_line(
    tmp_path: Path, damage: object, line: int
) -> None:
    path = tmp_path / "j.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(damage(lines)) + "\n")  # type: ignore[operator]
    for read in (Journal.open, Journal.look):
        with pytest.raises(ConfigError) as refused:
            read(path, CLOCK)
        assert refused.value.code == "KO-JOURNAL-DAMAGED"
        assert refused.value.where == f"{path}:{line}"


@pytest.mark.parametrize("content", [b"", b"{}", b"{"])
def test_a_journal_without_its_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="the plan is missing"):
        Journal.open(path, CLOCK)


def test_a_missing_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no journal"):
        Journal.open(tmp_path / "j.jsonl", CLOCK)


def test_a_journal_is_never_written_over(tmp_path: Path) -> None:
    written(tmp_path / "j.jsonl")
    with pytest.raises(ConfigError, match="already"):
        Journal.create(tmp_path / "j.jsonl", plan_of("b"), CLOCK)


def test_on_a_full_disk_nothing_is_half_done(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with pytest.raises(OpsError) as full:
        Journal.create(path, plan_of("a"), CLOCK, Filling(0))
    assert full.value.code == "KO-DISK-FULL"
    assert list(tmp_path.iterdir()) == []
    disk = Filling(1)
    journal = Journal.create(path, plan_of("a"), CLOCK, disk)
    before = path.read_bytes()
    with pytest.raises(OpsError, match="no space left"):
        journal.append("intent", {"step": "a"})
    assert path.read_bytes() == before
    disk.room = 10
    journal.append("intent", {"step": "a"})
    assert len(Journal.open(path, CLOCK, OsFiles()).records) == 2


def test_a_directory_that_is_not_ours_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file"):
        Journal.create(tmp_path / "file" / "j.jsonl", plan_of("a"), CLOCK)
