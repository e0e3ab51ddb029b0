"""One Ctrl-C at every step of a batch, from its stop to its start: nobody is left down by it."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.upgrade.rolling.down import down
from tests.crash.restart_scene import VOTERS
from tests.crash.test_interrupts import Operator
from tests.crash.upgrade_scene import NEW, Upgrade

PLAN = Upgrade().plan()
TAKEN = ("node-stopped", "node-switched", "node-started")
PAIR = next(s for s in PLAN.specs if s.kind == "gate-open" and len(s.args["mates"]) == 2)
HOSTS = [f"blue-{VOTERS[1]}", *PAIR.args["mates"]]
STEPS = [s.id for s in PLAN.specs if s.kind in TAKEN and s.args["host"] in HOSTS]


@pytest.mark.parametrize("step", STEPS)
def test_one_ctrl_c_leaves_nobody_down(step: str) -> None:
    world: Any = Upgrade()
    operator = Operator(world)
    assert operator.type(interrupt_at=step) == "stopped"
    assert all(node.pid for node in world.cluster.nodes.values())
    stopped, coming = down(world.facts, [PLAN])
    host, mates = next((s.args["host"], s.args["mates"]) for s in PLAN.specs if s.id == step)
    begun = {host} if step == f"stop-{next(iter(mates))}" else set(mates)  # who runs is left alone
    assert (stopped, set(coming)) == ([], begun)
    world.clock.sleep(10)
    assert operator.type() == "done"
    assert set(world.starts().values()) == {1}
    assert set(world.versions().values()) == {NEW}
    assert world.cluster.faults == []
