"""Stop, proof that the stop was clean, install: what a rolling upgrade knows of each node's end
before it turns the link, and what becomes of one that did not end by itself.
"""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import StepFailed
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.engine_harness import Point, uncrashed
from tests.crash.restart_scene import RACKS, VOTERS
from tests.crash.upgrade_scene import NEW, Upgrade

NODES = (*RACKS, *VOTERS)


def test_each_end_is_written_down_before_the_version_changes() -> None:
    world = Upgrade()
    seen = world.endings("rolling")
    world.scene().play()
    assert {name: (end["clean"], end["exit_code"]) for name, end in seen.items()} == {
        f"blue-{n}": (True, 143) for n in NODES
    }
    assert not any("end by itself" in line for line in world.said)


def some(*nodes: int) -> Upgrade:
    """Only these brokers are left to upgrade."""
    world = Upgrade(Options(only=tuple(map(str, nodes))))
    world.upgraded(*VOTERS)
    return world


KILLED, GAVE_UP = (None, 9, "signal 9"), (1, None, "exit code 1")


@pytest.mark.parametrize(("code", "signal", "how"), [KILLED, GAVE_UP])
def test_one_that_did_not_end_by_itself_gets_its_version_and_ends_the_run_when_it_is_back(
    code: int | None, signal: int | None, how: str
) -> None:
    world = some(1, 2)
    first, other = (s.args["node"] for s in world.plan().specs if s.kind == "node-stopped")
    world.cluster.nodes[first].code, world.cluster.nodes[first].signal = code, signal
    seen = world.endings("rolling")
    scene = world.scene()
    with pytest.raises(StepFailed) as caught:
        scene.process()
    error = caught.value
    assert (error.code, int(error.exit), error.where) == ("KO-STOP-UNCLEAN", 8, f"blue-{first}")
    assert how in error.message
    assert {name: end["clean"] for name, end in seen.items()} == {f"blue-{first}": False}
    [line] = [line for line in world.said if "end by itself" in line]
    assert line.startswith(f"blue-{first} did not end by itself when told to ({how})")
    assert (world.cluster.up(first), world.versions()[first]) == (True, NEW)
    assert world.starts()[other] == 0
    scene.process()
    assert scene.outcomes == ["done"]
    assert (world.starts()[first], world.starts()[other]) == (1, 1)


def test_killed_while_it_waited_for_the_stop_a_resume_asks_first_how_it_ended() -> None:
    calls = uncrashed(lambda: some(1).scene())[1].calls
    [stop] = [n for n, (name, _) in enumerate(calls, 1) if name.endswith("unit_stop")]
    world = some(1)
    world.cluster.nodes[1].signal = 9
    seen = world.endings("rolling")
    scene = world.scene()
    scene.process(Point(stop, "after"))
    assert (scene.outcomes, world.facts.get("rolling.blue-1.ended")) == (["killed"], None)
    with pytest.raises(StepFailed) as caught:
        scene.process()
    assert caught.value.code == "KO-STOP-UNCLEAN"
    assert (seen["blue-1"]["clean"], seen["blue-1"]["signal"]) == (False, 9)
