"""A zone in memory, as strict about its records as Route 53."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafkaops.ports.names import Record


class FakeNames:
    """A zone whose changes are INSYNC two seconds later, and answered then."""

    def __init__(self, clock: Any, records: Sequence[Record]) -> None:
        self.clock = clock
        self.held = {r.name: r for r in records}
        self.served = dict(self.held)
        self.pending: list[tuple[float, str, dict[str, Record]]] = []
        self.changes = 0

    def settle(self) -> None:
        now = self.clock.monotonic()
        while self.pending and self.pending[0][0] <= now:
            self.served = self.pending.pop(0)[2]

    def zone(self) -> str:
        return "kafka.lab"

    def records(self, names: Sequence[str]) -> tuple[Record, ...]:
        return tuple(self.held[n] for n in names if n in self.held)

    def change(self, delete: Sequence[Record], create: Sequence[Record], *, comment: str) -> str:
        for record in delete:
            assert self.held.get(record.name) == record, f"DELETE of {record}: not what is there"
        held = {n: r for n, r in self.held.items() if r not in delete}
        for record in create:
            assert record.name not in held, f"CREATE of {record.name}: exists"
            held[record.name] = record
        self.held = held
        self.changes += 1
        change = f"C{self.changes}"
        self.pending.append((self.clock.monotonic() + 2.0, change, dict(held)))
        return change

    def in_sync(self, change_id: str) -> bool:
        self.settle()
        return all(change != change_id for _, change, _ in self.pending)

    def answer(self, name: str) -> tuple[str, ...]:
        self.settle()
        record = self.served.get(name)
        return record.values if record else ()
