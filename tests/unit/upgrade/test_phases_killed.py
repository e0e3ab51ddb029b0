"""Every phase in which clients can be hurt has its kill point in the matrix on the real lab."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafkaops.engine.step import Plan
from kafkaops.upgrade.blue_green import planner
from kafkaops.upgrade.blue_green.phases import TITLES, Phase
from tests.crash.blue_green_scene import config
from tests.integration.test_kill_matrix import BACK, END, POINTS, THERE

PLANS: dict[str, Callable[..., Plan]] = {
    THERE: planner.forward,
    BACK: planner.way_back,
    END: planner.finalize,
}
ORDER = list(Phase)
FROM_THE_GATES = set(ORDER[ORDER.index(Phase.GATES) :])
LEFT_OUT = {
    (BACK, Phase.BACK): "after a finished move blue was made ready already: nothing acts there",
}
"""(command, phase): why no process is killed there."""


def needed(command: str) -> set[Phase]:
    """The phases of this command's plan that want a kill point."""
    plan = PLANS[command](config(), id="run-1", created=0.0)
    return {Phase(s.phase) for s in plan.specs} & FROM_THE_GATES


@pytest.mark.parametrize("command", PLANS)
def test_every_phase_from_the_gates_on_has_a_kill_point(command: str) -> None:
    lines = {line for (of, _), line in POINTS.items() if of == command}
    unkilled = {phase for phase in needed(command) if f"== {TITLES[phase]}" not in lines}
    assert unkilled == {phase for of, phase in LEFT_OUT if of == command}


def test_every_kill_point_comes() -> None:
    """One whose line is in no plan would never be seen."""
    for (command, name), line in POINTS.items():
        plan = PLANS[command](config(), id="run-1", created=0.0)
        phases = {f"== {TITLES[Phase(s.phase)]}" for s in plan.specs}
        steps = {f"✓ [{s.phase}] {s.title.split(', ')[0]}" for s in plan.specs}
        assert line in phases | steps, (command, name)


def test_all_phases_are_of_some_plan() -> None:
    assert {phase for command in PLANS for phase in needed(command)} == FROM_THE_GATES
