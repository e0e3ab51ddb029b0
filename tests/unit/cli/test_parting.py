"""What a second Ctrl-C gives back before it leaves, and what is told of what is held."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaops.cli.operations import Say
from kafkaops.cli.parting import Parting
from kafkaops.config.schema import Config
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.facts import MemoryFacts
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.hooking import BEGUN
from kafkaops.upgrade.fleet import groups
from tests.crash.fake_scaling import FakeScaling
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations, ToyWorld


class Held:
    """A group that is suspended for a run. Its node is nobody's: it cannot be said to be up."""

    def __init__(self, facts: Any) -> None:
        self.clock = FakeClock()
        self.scaling = FakeScaling(self.clock, {"asg": ["i-1"]}, lag=0.0)
        self.facts = facts
        groups.suspend(self.world(lambda line: None), "asg", {})

    def world(self, say: Callable[[str], None]) -> World:
        toy = ToyWorld(cast(Config, None), self.clock, self.facts, [], set(), [])
        toy.scaling, toy.say = self.scaling, say  # type: ignore[attr-defined]
        return cast(World, toy)


def test_a_second_ctrl_c_gives_back_and_leaves(capfd: pytest.CaptureFixture[str]) -> None:
    held, left = Held(MemoryFacts()), list[int]()
    assert held.scaling.may_end("i-1") == []
    Parting(held.facts, held.world, left.append)(130)
    assert left == [130]
    assert "Terminate" in held.scaling.may_end("i-1")
    told = capfd.readouterr().err
    assert "giving back what is held first" in told
    assert "WARNING" not in told


def test_with_nothing_held_it_leaves_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    left: list[int] = []

    def world(say: Callable[[str], None]) -> World:
        raise AssertionError("there is nothing to give back")

    Parting(MemoryFacts(), world, left.append)(130)
    assert left == [130]
    assert capfd.readouterr().err == ""


def test_who_is_stopped_by_hooks_is_told_with_what_starts_them(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """No timer starts clients again: whoever leaves must know who stands still."""
    facts, left = MemoryFacts(), list[int]()
    facts.put(f"forward.{BEGUN}", ["readers", "writers"])

    def world(say: Callable[[str], None]) -> World:
        raise AssertionError("there is nothing to give back")

    parting = Parting(facts, world, left.append, resume="kafkaops run resume demo-1")
    parting(130)
    assert left == [130]
    told = capfd.readouterr().err
    assert "clients are STOPPED by hooks: readers, writers" in told
    assert told.endswith("kafkaops run resume demo-1\n")
    parting(130)
    assert capfd.readouterr().err == ""


def test_a_third_leaves_at_once_and_a_second_that_cannot_give_back_says_so(
    capfd: pytest.CaptureFixture[str],
) -> None:
    held, left = Held(MemoryFacts()), list[int]()
    gate = threading.Event()

    def stuck(say: Callable[[str], None]) -> World:
        gate.wait(60)
        return held.world(say)

    parting = Parting(held.facts, stuck, left.append, patience=0.01)
    parting(130)
    assert left == [130]
    assert "WARNING: not given back: Auto Scaling group asg" in capfd.readouterr().err
    parting(130)
    assert left == [130, 130]
    gate.set()


class Operations(FakeOperations):
    """The toy world with a group that the run suspended."""

    kept: Held | None = None

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        made = super().world(config, run_dir=run_dir, say=say)
        if run_dir is None:
            return made
        toy = cast(Any, made)
        if self.kept is None:
            self.kept = Held(toy.facts)
        self.kept.facts = toy.facts
        toy.scaling, toy.say = self.kept.scaling, say
        return made


@pytest.fixture
def operations() -> FakeOperations:
    return Operations()


def test_whatever_way_a_command_ends_what_its_run_holds_is_given_back(
    operations: Operations, kafkaops: Kafkaops
) -> None:
    operations.broken.add("start")
    code, _, _ = kafkaops("restart", "--yes")
    assert code == 8
    assert operations.kept is not None
    assert "Terminate" in operations.kept.scaling.may_end("i-1")
    assert groups.held(operations.kept.facts) == {}


def test_what_a_dead_process_left_is_named_and_a_resume_of_a_run_that_is_over_gives_it_back(
    operations: Operations, kafkaops: Kafkaops
) -> None:
    code, told, _ = kafkaops("restart", "--yes")
    assert code == 0
    held = operations.kept
    assert held is not None
    groups.suspend(held.world(lambda line: None), "asg", {})  # as if it had died before
    code, shown, _ = kafkaops("run", "show")
    assert shown["held"] == [
        f"Auto Scaling group asg is suspended by kafkaops ({', '.join(sorted(groups.PROCESSES))})"
    ]
    code, health, _ = kafkaops("run", "resume", "--yes")
    assert (code, health["outcome"]) == (0, "given-back")
    assert "Terminate" in held.scaling.may_end("i-1")
    assert kafkaops("run", "resume", "--yes")[1]["outcome"] == "nothing-to-do"
    assert told["outcome"] == "done"
