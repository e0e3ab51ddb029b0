"""Numbers of things in sentences for people."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """`1 node`, `2 nodes`, `2 batches`; `many` where it is not `one` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def said_of(number: int, verb_phrase: str) -> str:
    """What is said of one thing, as it is said of that many: `is moved`, `are moved`."""
    verb, blank, rest = verb_phrase.partition(" ")
    many = {"is": "are", "has": "have", "was": "were"}.get(verb, verb)
    return f"{verb if number == 1 else many}{blank}{rest}"
