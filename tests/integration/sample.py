"""What CI takes of tests that need minutes: by its seed, one of each row; `make soak` takes all."""

from __future__ import annotations

import os

import pytest

SEED = int(os.environ.get("KAFKAOPS_SEED", "3"))

TURNS = (
    (
        *("outage", "alias-only", "cannot-forward", "secured", "serve", "leader-epochs"),
        "nobody-resumes",
    ),
    ("ssh", "ssm", "local"),
    (
        *("trouble", "restart", "zookeeper", "downtime", "rolling-finalised", "fleet"),
        *("rolling-back", "downtime-elected"),
    ),
)


def turn(name: str) -> pytest.MarkDecorator:
    """The mark of a test that takes turns with the others of its row."""
    [row] = [row for row in TURNS if name in row]
    return pytest.mark.lab if row[SEED % len(row)] == name else pytest.mark.soak
