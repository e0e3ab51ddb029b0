"""The published exit codes are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from kafkaops.engine.errors import Exit

PAGE = Path(__file__).resolve().parents[3] / "docs" / "exit-codes.md"


def test_the_page_lists_every_code_and_no_other() -> None:
    listed = {int(n) for n in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)}
    assert listed == {int(code) for code in Exit}
