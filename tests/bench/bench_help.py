"""`kafkaops --help` against importing typer alone: at most 2.5 times."""

from __future__ import annotations

import sys
from typing import Any

from tests.bench.timing import figure, paired


def figures() -> list[dict[str, Any]]:
    ours, theirs = paired(
        [sys.executable, "-m", "kafkaops", "--help"], [sys.executable, "-c", "import typer"]
    )
    return [figure("kafkaops --help, against import typer", ours, "s", theirs)]
