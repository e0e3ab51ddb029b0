"""Passwords of SCRAM users: found by name or glob, tried before they count."""

from __future__ import annotations

from typing import cast

import pytest

from kafkaops.config.schema import ClusterSpec
from kafkaops.config.secrets import Secrets
from kafkaops.engine.errors import ConfigError, Exit
from kafkaops.model.cluster import ScramUser
from kafkaops.ports.cluster import Cluster
from kafkaops.upgrade import users
from tests.crash.blue_green_scene import config
from tests.crash.fake_kafka import FakeCluster

BOB = ScramUser("bob", "SCRAM-SHA-512", 4096)
EVE = ScramUser("eve", "SCRAM-SHA-256", 4096)


def cluster(**passwords: str) -> Cluster:
    made = FakeCluster("blue", "BLUE", (1,), "3.9")
    made.users = {user: passwords[user.name] for user in (BOB, EVE) if user.name in passwords}
    return cast(Cluster, made)


def spec(protocol: str = "SASL_PLAINTEXT") -> ClusterSpec:
    blue = config().blue
    security = blue.security.model_copy(update={"protocol": protocol})
    return blue.model_copy(update={"security": security})


def test_the_own_entry_wins_then_the_first_glob() -> None:
    known = {"app-*": "file:/s/{user}", "app-9": "env:NINE", "*": "env:REST"}
    assert users.reference("app-1", known) == "file:/s/app-1"
    assert users.reference("app-9", known) == "env:NINE"
    assert users.reference("bob", known) == "env:REST"
    assert users.reference("bob", {"app-*": "env:X"}) is None


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", ".hidden", "x#key", "a b", ""])
def test_a_name_that_leads_elsewhere_stands_for_nothing(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot stand for"):
        users.reference(name, {"*": "file:/secrets/{user}"})
    assert users.reference(name, {"*": "env:SAME"}) == "env:SAME"


def test_every_wrong_secret_is_named_at_once_and_no_password_shown() -> None:
    secrets = Secrets(environ={"BOB": "wrong-password"})
    wanted = {BOB: "env:BOB", EVE: "env:EVE"}
    with pytest.raises(ConfigError) as refused:
        users.passwords(wanted, secrets, cluster(bob="right", eve="x"), spec())
    told = refused.value
    assert (told.code, told.exit) == ("KO-USER-SECRET", Exit.CONFIG)
    assert "bob: blue refuses the password at env:BOB" in told.message
    assert "eve: the environment variable EVE is not set" in told.message
    assert "wrong-password" not in told.message


def test_right_ones_come_back_by_user() -> None:
    secrets = Secrets(environ={"BOB": "right", "EVE": "hers"})
    known = cluster(bob="right", eve="hers")
    found = users.passwords({BOB: "env:BOB", EVE: "env:EVE"}, secrets, known, spec())
    assert found == {BOB: "right", EVE: "hers"}
    assert users.refused(found, cluster(bob="right", eve="other")) == ["eve"]
    assert users.refused(found, cluster(bob="right")) == ["eve"]


def test_where_no_login_can_be_tried_none_is() -> None:
    secrets = Secrets(environ={"BOB": "anything"})
    assert users.passwords({BOB: "env:BOB"}, secrets, cluster(), spec("SSL")) == {BOB: "anything"}
    assert not users.provable(spec("SSL"))
