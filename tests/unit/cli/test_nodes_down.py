"""However a command ends before its run does, it says whose nodes are down and what starts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kafkaops.cli.parting import Parting, nodes_down
from kafkaops.engine.facts import MemoryFacts
from kafkaops.engine.step import Plan, Spec
from kafkaops.engine.store import FileFacts
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.down import down
from kafkaops.upgrade.rolling.phases import WITHOUT
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations

MARK = {"noted": 1.0, "pid": 7, "isr": []}


class Rolling(FakeOperations):
    """A restart whose first step stops blue-2."""

    def plan_roll(
        self, world: World, run: str, options: Options, strategy: str = "rolling"
    ) -> Plan:
        made = super().plan_roll(world, run, options, strategy)
        stop = replace(made.specs[0], kind="node-stopped", args={"host": "blue-2"})
        return replace(made, specs=(stop, *made.specs[1:]))


@pytest.fixture
def operations() -> FakeOperations:
    return Rolling()


def stopping(config: Path) -> Callable[[str], None]:
    """Each act notes that it stops blue-2."""

    def stop(step: str) -> None:
        (run,) = (config.parent / "state" / "runs").iterdir()
        FileFacts(run / "facts").put("restart.blue-2.mark", MARK)

    return stop


def test_a_run_that_fails_names_who_is_down_and_what_starts_it(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    operations.on_act.append(stopping(config))
    operations.broken.add("start")
    code, document, err = kafkaops("restart", "--yes")
    assert code == 8
    run = document["error"]["resume"].split()[3]
    told = f"down for this run: blue-2; kafkaops run resume {run} -c {config}, or kafkaops run"
    assert f"{told} rollback {run} -c {config}, starts what is down" in err
    facts = FileFacts(config.parent / "state" / "runs" / run / "facts")
    facts.put("restart.blue-2.started", {"at": 1.0})
    err = kafkaops("run", "resume", run, "--yes")[2]
    assert "down for this run" not in err
    assert "started, and not seen up yet: blue-2" in err
    facts.put("restart.blue-2.up", {"at": 1.0})
    assert "blue-2" not in kafkaops("run", "resume", run, "--yes")[2]


def test_a_run_that_is_held_as_asked_names_them_too(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    operations.on_act.append(stopping(config))
    saved = str(config.parent / "plan.json")
    kafkaops("restart", "--plan", "--out", saved)
    code, document, err = kafkaops("apply", saved, "--until", "stop", "--yes")
    assert (code, document["outcome"]) == (0, "held")
    assert "down for this run: blue-2; kafkaops run resume" in err


def plan(operation: str, *hosts: str) -> Plan:
    stops = (Spec(h, "node-stopped", h, "stop", {"host": h, "notes": operation}) for h in hosts)
    return Plan("r", operation, "c", 0.0, tuple(stops))


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({}, ([], [])),
        ({"rolling.a.mark": 1}, (["a"], [])),
        ({"rolling.a.mark": 1, "rolling.a.started": 1}, ([], ["a"])),
        ({"rolling.a.mark": 1, "rolling.a.started": 1, "rolling.a.up": 1}, ([], [])),
        ({"rolling.a.mark": 1, "rolling.b.mark": 1, WITHOUT: ["b"]}, (["a"], [])),
        ({"rolling.a.mark": 1, "back.a.mark": 1, "back.a.up": 1}, ([], [])),
        ({"rolling.a.mark": 1, "rolling.a.up": 1, "back.a.mark": 1}, (["a"], [])),
        ({"rolling.a.mark": 1, "back.b.mark": 1, "back.b.started": 1}, (["a"], ["b"])),
    ],
)
def test_who_is_down_by_what_is_written_down(facts: dict[str, Any], wanted: Any) -> None:
    kept = MemoryFacts()
    for name, value in facts.items():
        kept.put(name, value)
    assert down(kept, [plan("rolling", "a", "b"), plan("back", "a", "b")]) == wanted


def test_a_second_ctrl_c_names_them_too(capfd: pytest.CaptureFixture[str]) -> None:
    facts, left = MemoryFacts(), list[int]()
    facts.put("rolling.a.mark", MARK)

    def world(say: Callable[[str], None]) -> World:
        raise AssertionError("there is nothing to give back")

    def words() -> list[str]:
        return nodes_down(facts, [plan("rolling", "a")], "run resume r", "run rollback r")

    Parting(facts, world, left.append, down=words)(130)
    assert (left, capfd.readouterr().err) == (
        [130],
        "down for this run: a; run resume r, or run rollback r, starts what is down\n",
    )
