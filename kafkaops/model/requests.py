"""How much one request to a controller may hold.

A KRaft controller takes at most 10,000 records of one operation (`MAX_RECORDS_PER_USER_OP`), and
each partition, election and config is one: what has more is refused, or taken in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
MOST = 10_000


def parts(rows: Sequence[T], most: int = MOST) -> Iterator[tuple[T, ...]]:
    """The same rows in their order, at most so many at once."""
    for at in range(0, len(rows), most):
        yield tuple(rows[at : at + most])
