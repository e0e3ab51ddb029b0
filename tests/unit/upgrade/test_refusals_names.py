"""How the names move is decided by what is there, and each fence and hook asks for its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kafkaops.config.schema import ClientGroup, Config
from kafkaops.model.cluster import Group, Member
from kafkaops.ports.names import Record
from kafkaops.upgrade.refusals import find, move_mode
from tests.unit.upgrade.evidence import RECORDS, codes, evidence, with_broker
from tests.unit.upgrade.states import config, green, state, topic


def test_a_cname_from_the_alias_to_a_broker_name_follows_it() -> None:
    follows = Record("boot.k", "CNAME", 60, ("b1.k.",))
    assert codes(evidence(records=(follows, *RECORDS[1:]))) == {}
    strange = replace(follows, values=("elsewhere.k",))
    assert codes(evidence(records=(strange, *RECORDS[1:]))) == {"KO-NAME-TYPE": "boot.k"}


ALIAS_ONLY: Mapping[str, Any] = {"broker_names": {}}


def alias_only(**more: Any) -> Config:
    base = config()
    return config(cutover=base.cutover.model_copy(update={**ALIAS_ONLY, **more}))


def test_listed_names_mean_shared_or_a_finding() -> None:
    """Otherwise a config that lists names could be run as if only the alias moved."""
    pairs = [
        (state(topic("t")), green(racks={1: "a", 2: "b", 3: "c", 4: "a"})),
        (state(topic("t"), racks={1: "a", 2: "b", 3: "c", 4: "a"}), green()),
        (state(topic("t", [(1, 2)]), racks={1: "a", 2: "b"}), green()),
        (state(topic("t")), with_broker(green(), 2, listeners=())),
        (state(topic("t")), green(names="x{}.k")),
    ]
    for blue, other in pairs:
        assert move_mode(blue, other, config()) == "alias"
        assert codes(evidence(blue, other))


def test_modes_and_what_they_ask() -> None:
    blue, other = state(topic("t")), green(names="g{}.k")
    assert move_mode(blue, green(), config()) == "shared"
    assert move_mode(blue, other, config()) == "alias"
    assert move_mode(blue, green(), alias_only()) == "alias"
    assert codes(evidence(other=other, records=RECORDS[:1]), alias_only()) == {}
    # names that both advertise but that do not move would lead back to blue
    found = codes(evidence(records=RECORDS[:1]), alias_only())
    assert found == {"KO-NAMES-NOT-LISTED": "b1.k, b2.k, b3.k"}
    follower = alias_only().model_copy(
        update={"clients": (ClientGroup(name="a", moves="follows-names", groups=("*",)),)}
    )
    found = codes(evidence(other=other, records=RECORDS[:1]), follower)
    assert found == {"KO-CLIENTS-CANNOT-FOLLOW": "a"}


def test_forwarding_wants_the_same_node_ids_on_both_sides() -> None:
    four = green(names="g{}.k", racks={1: "a", 2: "b", 3: "c", 4: "a"})
    seen = evidence(other=four, records=RECORDS[:1])
    assert codes(seen, alias_only()) == {"KO-NODE-IDS": "green", "KO-HOST-MISSING": "green-4"}
    assert codes(seen, alias_only(forward="refuse")) == {"KO-HOST-MISSING": "green-4"}


HOOKED = ClientGroup(name="a", moves="hooks", groups=("g*",), stop=("x",), start=("x",))


def stopped(*clients: ClientGroup) -> Config:
    base = config()
    return config(
        cutover=base.cutover.model_copy(update={"fence": "clients"}), clients=(HOOKED, *clients)
    )


def test_a_fence_of_stopped_clients_wants_hooks_for_every_group_each_named() -> None:
    assert codes(evidence(), stopped()) == {}
    follows = ClientGroup(name="b", moves="follows-names", groups=("h",))
    moves = ClientGroup(name="c", moves="rebootstrap", groups=("i",))
    found = find(evidence(), stopped(follows, moves))
    named = [str(f) for f in found if f.blocks]
    assert named == [
        "KO-FENCE-CLIENTS:b: moves: follows-names, and nothing would stop it",
        "KO-FENCE-CLIENTS:c: moves: rebootstrap, and nothing would stop it",
    ]
    assert not any(f.acceptable for f in found if f.blocks)


def test_a_group_that_nobody_declared_cannot_be_accepted_where_nothing_else_stops_it() -> None:
    member = Member("m", "c", "/10.0.0.1")
    blue = state(topic("t"), groups=(Group("other", "classic", "Stable", "range", (member,)),))
    seen = evidence(blue)
    assert codes(seen, stopped()) == {"KO-FENCE-CLIENTS": "other"}
    assert codes(seen) == {"KO-GROUP-UNDECLARED": "other"}
    accepted = stopped().model_copy(update={"accept": ("KO-*",)})
    assert codes(seen, accepted) == {"KO-FENCE-CLIENTS": "other"}


def test_without_forwarding_green_may_have_other_nodes() -> None:
    four = green(names="g{}.k", racks={1: "a", 2: "b", 3: "c", 4: "a"})
    seen = evidence(other=four, records=RECORDS[:1])
    alias = stopped()
    alias = alias.model_copy(update={"cutover": alias.cutover.model_copy(update=dict(ALIAS_ONLY))})
    assert codes(seen, alias) == {"KO-HOST-MISSING": "green-4"}


def test_hooks_need_their_commands() -> None:
    half = config(clients=(ClientGroup(name="a", moves="hooks", stop=("x",)),))
    assert codes(evidence(), half) == {"KO-CLIENTS-NO-HOOKS": "a"}
