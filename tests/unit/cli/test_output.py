"""Results: TSV that keeps everything, JSON that is one document."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from kafkaops.cli import session
from kafkaops.cli.output import Table, Text, emit, plain, tsv
from kafkaops.model.partition import TopicPartition
from tests.unit.cli.fake_terminal import Tty

LONG = "broker-" + "x" * 300 + ".kafka.example.internal"


def test_tsv_cuts_nothing_and_escapes_separators() -> None:
    text = tsv(Table(("host", "note"), [(LONG, "a\tb\nc"), (None, ["x", 1])]))
    assert text == f"host\tnote\n{LONG}\ta\\tb\\nc\n-\tx,1\n"


def test_off_a_terminal_only_the_table_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    session.begin([])
    emit({}, Table(("a",), [(1,)]), Text("all is well"))
    out = capsys.readouterr()
    assert (out.out, out.err) == ("a\n1\n", "all is well\n")


def test_json_is_one_document_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    session.begin(["-o", "json"])
    emit({"x": 1}, Table(("a",), [(1,)]), Text("not shown"))
    out = capsys.readouterr()
    assert json.loads(out.out) == {"schema_version": 1, "x": 1}
    assert out.err == ""


@pytest.mark.parametrize("quiet", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, None])
def test_no_colour_when_nobody_wants_it(
    quiet: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    session.begin([])
    with redirect_stdout(Tty()) as coloured:
        emit({}, Table(("host",), [("b1",)], title="brokers"))
    assert "\x1b[" in coloured.getvalue()
    for name, value in (quiet or {}).items():
        monkeypatch.setenv(name, value)
    session.begin([] if quiet else ["--no-color"])
    with redirect_stdout(Tty()) as bare:
        emit({}, Table(("host",), [(LONG,)], title="brokers"))
    shown = bare.getvalue()
    assert "\x1b" not in shown
    assert LONG in "".join(line.strip("| ") for line in shown.splitlines())


class Colour(Enum):
    BLUE = "blue"


@dataclass(frozen=True)
class Thing:
    tp: TopicPartition
    where: Path
    ratio: float


def test_plain_values() -> None:
    thing = Thing(TopicPartition("t", 1), Path("a/b"), float("nan"))
    assert plain({Colour.BLUE: thing, TopicPartition("t", 0): {3, 1}, "n": (1.5, None, True)}) == {
        "blue": {"tp": {"topic": "t", "partition": 1}, "where": "a/b", "ratio": None},
        "t-0": [1, 3],
        "n": [1.5, None, True],
    }
