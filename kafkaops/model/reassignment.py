"""A partition on its way from some brokers to others (KIP-455)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reassignment:
    """What the controller tells. `replicas` are all that hold or will hold the partition: where it
    goes to, in that order, and then those that it leaves."""

    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]

    @property
    def target(self) -> tuple[int, ...]:
        """Where it goes to, in preferred order."""
        return tuple(b for b in self.replicas if b not in self.removing)
