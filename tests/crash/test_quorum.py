"""Controllers in a roll, and what the gate's rules for their quorum are there for: each is met in
the middle of a run, which ends as docs/rolling.md says, and a resume finishes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafkaops.engine.errors import GuardRefused, OpsError, StepFailed, TimedOut
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.engine_harness import Scene
from tests.crash.restart_scene import RACKS, VOTERS, Restart
from tests.crash.upgrade_scene import NEW, Upgrade

MAKES: list[Callable[[Options], Restart]] = [Restart, Upgrade]
ONLY = tuple(map(str, VOTERS))


def order(scene: Scene[object]) -> list[int]:
    return [s.args["node"] for s in scene.plan.specs if s.kind == "node-stopped"]


def after(world: Restart, node: int, do: Callable[[], None]) -> None:
    """Do it once, as soon as this node was watched to the end."""
    done: list[bool] = []
    notes = "rolling" if isinstance(world, Upgrade) else "restart"

    def look() -> None:
        if not done and world.facts.get(f"{notes}.blue-{node}.soaked"):
            done.append(True)
            do()

    world.cluster.on_tick = look


def ended(scene: Scene[object]) -> OpsError:
    with pytest.raises(OpsError) as caught:
        scene.process()
    return caught.value


def finished(world: Restart, starts: dict[int, int]) -> None:
    assert world.starts() == dict.fromkeys(RACKS, 0) | starts
    assert world.cluster.faults == []
    if isinstance(world, Upgrade):
        assert {world.versions()[v] for v in VOTERS} == {NEW}


ONCE = dict.fromkeys(VOTERS, 1)


@pytest.mark.parametrize("make", MAKES)
def test_another_controller_dies_the_next_one_is_kept(make: Callable[[Options], Restart]) -> None:
    world = make(Options(only=ONLY, gate_timeout=600.0))
    scene = world.scene()
    first, second, last = order(scene)
    assert last == world.cluster.active
    after(world, first, lambda: world.cluster.die(last))
    error = ended(scene)
    assert isinstance(error, TimedOut)
    assert (error.code, int(error.exit)) == ("KO-QUORUM-BEHIND", 7)
    assert f"behind: {last}" in error.message
    assert str(last) in error.hint
    assert (world.starts()[first], world.starts()[second]) == (1, 0)
    assert world.cluster.active not in (-1, last)
    # a resume before it is back ends the same, and stops nobody
    again = ended(scene)
    assert (again.code, world.starts()[second]) == ("KO-QUORUM-BEHIND", 0)
    world.cluster.nodes[last].broken = False
    world.cluster.start(last)
    world.clock.sleep(10)
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world, ONCE | {last: 2})  # once by whoever cured it


@pytest.mark.parametrize("make", MAKES)
def test_a_voter_that_lags_is_waited_for(make: Callable[[Options], Restart]) -> None:
    world = make(Options(only=ONLY, gate_timeout=600.0))
    scene = world.scene()
    first, second, last = order(scene)
    after(world, second, lambda: world.cluster.behind.add(first))
    error = ended(scene)
    assert (error.code, int(error.exit)) == ("KO-QUORUM-BEHIND", 7)
    assert f"behind: {first}" in error.message
    assert world.starts()[last] == 0
    world.cluster.behind.clear()
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world, ONCE)


def test_a_voter_that_catches_up_in_time_ends_nothing() -> None:
    world = Restart(Options(only=ONLY))
    scene = world.scene()
    first, second, _ = order(scene)
    until: list[float] = []

    def lag() -> None:
        world.cluster.behind.add(first)
        until.append(world.clock.now + 300)

    after(world, second, lag)
    looked = world.cluster.on_tick

    def tick() -> None:
        looked()
        if until and world.clock.now >= until[0]:
            world.cluster.behind.clear()

    world.cluster.on_tick = tick
    scene.process()
    assert scene.outcomes == ["done"]
    assert world.clock.now > until[0], "it did not wait for the voter"
    finished(world, ONCE)


def cured_by_its_restart(world: Restart, node: int) -> None:
    before = world.cluster.on_tick

    def tick() -> None:
        before()
        if world.starts()[node]:
            world.cluster.behind.discard(node)

    world.cluster.on_tick = tick


def test_the_voter_that_lags_is_the_one_to_go_and_goes() -> None:
    """The others are a quorum without it, and its restart may be what cures it."""
    world = Restart(Options(only=ONLY))
    scene = world.scene()
    first, second, _ = order(scene)
    after(world, first, lambda: world.cluster.behind.add(second))
    cured_by_its_restart(world, second)
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world, ONCE)


@pytest.mark.parametrize("make", MAKES)
def test_a_voter_that_lags_before_the_plan_goes_first(make: Callable[[Options], Restart]) -> None:
    """Strimzi rolls controllers that are not ready before the others: the other way round each
    waits for just the one whose restart would cure it."""
    world = make(Options(only=ONLY, gate_timeout=600.0))
    lagging = max(set(VOTERS) - {world.cluster.active})
    world.cluster.behind.add(lagging)
    scene = world.scene()
    assert order(scene)[0] == lagging
    cured_by_its_restart(world, lagging)
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world, ONCE)


@pytest.mark.parametrize("make", MAKES)
def test_controllers_without_a_leader_are_left_alone(make: Callable[[Options], Restart]) -> None:
    world = make(Options(only=ONLY, gate_timeout=600.0))
    scene = world.scene()
    first, second, last = order(scene)

    def nobody() -> None:
        world.cluster.leaderless = True

    after(world, first, nobody)
    error = ended(scene)
    assert isinstance(error, TimedOut)
    assert (error.code, int(error.exit)) == ("KO-QUORUM-NO-LEADER", 7)
    assert error.hint
    assert (world.starts()[second], world.starts()[last]) == (0, 0)
    world.cluster.leaderless = False
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world, ONCE)


def test_no_leader_before_the_first_stop_stops_nobody() -> None:
    world = Restart(Options(only=ONLY, gate_timeout=600.0))
    scene = world.scene()
    world.cluster.leaderless = True
    error = ended(scene)
    assert (error.code, int(error.exit)) == ("KO-QUORUM-NO-LEADER", 7)
    finished(world, dict.fromkeys(VOTERS, 0))
    world.cluster.leaderless = False
    scene.process()
    finished(world, ONCE)


@pytest.mark.parametrize("begun", [False, True])
def test_brokers_of_one_batch_that_came_to_vote_do_not_go_together(begun: bool) -> None:
    """Voters may be added while a roll goes on (KIP-853). Waiting cures that as little as a resume:
    the batch is as it was planned."""
    rows = ((1, 2, 3), (4, 5, 6))
    world = Restart(Options(only=("1", "2", "4", "5"), canary=False), rows=rows)
    scene = world.scene()
    gates = [list(s.args["mates"].values()) for s in scene.plan.specs if s.kind == "gate-open"]
    batch = gates[1 if begun else 0]
    assert len(batch) == 2

    def vote() -> None:
        world.cluster.voters = (*VOTERS, *batch)

    if begun:
        after(world, gates[0][-1], vote)
    else:
        vote()
    error = ended(scene)
    assert (error.code, int(error.exit)) == ("KO-QUORUM-TOO-MANY", 8 if begun else 5)
    assert type(error) is (StepFailed if begun else GuardRefused)
    assert [world.starts()[node] for node in batch] == [0, 0]
    assert ended(scene).code == "KO-QUORUM-TOO-MANY"
    world.cluster.voters = VOTERS
    scene.process()
    assert scene.outcomes == ["done"]
    finished(world, {1: 1, 2: 1, 4: 1, 5: 1} | dict.fromkeys(VOTERS, 0))
