"""Several leases as one."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import LeaseHeld
from kafkaops.engine.lease import Holder, Lease, held_by, take


class Table:
    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.log: list[str] = []

    def acquire(self, name: str) -> Lease:
        self.log.append(f"take {name}")
        if name in self.taken:
            raise held_by(name, Holder("ann", "h1", 7, "r1", 1.0))
        return One(self, name)


class One:
    def __init__(self, table: Table, name: str) -> None:
        self.table, self.name = table, name

    def verify(self) -> None:
        self.table.log.append(f"verify {self.name}")

    def release(self) -> None:
        self.table.log.append(f"release {self.name}")


def test_two_leases_are_taken_in_one_order_whoever_asks_how() -> None:
    for names in (["green", "blue"], ["blue", "green", "blue"]):
        table = Table(set())
        both = take(table.acquire, names)
        both.verify()
        both.release()
        assert table.log == [
            *("take blue", "take green", "verify blue", "verify green"),
            *("release green", "release blue"),
        ]


def test_what_was_taken_is_given_back_when_the_next_is_held() -> None:
    table = Table({"green"})
    with pytest.raises(LeaseHeld, match="ann@h1") as held:
        take(table.acquire, ["blue", "green"])
    assert table.log == ["take blue", "take green", "release blue"]
    assert "run r1" in held.value.message
    assert held.value.exit == 6


def test_a_holder_survives_json_and_nonsense_is_nobody() -> None:
    me = Holder.here("r1", 5.0)
    assert Holder.read(me.to_json()) == me
    assert me.pid > 0
    for body in (None, {}, [], {**me.to_json(), "pid": "x"}):
        assert Holder.read(body) is None
