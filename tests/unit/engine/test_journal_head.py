"""The head beside a journal: last lines that are gone are missed, a crash is not taken for that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError
from kafkaops.engine.files import OsFiles
from kafkaops.engine.journal import HEAD, Journal, head_of
from kafkaops.engine.store import Store
from tests.unit.engine.conftest import plan_of

CLOCK = FakeClock()
KINDS = ["plan", "intent", "done", "end"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "001-test.jsonl"
    journal = Journal.create(made, plan_of("a"), CLOCK)
    for kind in KINDS[1:]:
        journal.append(kind, {"step": "a"})
    return made


def kinds(path: Path) -> list[str]:
    return [r.kind for r in Journal.open(path, CLOCK).records]


@pytest.mark.parametrize(
    ("left", "torn", "words"),
    [
        (3, b"", "the last record is missing"),
        (2, b"", "the last 2 records are missing"),
        (1, b"", "the last 3 records are missing"),
        (3, b'{"at": 1', "the last record is missing"),  # cut inside the last line
    ],
)
def test_last_lines_that_are_gone_are_missed(
    path: Path, left: int, torn: bytes, words: str
) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:left]) + torn)
    before = path.read_bytes()
    for read in (Journal.open, Journal.look):
        with pytest.raises(ConfigError, match=words) as refused:
            read(path, CLOCK)
        assert refused.value.code == "KO-JOURNAL-DAMAGED"
        assert refused.value.where == f"{path}:{left + 1}"
    assert path.read_bytes() == before


def test_another_journal_in_its_place_is_refused(path: Path) -> None:
    other = path.with_name("002-test.jsonl")
    Journal.create(other, plan_of("b"), CLOCK)
    for kind in KINDS:
        Journal.open(other, CLOCK).append(kind, {"step": "b"})
    path.write_bytes(other.read_bytes())
    with pytest.raises(ConfigError, match=r"line 4 .* it is not what was written"):
        Journal.open(path, CLOCK)


def test_a_journal_from_before_has_no_head_and_gets_one(path: Path) -> None:
    head_of(path).unlink()
    assert kinds(path) == KINDS
    Journal.look(path, CLOCK)
    assert not head_of(path).exists()
    Journal.open(path, CLOCK).append("end", {})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    with pytest.raises(ConfigError, match="the last 2 records are missing"):
        Journal.open(path, CLOCK)


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_a_head_that_is_older_is_no_damage(path: Path, killed: int) -> None:
    """A process killed between the append and the head; a power loss that took heads with it."""

    class Forgetful(OsFiles):
        def mark(self, path: Path, data: bytes) -> None:
            """Never comes to the disk."""

    journal = Journal.open(path, CLOCK, Forgetful())
    for _ in range(killed):
        journal.append("begin", {})
    assert kinds(path) == [*KINDS, *["begin"] * killed]
    Journal.open(path, CLOCK).append("end", {})
    assert kinds(path) == [*KINDS, *["begin"] * killed, "end"]


@pytest.mark.parametrize(
    "torn",
    [
        lambda old, new: b"",
        lambda old, new: b"\0" * len(new),
        lambda old, new: new[:30],
        lambda old, new: new[:9] + old[9:],
        lambda old, new: new[:20] + old[20:],
        lambda old, new: old[:20] + new[20:],
        lambda old, new: b"\xff" * len(new),
        lambda old, new: b"000000009 " + new[10:],
    ],
)
def test_a_torn_head_says_nothing(path: Path, torn: object) -> None:
    old = head_of(path).read_bytes()
    Journal.open(path, CLOCK).append("begin", {})
    new = head_of(path).read_bytes()
    head_of(path).write_bytes(torn(old, new))  # type: ignore[operator]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert kinds(path) == KINDS[:2]


def test_heads_are_of_one_length_and_written_over(path: Path) -> None:
    inode = os.stat(head_of(path)).st_ino
    for _ in range(20):
        Journal.open(path, CLOCK).append("begin", {})
        assert len(head_of(path).read_bytes()) == HEAD
    assert os.stat(head_of(path)).st_ino == inode


def test_a_head_that_cannot_be_written_holds_nothing_up(path: Path) -> None:
    head_of(path).unlink()
    head_of(path).mkdir()
    OsFiles().mark(head_of(path), b"x")
    head_of(path).rmdir()
    head_of(path).symlink_to(path.parent / "no" / "directory")
    Journal.open(path, CLOCK).append("begin", {})
    assert kinds(path) == [*KINDS, "begin"]


def test_the_head_of_a_journal_that_was_taken_away_is_not_the_next_ones(path: Path) -> None:
    class Dying(OsFiles):
        def mark(self, path: Path, data: bytes) -> None:
            raise KeyboardInterrupt

    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        Journal.create(path, plan_of("b"), CLOCK, Dying())
    assert kinds(path) == ["plan"]


def test_who_looks_while_another_appends_sees_no_damage(path: Path) -> None:
    class Beside(OsFiles):
        """Between two reads the other process appends."""

        def read(self, path: Path) -> bytes | None:
            found = super().read(path)
            other.append("begin", {})
            return found

    other = Journal.open(path, CLOCK)
    assert len(Journal.look(path, CLOCK, Beside()).records) == 5


def test_a_list_of_runs_says_that_lines_are_gone(tmp_path: Path) -> None:
    store = Store(tmp_path, CLOCK)
    journal = store.run("r1").begin(plan_of("a"))
    journal.append("end", {})
    assert [r.damage for r in store.list()] == [""]
    journal.path.write_bytes(journal.path.read_bytes().splitlines(keepends=True)[0])
    (damaged,) = store.list()
    assert "the last record is missing" in damaged.damage
