"""What goes wrong on hosts while a plan is made: all of it, at once, and of no run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError, GuardRefused, OpsError, StepFailed, Unreachable
from kafkaops.upgrade.downtime import operation as downtime
from kafkaops.upgrade.refusals import refuse
from kafkaops.upgrade.rolling.choosing import Options
from tests.crash.protocol_scene import Raise
from tests.crash.restart_scene import Restart
from tests.crash.upgrade_scene import Upgrade


class Outage(Upgrade):
    def plan(self) -> Any:
        return downtime.plan(self.world, self.options, "run-1")


EVERY = pytest.mark.parametrize("kind", [Restart, Upgrade, Outage, Raise])


def failing(error: OpsError) -> Callable[..., Any]:
    def unit(name: str) -> Any:
        raise error

    return unit


def silent(host: str) -> StepFailed:
    return StepFailed("KO-UNIT", "systemd says nothing of kafka.service", where=host, hint="look")


def refused(world: Any) -> OpsError:
    with pytest.raises(OpsError) as caught:
        world.plan()
    assert set(world.starts().values()) == {0}
    return caught.value


@EVERY
def test_a_unit_that_nobody_can_tell_of_is_a_refusal_and_no_step_that_failed(kind: Any) -> None:
    world = kind()
    world.hosts["blue-2"].unit = failing(silent("blue-2"))
    error = refused(world)
    assert (error.code, error.where, int(error.exit)) == ("KO-UNIT", "blue-2", 5)
    assert (error.message, error.hint) == ("systemd says nothing of kafka.service", "look")


@EVERY
def test_every_host_that_cannot_be_asked_is_named_in_one_line_each(kind: Any) -> None:
    world = kind()
    world.hosts["blue-2"].unit = failing(silent("blue-2"))
    world.hosts["blue-5"].unit = failing(silent("blue-5"))
    world.hosts["blue-6"].away = True
    error = refused(world)
    assert (error.code, int(error.exit)) == ("KO-REFUSED", 5)
    lines = [line.strip() for line in error.message.splitlines()]
    assert [line for line in lines if line.startswith("KO-")] == [
        "KO-UNIT:blue-2: systemd says nothing of kafka.service",
        "KO-UNIT:blue-5: systemd says nothing of kafka.service",
        "KO-HOST-AWAY:blue-6: blue-6 does not answer",
    ]


@EVERY
def test_hosts_that_only_cannot_be_reached_are_of_the_configs_kind(kind: Any) -> None:
    world = kind()
    world.hosts["blue-6"].away = True
    assert isinstance(refused(world), Unreachable)
    world.hosts["blue-2"].away = True
    error = refused(world)
    assert isinstance(error, ConfigError)
    assert "KO-HOST-AWAY:blue-2" in error.message
    assert "KO-HOST-AWAY:blue-6" in error.message


def test_a_host_that_is_away_is_named_once_beside_what_others_say() -> None:
    """Controllers are looked at once more where brokers would be newer: not those."""
    world = Upgrade()
    world.hosts["blue-101"].away = True
    world.hosts["blue-2"].links.clear()
    error = refused(world)
    assert (type(error), int(error.exit)) == (GuardRefused, 5)
    assert error.message.count("KO-HOST-AWAY:blue-101") == 1
    assert error.message.startswith("2 reasons")


def test_a_tarball_a_host_and_the_cluster_are_refused_together() -> None:
    world = Upgrade(Options(to="4.2.0"))
    world.hosts["blue-2"].links.clear()
    world.hosts["blue-3"].unit = failing(silent("blue-3"))
    world.cluster.finalized["metadata.version"] = 30
    error = refused(world)
    assert isinstance(error, GuardRefused)
    for words in (
        "KO-VERSION-UNKNOWN:versions: ",
        "KO-UNIT:blue-3: ",
        "KO-LINK-NONE:blue-2: ",
        "KO-FEATURES-NEWER:metadata.version: ",
    ):
        assert words in error.message
    assert error.message.startswith("4 reasons")


def test_a_broker_without_a_host_and_no_tarball_are_both_told() -> None:
    world = Upgrade(Options(to="4.2.0"))
    blue = world.world.config.blue
    hosts = tuple(h for h in blue.hosts if h.node_id != 4)
    spec = blue.model_copy(update={"hosts": hosts})
    config = world.world.config.model_copy(update={"blue": spec})
    world.world = replace(world.world, config=config)
    error = refused(world)
    assert (type(error), int(error.exit)) == (ConfigError, 4)
    assert "KO-VERSION-UNKNOWN:versions" in error.message
    assert "KO-BROKER-NO-HOST:blue: broker 4" in error.message


def test_an_error_that_is_alone_stays_what_it_is() -> None:
    for alone in (ConfigError("KO-A", "a", hint="h"), Unreachable("KO-B", "b")):
        with pytest.raises(type(alone)) as caught:
            refuse((), [alone])
        assert caught.value is alone
    refuse(())
