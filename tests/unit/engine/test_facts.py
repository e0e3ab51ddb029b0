"""Facts of a run: JSON by name, whole or as they were, whichever threads write them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from kafkaops.engine.errors import ConfigError, OpsError
from kafkaops.engine.facts import FileFacts, MemoryFacts
from kafkaops.engine.parallel import in_threads
from tests.unit.engine.conftest import Filling


def test_facts_are_json_by_name(tmp_path: Path) -> None:
    facts = FileFacts(tmp_path / "facts")
    assert facts.get("forward.proof") is None
    assert facts.names() == ()
    facts.put("forward.proof", {"t/0": {"end": 3}})
    facts.put("../odd name/é", [1])
    facts.put(".hidden", 1)
    facts.put("gone", 1)
    facts.put("gone", None)
    again = FileFacts(tmp_path / "facts")
    assert again.get("forward.proof") == {"t/0": {"end": 3}}
    assert again.get("../odd name/é") == [1]
    assert again.names() == tuple(sorted([".hidden", "../odd name/é", "forward.proof"]))
    assert {p.parent for p in tmp_path.rglob("*.json")} == {tmp_path / "facts"}


def test_memory_facts_make_the_same_round_trip() -> None:
    facts = MemoryFacts()
    facts.put("a", {"x": (1, 2)})
    facts.put("b", None)
    assert facts.get("a") == {"x": [1, 2]}
    assert facts.names() == ("a",)


def test_a_fact_on_a_full_disk_keeps_its_old_value(tmp_path: Path) -> None:
    disk = Filling(1)
    facts = FileFacts(tmp_path / "facts", disk)
    facts.put("a", 1)
    with pytest.raises(OpsError, match="no space left"):
        facts.put("a", 2)
    assert facts.get("a") == 1
    assert facts.names() == ("a",)


def test_a_damaged_fact_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ConfigError, match="'a'"):
        FileFacts(tmp_path).get("a")


def test_facts_are_whole_whichever_threads_write_and_read_them(tmp_path: Path) -> None:
    facts = FileFacts(tmp_path)
    values = [{"n": n, "words": "x" * 500} for n in range(4)]
    facts.put("one", values[0])

    def write(value: object) -> None:
        for _ in range(40):
            FileFacts(tmp_path).put("one", value)  # another process has a lock of its own
            facts.put("one", value)

    def read() -> None:
        for _ in range(300):
            assert facts.get("one") in values

    found = in_threads([[partial(write, value)] for value in values] + [[read]])
    assert [e for e in found if e is not None] == []
