"""The REST port of the mirror's worker, held by somebody else: said before anything is started."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.engine.readonly import readonly_world
from kafkaops.engine.step import Spec, State
from kafkaops.ports.connect import WorkerFound
from kafkaops.upgrade.blue_green.mirroring import WorkerUp, taken, tend
from tests.crash.blue_green_scene import BlueGreen

STEP = WorkerUp(Spec("w", "worker-up", "", "mirror", {"src": "blue", "dst": "green"}))


def listening(world: BlueGreen) -> None:
    world.connect["forward"].taken = True


def answering(world: BlueGreen) -> None:
    """Somebody's worker of the same cluster, idle."""
    world.connect["forward"].theirs = WorkerFound("3.9.0", "GREEN", ())


def copying(world: BlueGreen) -> None:
    world.connect["forward"].theirs = WorkerFound("3.9.0", "GREEN", ("sink-1", "sink-2"))


def elsewhere(world: BlueGreen) -> None:
    world.connect["forward"].theirs = WorkerFound("3.9.0", "OTHER", ())


def ours(world: BlueGreen) -> None:
    world.hosts["green-1"].services["mirror"] = True


@pytest.mark.parametrize(
    ("someone", "words"),
    [
        (listening, "something that is no Connect worker"),
        (answering, "a Connect worker 3.9.0 of cluster GREEN answers"),
        (copying, "of cluster GREEN, with connectors sink-1, sink-2 answers"),
    ],
)
def test_nothing_is_started_where_somebody_has_the_port(
    someone: Callable[[BlueGreen], None], words: str
) -> None:
    world = BlueGreen()
    someone(world)
    topics = set(world.green.topics())
    scene = world.scene()
    with pytest.raises((GuardRefused, StepFailed)) as refused:
        scene.play()
    error = refused.value
    assert (error.code, error.where) == ("KO-MIRROR-PORT", "worker")
    assert "port 8083 of green-1 is taken" in error.message
    assert words in error.message
    assert "mirror.rest_port" in error.hint
    assert "mirror" not in world.hosts["green-1"].services
    assert not any(t.startswith("kafkaops-mirror-forward") for t in world.green.topics())
    assert topics <= set(world.green.topics())


@pytest.mark.parametrize("someone", [copying, elsewhere])
def test_ours_that_cannot_have_its_port_is_not_taken_for_up(
    someone: Callable[[BlueGreen], None],
) -> None:
    """Its unit starts it again and again, and somebody else answers for it."""
    world = BlueGreen()
    ours(world)
    assert STEP.check(world.world) is State.DONE
    someone(world)
    assert STEP.check(world.world) is State.TODO
    blocked = STEP.safe(world.world)
    assert blocked is not None
    assert (blocked.code, blocked.transient) == ("KO-MIRROR-PORT", False)


def test_a_connector_that_somebody_put_beside_ours_leaves_the_worker_ours() -> None:
    world = BlueGreen()
    ours(world)
    both = ("kafkaops-forward", "sink-1")
    world.connect["forward"].theirs = WorkerFound("4.3.1", "GREEN", both)
    assert STEP.check(world.world) is State.DONE


def test_the_way_back_names_its_own_port() -> None:
    world = BlueGreen()
    world.connect["back"].taken = True
    assert taken(world.world, "forward") is None
    blocked = taken(world.world, "back")
    assert blocked is not None
    assert "port 8084 of blue-1" in blocked.reason
    assert "mirror.back_rest_port" in blocked.hint


def test_a_worker_that_died_is_not_started_over_somebody_else() -> None:
    world = BlueGreen()
    ours(world)
    tend(world.world, "forward")
    del world.hosts["green-1"].services["mirror"]
    listening(world)
    with pytest.raises(StepFailed) as refused:
        tend(world.world, "forward")
    assert refused.value.code == "KO-MIRROR-PORT"
    assert "mirror" not in world.hosts["green-1"].services
    world.connect["forward"].taken = False
    tend(world.world, "forward")
    assert world.hosts["green-1"].services["mirror"]


def test_one_that_comes_back_between_two_looks_is_ours() -> None:
    world = BlueGreen()
    connect = world.connect["forward"]
    looked = connect.who

    def who() -> WorkerFound | None:
        ours(world)  # its unit has started it
        return looked()

    connect.who = who  # type: ignore[method-assign]
    assert taken(world.world, "forward") is None


def test_a_plan_may_look() -> None:
    world = BlueGreen()
    listening(world)
    guarded = readonly_world(world.world, world.protocols)
    assert STEP.check(guarded) is State.TODO
    assert STEP.safe(guarded) is not None
