"""Commands on hosts have time for every volume, and one that was ended says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.facts import MemoryFacts
from kafkaops.engine.step import Spec
from kafkaops.ports.host import Host, Ran
from kafkaops.ports.world import World
from kafkaops.volumes.cluster.on_host import TIMEOUT, typed
from kafkaops.volumes.cluster.steps import Typed

NAMES = ["data-1", "data-2"]


class Slow:
    """A host whose every command takes `seconds` a volume that it names."""

    name = "blue-1"

    def __init__(self, seconds: float = 200.0) -> None:
        self.seconds = seconds
        self.typed: list[tuple[str, ...]] = []
        self.given: list[float] = []

    def where(self, path: str) -> str:
        return path

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> Ran:
        words = tuple(argv[2:-2])
        self.typed.append(words)
        self.given.append(timeout)
        volumes = [word for word in words if word in NAMES]
        if self.seconds * len(volumes) > timeout:
            return Ran(124, "", "data-1: unlock\ndata-2: add its keyslot\n")
        return Ran(0, json.dumps({"volumes": []}), "")


def world(host: Slow) -> World:
    return cast(World, SimpleNamespace(hosts={"blue-1": host}, facts=MemoryFacts()))


def test_each_volume_has_its_own_time() -> None:
    host = Slow()
    for name in NAMES:
        args = {"host": "blue-1", "volume": name, "verb": "rewrap", "flags": ["--yes"]}
        spec = Spec(id=f"rewrap-{name}", kind="volume-typed", title="", phase="rewrap", args=args)
        Typed(spec).act(world(host))
    assert host.typed == [("rewrap", "data-1", "--yes"), ("rewrap", "data-2", "--yes")]
    assert host.given == [TIMEOUT, TIMEOUT]


def test_one_that_was_ended_says_so_and_what_it_was_at() -> None:
    with pytest.raises(StepFailed) as caught:
        typed(cast(Host, Slow(TIMEOUT + 1)), "rotate", "data-1", "--yes")
    assert caught.value.code == "KO-VOLUME-SLOW"
    assert "was ended after 300 s, not done; it was at: data-2: add its keyslot" in str(
        caught.value.message
    )
    assert "resume" in caught.value.hint
