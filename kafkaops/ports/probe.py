"""A look at a client port from outside, as a client would have it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Probe(Protocol):
    def cluster_id(
        self, host: str, port: int, *, timeout: float = 5.0, names: Collection[str] = ()
    ) -> str | None:
        """The cluster id that answers there; None when refused or silent within `timeout` s.

        ConfigError where it answers and we cannot be its client: another protocol than the config
        says, a certificate that is not trusted or lacks one of `names`, a login refused.
        """
