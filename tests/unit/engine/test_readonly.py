"""Plan mode at the port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.readonly import MARK, mutating, readonly, readonly_world
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.host import Host
from kafkaops.ports.marks import MUTATES, mutates


class Box(Protocol):
    name: str

    def look(self) -> int: ...

    @mutates
    def put(self, value: int) -> None: ...


class FakeBox:
    def __init__(self, name: str) -> None:
        self.name, self.value = name, 1

    def look(self) -> int:
        return self.value

    def put(self, value: int) -> None:
        self.value = value

    def shake(self) -> None:
        self.value = -1

    @mutates
    def marked(self) -> None:
        self.value = -2


@dataclass(frozen=True)
class World:
    boxes: dict[str, Box]
    box: Box
    other: int


def test_reads_pass_and_changes_are_refused() -> None:
    box = FakeBox("b")
    guarded = readonly(box, Box)
    assert (guarded.name, guarded.look()) == ("b", 1)
    with pytest.raises(GuardRefused, match=r"box\.put") as refused:
        guarded.put(2)
    assert refused.value.code == "KO-PLAN-MODE"
    assert box.value == 1


def test_what_the_protocol_does_not_declare_is_out_of_reach() -> None:
    guarded: Any = readonly(FakeBox("b"), Box)
    for name in ("shake", "value", "marked"):
        with pytest.raises(AttributeError):
            getattr(guarded, name)


def test_mappings_of_ports_stay_lazy() -> None:
    class Lazy(dict[str, Box]):
        def __missing__(self, key: str) -> Box:
            made.append(key)
            return FakeBox(key)

    made: list[str] = []
    guarded = readonly(Lazy(), Box)
    assert made == []
    with pytest.raises(GuardRefused):
        guarded["a"].put(1)
    assert made == ["a"]


def test_a_world_is_guarded_field_by_field() -> None:
    world = World({"a": FakeBox("a")}, FakeBox("b"), 3)
    guarded = readonly_world(world, {"boxes": Box, "box": Box})
    assert (guarded.other, guarded.boxes["a"].look(), len(guarded.boxes)) == (3, 1, 1)
    for box in (guarded.box, guarded.boxes["a"]):
        with pytest.raises(GuardRefused):
            box.put(2)


def test_the_mark_is_the_one_that_ports_use() -> None:
    assert MARK == MUTATES
    assert {"create_topic", "commit", "delete_topics"} <= mutating(Cluster)
    assert not {"snapshot", "ends", "groups"} & mutating(Cluster)
    assert {"run", "put", "firewall"} <= mutating(Host)
