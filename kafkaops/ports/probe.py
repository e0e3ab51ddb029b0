"""A look at a client port from outside, as a client would have it."""

from __future__ import annotations

from typing import Protocol


class Probe(Protocol):
    def cluster_id(self, host: str, port: int, *, timeout: float = 5.0) -> str | None:
        """The cluster id that answers there; None when refused or silent within `timeout` s."""
