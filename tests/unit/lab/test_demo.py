"""The demo's lab goes down however the demo ends, unless it never came up or is to be kept."""

from __future__ import annotations

from pathlib import Path

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


def test_the_command_that_goes_on_is_one_that_can() -> None:
    demo = Typed("", Failed())
    assert "kafkaops run resume -c configs/lab.yaml" in demo.goes_on(keep=True)
    assert demo.goes_on(keep=False).endswith("anew: make demo")
