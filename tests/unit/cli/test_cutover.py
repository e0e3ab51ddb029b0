"""`cutover`: names move only to where clients are served, and by whom they are served now."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.cli.cutover import refusal


def hosts(blue: str | None, *green: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"host": "blue-1", "colour": "blue", "answers_as": blue}]
    return found + [
        {"host": f"green-{n}", "colour": "green", "answers_as": answer}
        for n, answer in enumerate(green, start=1)
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (hosts("blue", "blue", "blue"), ""),  # green forwards to blue
        (hosts(None, "green", "green"), ""),  # blue is fenced, green is open
        (hosts("blue", "blue", None), "no one answers clients at green-2"),
        (hosts("blue", None, None), "no one answers clients at green-1, green-2"),
        (hosts(None, "blue", "green"), "the hosts of green answer as different clusters"),
        (hosts("blue", "green", "green"), "answer as different clusters"),
    ],
)
def test_names_never_lead_to_nobody_nor_split_the_clients(
    found: list[dict[str, Any]], words: str
) -> None:
    why = refusal(found, "blue", "green")
    assert (words in why) if words else (why == "")
