"""What CI takes of tests that need minutes: by its seed, one of several; `make soak` takes all."""

from __future__ import annotations

import os

import pytest

SEED = int(os.environ.get("KAFKAOPS_SEED", "3"))


def one_of(count: int, number: int) -> pytest.MarkDecorator:
    """The mark of number `number` of `count` tests that take turns."""
    return pytest.mark.lab if SEED % count == number else pytest.mark.soak
