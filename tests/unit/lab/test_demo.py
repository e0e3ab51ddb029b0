"""The demo's lab goes down however the demo ends, unless it never came up or is to be kept; its
judge holds what kafkaops stated against what the ledger counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab.child import Asked
from kafkaops.lab.demo import Demo, Failed, carried


class Typed(Demo):
    """Commands are written down; the one that begins with `at` ends as `ends` says."""

    def __init__(self, at: str, ends: BaseException) -> None:
        super().__init__(Path("build/demo"), Path("configs/lab.yaml"))
        self.at, self.ends = at, ends
        self.typed: list[str] = []

    def up(self) -> None:
        self.kafkaops("lab", "up")

    def kafkaops(self, *argv: str, capture: bool = False) -> str:
        self.typed.append(" ".join(argv))
        if self.typed[-1].startswith(self.at):
            raise self.ends
        return ""


@pytest.mark.parametrize(
    ("at", "ends", "keep", "goes_down"),
    [
        ("lab load start", Asked(15), False, True),
        ("lab load start", Failed("it ended with 8"), False, True),
        ("lab load start", Asked(15), True, False),
        ("lab up", Asked(2), False, True),
        ("lab up", Failed("another lab runs there"), False, False),
    ],
)
def test_the_lab_goes_down(at: str, ends: BaseException, keep: bool, goes_down: bool) -> None:
    demo = Typed(at, ends)
    with pytest.raises(type(ends)):
        carried(demo, rollback=False, keep=keep)
    assert (demo.typed[-1].startswith("lab down"), demo.typed[0]) == (goes_down, "lab up")


class Judged(Demo):
    """A demo whose commands answer with this ledger and this proof."""

    def __init__(self, out: Path, ledger: dict[str, Any], proof: dict[str, Any]) -> None:
        super().__init__(out, Path("configs/lab.yaml"))
        self.answers = {"lab": ledger, "run": proof}

    def kafkaops(self, *argv: str, capture: bool = False) -> str:
        return json.dumps(self.answers[argv[0]])


ZEROES = {"lost": 0, "skipped": 0, "duplicated_in_log": 0}


def ledger(counted: dict[str, int], **total: int) -> dict[str, Any]:
    groups = {name: {"replayed": count} for name, count in counted.items()}
    return {"groups": groups, "total": {**ZEROES, "replayed": sum(counted.values()), **total}}


def proof(*moves: dict[str, list[int | None]]) -> dict[str, Any]:
    """Each move's figures, a partition each."""
    rows = [
        [{"group": name, "replayed": n} for name, figures in move.items() for n in figures]
        for move in moves
    ]
    return {"moves": [{"positions": positions} for positions in rows]}


@pytest.mark.parametrize(
    ("counted", "moves", "code", "said"),
    [
        ({"a": 76, "b": 0}, [{"a": [70, 6], "b": [0]}], 0, "stated 76 at most, the ledger counts"
         " 76: equal, group by group"),
        ({"a": 0}, [{}], 0, "stated 0 at most, the ledger counts 0: equal"),
        ({"a": 9, "b": 1}, [{"a": [5]}, {"a": [4], "b": [1]}], 0, "counts 10: equal"),
        ({"a": 70}, [{"a": [76]}], 0, "counts 70: 6 fewer"),
        ({"a": 77}, [{"a": [76]}], 1, "MORE than stated: a saw 77 again, stated were 76 at most"),
        # the sums are equal, and one group's statement is false all the same
        ({"a": 0, "b": 5}, [{"a": [5], "b": [0]}], 1, "MORE than stated: b saw 5 again"),
        ({"late": 3}, [{"a": [5]}], 1, "MORE than stated: late saw 3 again, stated were 0"),
        ({"a": 40, "b": 2}, [{"a": [3, None], "b": [2]}], 0, "no figure was stated for a"),
        ({"a": 40, "b": 3}, [{"a": [None]}, {"a": [1], "b": [2]}], 1, "MORE than stated: b saw 3"),
    ],
)  # fmt: skip
def test_what_was_stated_is_held_against_the_ledger(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    counted: dict[str, int],
    moves: list[dict[str, list[int | None]]],
    code: int,
    said: str,
) -> None:
    demo = Judged(tmp_path, ledger(counted), proof(*moves))
    assert demo.judge("green") == code
    err = capsys.readouterr().err
    assert said in err
    assert ("demo: NOT as promised: " in err) == bool(code)
    assert ("0 lost, 0 skipped, 0 duplicated" in err) == (not code)


@pytest.mark.parametrize("wrong", ZEROES)
def test_what_must_be_zero_fails_the_demo_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    demo = Judged(tmp_path, ledger({"a": 2}, **{wrong: 4}), proof({"a": [2]}))
    assert demo.judge("green") == 1
    assert f"NOT as promised: {wrong} 4\n" in capsys.readouterr().err


def test_the_command_that_goes_on_is_one_that_can() -> None:
    demo = Typed("", Failed())
    assert "kafkaops run resume -c configs/lab.yaml" in demo.goes_on(keep=True)
    assert demo.goes_on(keep=False).endswith("anew: make demo")
