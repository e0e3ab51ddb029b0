"""Numbers of things, and what is said of them."""

from __future__ import annotations

import pytest

from kafkaops.model.words import counted, said_of


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "1 batch"), (0, "0 batches"), (2, "2 batches"), (1000, "1,000 batches")],
)
def test_things_are_counted(number: int, words: str) -> None:
    assert counted(number, "batch", "batches") == words


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("is moved", "are moved"),
        ("has one replica", "have one replica"),
        ("was", "were"),
        ("would have no leader", "would have no leader"),
    ],
)
def test_what_is_said_of_them_agrees(one: str, many: str) -> None:
    assert (said_of(1, one), said_of(2, one), said_of(0, one)) == (one, many, many)
