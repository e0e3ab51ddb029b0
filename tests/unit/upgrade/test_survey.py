"""What planning tries as a client would, before anything is changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from kafkaops.config.secrets import Secrets
from kafkaops.engine.errors import ConfigError, GuardRefused
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import survey
from tests.crash.blue_green_scene import APP, PASSWORD, BlueGreen


class Watching:
    """A probe that keeps what it was asked, and refuses the certificate of one address."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.asked: dict[str, list[str]] = {}

    def cluster_id(
        self, host: str, port: int, *, timeout: float = 5.0, names: Collection[str] = ()
    ) -> str | None:
        self.asked[host] = list(names)
        if host == self.refused:
            raise ConfigError("KO-CERTIFICATE-NAMES", f"not at {host}")
        return None


def planned(world: World) -> None:
    seen = survey.look(world)
    harmless = replace(seen, findings=tuple(f for f in seen.findings if not f.blocks))
    survey.plan(world, harmless, "run-1")


def test_every_client_port_is_asked_for_its_own_name_and_the_alias() -> None:
    probe = Watching()
    planned(replace(BlueGreen().world, probe=probe))
    assert len(probe.asked) == 6
    assert probe.asked["127.0.1.2"] == ["b2.kafka.lab", "bootstrap.kafka.lab"]
    assert probe.asked["127.0.2.2"] == probe.asked["127.0.1.2"]


def test_a_client_port_that_clients_could_not_use_ends_the_planning() -> None:
    with pytest.raises(ConfigError, match=r"not at 127\.0\.2\.3"):
        planned(replace(BlueGreen().world, probe=Watching("127.0.2.3")))


def test_an_outdated_secret_ends_the_planning() -> None:
    old = Secrets(environ={"SECRET_app-1": "of last year"})
    with pytest.raises(ConfigError) as refused:
        planned(replace(BlueGreen().world, secrets=old))
    assert refused.value.code == "KO-USER-SECRET"
    assert "app-1" in refused.value.message


def test_another_password_on_green_ends_the_planning() -> None:
    scene = BlueGreen()
    scene.green.users = {APP: PASSWORD}
    planned(scene.world)
    scene.green.users = {APP: "another"}
    with pytest.raises(ConfigError) as refused:
        planned(scene.world)
    assert refused.value.code == "KO-USER-LOGIN"
    assert "app-1" in refused.value.message


def test_a_green_that_is_not_whole_ends_the_planning_by_name() -> None:
    scene = BlueGreen()
    scene.provision.looks = 1
    with pytest.raises(GuardRefused, match="green-2") as refused:
        survey.look(scene.world)
    assert (refused.value.code, refused.value.hint) == ("KO-GREEN-MISSING", "start it")


def test_a_part_of_green_that_falls_away_before_its_step_is_waited_for() -> None:
    scene = BlueGreen()
    scene.provision.looks = 5
    run = scene.scene()
    run.play()
    assert run.outcomes == ["done"]
    assert scene.provision.looks < 0
