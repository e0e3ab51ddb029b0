"""Ctrl-C in every phase of a blue/green upgrade: at each step that begins, and at each change."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.engine.errors import RolledBack
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.journal import Journal
from kafkaops.engine.parallel import in_turn
from kafkaops.engine.run import Runner
from kafkaops.engine.stepping import Interrupted
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.planner import CUT, DECIDED
from tests.crash.blue_green_scene import BlueGreen, config
from tests.crash.engine_harness import MemoryFiles, NoLease
from tests.crash.outage_scene import Outage

PLAN = planner.forward(config(), id="run-1", created=0.0)
PAST = [s.id for s in PLAN.specs][[s.id for s in PLAN.specs].index(DECIDED) + 1 :]


class Operator:
    """Types the command, presses Ctrl-C once a chosen step begins, and types resume."""

    def __init__(self, world: BlueGreen | None = None) -> None:
        self.world = world or BlueGreen()
        self.path, self.files = Path("run.jsonl"), MemoryFiles()
        self.heard: list[Event] = []

    def type(self, interrupt_at: str = "") -> str:
        """`done`, `stopped`, or `returned`."""
        scene = self.world.scene()
        if self.files.read(self.path) is None:
            journal = Journal.create(self.path, scene.plan, self.world.clock, self.files)
        else:
            journal = Journal.open(self.path, self.world.clock, self.files)

        def hear(event: Event) -> None:
            self.heard.append(event)
            if event.kind is Kind.STARTED and event.step == interrupt_at:
                runner.request_stop()

        runner: Runner[World] = Runner(
            journal.plan,
            scene.registry,
            self.world.world,
            journal,
            NoLease(),
            self.world.clock,
            hear,
            confirm=lambda question: True,
            parallel=in_turn,
        )
        try:
            return runner.run().outcome
        except Interrupted:
            return "stopped"
        except RolledBack:
            return "returned"


WAITS = {"warm", "gates", "ttl-wait", "mirror-gone", "clients", "bake", "leaders", "leaders-back"}
"""Steps that only wait, or find their work done: nothing begins there."""


@pytest.mark.parametrize("step", [s.id for s in PLAN.specs if s.id not in WAITS])
def test_one_ctrl_c_at_any_step_stops_or_goes_back_and_resumes_to_the_end(step: str) -> None:
    operator = Operator()
    inside = next(s for s in PLAN.specs if s.id == step).critical == CUT and step != DECIDED
    outcome = operator.type(interrupt_at=step)
    assert any(e.kind is Kind.STARTED and e.step == step for e in operator.heard)
    assert outcome == ("returned" if inside else "stopped")
    operator.world.live()
    assert operator.world.clients.last == ("green" if step in (DECIDED, *PAST) else "blue")
    assert operator.type() == "done"
    state = operator.world.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)


OUTAGE = planner.forward(Outage().config, id="run-1", created=0.0)
ACTING = [s.id for s in OUTAGE.specs if s.id not in {*WAITS, "hooks-start"}]


@pytest.mark.parametrize("step", ACTING)
def test_one_ctrl_c_leaves_nobody_stopped_where_no_firewall_would_end_it(step: str) -> None:
    operator = Operator(Outage())
    at, decided = ACTING.index(step), ACTING.index(DECIDED)
    inside = ACTING.index("observe") <= at <= decided
    assert operator.type(interrupt_at=step) == ("returned" if inside else "stopped")
    assert not operator.world.clients.stopped
    operator.world.clock.sleep(5)
    assert operator.world.clients.last == ("green" if at > decided else "blue")
    assert operator.type() == "done"
    state = operator.world.state()
    assert (state["serves"], state["stopped"]) == ("green", False)
    assert (state["lost"], state["duplicated"]) == ([], 0)
