"""The phases of a change of feature levels."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    RAISE = "raise"
    LOWER = "lower"


TITLES = {
    Phase.RAISE: "raise the finalized level, for every node at once",
    Phase.LOWER: "lower the finalized level, without loss",
}
