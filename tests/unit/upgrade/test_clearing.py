"""Green is emptied only where nobody can be on it; a second attempt then goes through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafkaops.cutover import fence, names
from kafkaops.engine.step import State
from kafkaops.upgrade.blue_green import clearing, planner
from kafkaops.upgrade.blue_green.clearing import TopicsCleared
from tests.crash.blue_green_scene import TOPIC, BlueGreen


def step(scene: BlueGreen) -> TopicsCleared:
    (spec,) = clearing.plan(scene.config, id="clear-1", created=0.0).specs
    return TopicsCleared(spec)


def there_and_back() -> BlueGreen:
    scene = BlueGreen()
    scene.scene().play()
    scene.scene(plan=planner.way_back).play()
    assert scene.state()["serves"] == "blue"
    return scene


def serving(scene: BlueGreen) -> None:
    fence.lift([scene.hosts["green-2"]], 9092)


def named(scene: BlueGreen) -> None:
    found = scene.names.held
    for key, record in list(found.items()):
        if record.name.startswith("b2."):
            found[key] = type(record)(record.name, record.kind, record.ttl, ("127.0.2.2",))


def used(scene: BlueGreen) -> None:
    scene.green.live["readers"] = True


def mirrored(scene: BlueGreen) -> None:
    scene.hosts["green-1"].services["mirror"] = True
    scene.connect["forward"].name = "kafkaops-forward"
    scene.connect["forward"].state = "RUNNING"


@pytest.mark.parametrize(
    ("someone", "code"),
    [
        (serving, "KO-CLEAR-OPEN"),
        (named, "KO-CLEAR-NAMED"),
        (used, "KO-CLEAR-USED"),
        (mirrored, "KO-CLEAR-MIRRORED"),
    ],
)
def test_a_cluster_that_somebody_uses_is_never_emptied(
    someone: Callable[[BlueGreen], None], code: str
) -> None:
    scene = there_and_back()
    someone(scene)
    blocked = step(scene).safe(scene.world)
    assert blocked is not None
    assert (blocked.code, blocked.transient) == (code, someone is used)
    assert TOPIC in scene.green.topics()


def test_after_a_rollback_green_is_emptied_and_the_second_attempt_goes_through() -> None:
    scene = there_and_back()
    empty = step(scene)
    assert empty.check(scene.world) is State.TODO
    assert empty.safe(scene.world) is None
    empty.act(scene.world)
    assert empty.check(scene.world) is State.DONE
    for name in scene.facts.names():  # another run has a directory of its own
        scene.facts.put(name, None)
    records = scene.names.records(names.wanted_names(scene.config.cutover))
    scene.facts.put("names.planned", names.planned(records))
    scene.scene().play()
    state = scene.state()
    assert (state["serves"], state["lost"], state["duplicated"]) == ("green", [], 0)
