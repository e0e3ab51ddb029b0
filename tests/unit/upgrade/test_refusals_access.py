"""Users, their passwords, super users and our own rights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.upgrade import refusals
from kafkaops.upgrade.refusals import find
from tests.unit.upgrade.evidence import BOB, codes, evidence
from tests.unit.upgrade.states import config, green, state, topic


def test_each_user_is_named_unless_its_password_is() -> None:
    eve = replace(BOB, name="eve")
    seen = evidence(state(topic("t"), scram_users=(BOB, eve)))
    subjects = [f.subject for f in find(seen, config()) if f.code == "KO-SCRAM-USERS"]
    assert subjects == ["bob", "eve"]
    named = config(users={"bob": "env:BOB"}, accept=("KO-USERS-UNPROVEN",))
    assert codes(seen, named) == {"KO-SCRAM-USERS": "eve"}
    assert codes(seen, named.model_copy(update={"users": {"*": "env:X"}})) == {}


def test_a_user_with_another_mechanism_on_green_is_missing_there() -> None:
    other = replace(BOB, mechanism="SCRAM-SHA-256")
    iterated = replace(BOB, iterations=9999)
    blue = state(topic("t"), scram_users=(BOB,))
    assert codes(evidence(blue, green(scram_users=(other,)))) == {"KO-SCRAM-USERS": "bob"}
    assert codes(evidence(blue, green(scram_users=(iterated,)))) == {}


def test_passwords_that_nobody_can_try_are_a_reason() -> None:
    seen = evidence(state(topic("t"), scram_users=(BOB,)))
    found = [f for f in find(seen, config(users={"*": "env:X"})) if f.blocks]
    assert [(f.code, f.subject) for f in found] == [
        ("KO-USERS-UNPROVEN", "blue"), ("KO-USERS-UNPROVEN", "green"),
    ]  # fmt: skip


def test_fewer_super_users_on_green_are_told() -> None:
    blue = state(topic("t"), broker_config={1: {"super.users": "User:a; User:b"}})
    other = green(broker_config={1: {"super.users": "User:b"}})
    [found] = find(evidence(blue, other), config())
    assert (found.code, found.note) == ("KO-SUPER-USERS", True)
    assert found.reason.endswith("User:a")


class Limited:
    """A cluster that tells what we may not do there, and nothing else."""

    def __init__(self, name: str, *rights: str) -> None:
        self.name, self.rights = name, rights

    def missing_rights(self) -> tuple[str, ...]:
        return self.rights


def test_missing_rights_of_both_clusters_come_before_anything_is_read() -> None:
    blue, other = Limited("orders-blue", "READ on TOPIC t"), Limited("orders-green", "ALTER on X")
    with pytest.raises(ConfigError) as refused:
        refusals.collect(blue, other, None, config())  # type: ignore[arg-type]
    assert refused.value.code == "KO-CLUSTER-RIGHTS"
    assert "orders-blue: READ on TOPIC t; on orders-green: ALTER on X" in refused.value.message
