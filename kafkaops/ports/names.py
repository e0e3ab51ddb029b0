"""Names that clients resolve: Route 53 records, and what a client really gets as answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kafkaops.ports.marks import mutates


@dataclass(frozen=True, order=True)
class Record:
    """One record set. `name` has no trailing dot; `values` are sorted; `ttl` in seconds.
    `kind` is the DNS type (`A`, `CNAME`). `routing` is empty for simple records, else what
    it is (`weighted`, `latency`, `alias`, ...), and such a record is never changed by us."""

    name: str
    kind: str
    ttl: int
    values: tuple[str, ...]
    routing: str = ""


class Names(Protocol):
    """A hosted zone. Errors name the missing permission or the record in the way."""

    def zone(self) -> str:
        """The zone's own name without trailing dot; ConfigError if it is not ours."""

    def records(self, names: Sequence[str]) -> tuple[Record, ...]:
        """The record sets of these names, of every type and routing."""

    @mutates
    def change(self, delete: Sequence[Record], create: Sequence[Record], *, comment: str) -> str:
        """One atomic batch: DELETE of exact values and CREATE. Returns the change id."""

    def in_sync(self, change_id: str) -> bool:
        """GetChange is INSYNC."""

    def answer(self, name: str) -> tuple[str, ...]:
        """What a client's resolver answers now (addresses, sorted); empty for none."""
