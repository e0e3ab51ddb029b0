"""The protocol as a value and as a line of a file; what speaks against raising it; the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkaops.config.schema import Config
from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.engine.plan_json import from_json, to_json
from kafkaops.upgrade.protocol.phases import TITLES, Phase
from kafkaops.upgrade.protocol.setting import NAME, Protocol, replaced, values
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.phases import Phase as Rolling
from tests.crash.protocol_scene import CONTROLLER, FILE, Raise, file
from tests.crash.restart_scene import RACKS, Restart

OTHERS = tuple(node for node in RACKS if node != 4)


def refused(world: Raise) -> GuardRefused:
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    return caught.value


# the value


@pytest.mark.parametrize(
    ("text", "found"),
    [("3.9", (3, 9)), ("3.8-IV0", (3, 8)), ("0.10.2-IV0", (0, 10)), ("3.9.2", (3, 9))],
)
def test_a_protocol_goes_by_its_line(text: str, found: tuple[int, int]) -> None:
    assert Protocol.of(text) == Protocol(*found)


@pytest.mark.parametrize("text", ["", "latest", "3", "3.9-IV", "3.9 or so"])
def test_what_is_none_is_none(text: str) -> None:
    assert Protocol.of(text) is None
    with pytest.raises(UsageFault) as caught:
        Protocol.wanted(text)
    assert "--to 3.9" in caught.value.hint


def test_above_3_9_there_is_none_and_both_ways_are_named() -> None:
    with pytest.raises(UsageFault) as caught:
        Protocol.wanted("4.0")
    assert "migrate to KRaft on 3.9" in caught.value.hint
    assert "blue-green" in caught.value.hint


# the file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a=1\ninter.broker.protocol.version=3.8\nb=2\n", b"=3.9\n"),
        (b"  inter.broker.protocol.version :  3.8-IV0 \t\r\nb=2", b" :  3.9 \t\r\n"),
        (b"inter.broker.protocol.version 3.8", b"version 3.9"),
        (b"#inter.broker.protocol.version=1\\\ninter.broker.protocol.version=3.8\n", b"\n"),
        (b"a=x\\\ninter.broker.protocol.version=7\ninter.broker.protocol.version=3.8", b"=3.9"),
        (b"a=\xff\xfe\n\ninter.broker.protocol.version=3.8\n", b"=3.9\n"),
    ],
)
def test_only_the_value_is_written(before: bytes, after: bytes) -> None:
    found = replaced(before, NAME, "3.9")
    assert after in found
    assert values(found, NAME) == ("3.9",)
    [said] = values(before, NAME)
    assert replaced(found, NAME, said) == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#inter.broker.protocol.version=3.8\n",
        b"inter.broker.protocol.version=3.8\ninter.broker.protocol.version=3.9\n",
        b"inter.broker.protocol.version=3.\\\n  8\n",
        b"xinter.broker.protocol.version=3.8\n",
    ],
)
def test_what_is_not_plainly_one_value_is_not_written(data: bytes) -> None:
    with pytest.raises(ValueError, match=NAME):
        replaced(data, NAME, "3.9")


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_every_other_byte_stays(before: bytes, after: bytes) -> None:
    line = b"inter.broker.protocol.version=3.8"
    data = before + b"\n" + line + b"\n" + after
    if len(values(data, NAME)) != 1:
        return
    [said] = values(data, NAME)
    found = replaced(data, NAME, "3.9")
    assert len(found) == len(data) + len("3.9") - len(said.encode())
    assert replaced(found, NAME, said) == data


# what speaks against it


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (
            lambda w: setattr(w.cluster.nodes[4], "version", "3.8.1"),
            "KO-PROTOCOL-SOFTWARE",
            "kafkaops upgrade --strategy rolling --to 3.9.N",
        ),
        (lambda w: w.cluster.down(4), "KO-PROTOCOL-BROKER-AWAY", "start it"),
        (lambda w: w.writes(4, file(4) + b"\n" + file(4)), "KO-PROTOCOL-UNCLEAR", "set once"),
        (lambda w: w.writes(4, file(4, b"new")), "KO-PROTOCOL-UNCLEAR", "set once"),
        (
            lambda w: setattr(w.cluster.nodes[4], "protocol", "3.7"),
            "KO-PROTOCOL-NOT-APPLIED",
            "`properties` of the config",
        ),
    ],
)
def test_what_speaks_against_it_names_the_host_and_what_to_do(
    spoil: Any, code: str, said: str
) -> None:
    world = Raise()
    spoil(world)
    found = refused(world)
    assert found.code == code
    assert "blue-4" in found.message
    assert said in f"{found.message} {found.hint}"


def test_the_newest_release_that_there_is_a_tarball_of_is_named() -> None:
    world = Raise()
    world.cluster.nodes[4].version = "3.8.1"
    version = {"source": "x.tgz", "sha512": "a" * 128}
    known = dict.fromkeys(("3.9.2", "3.9.10", "4.3.1"), version)
    config = Config.model_validate({**world.world.config.model_dump(), "versions": known})
    world.world = replace(world.world, config=config)
    assert "--strategy rolling --to 3.9.10" in refused(world).message + refused(world).hint


def test_it_is_never_lowered() -> None:
    for spoil in (
        lambda w: setattr(w.cluster.nodes[4], "protocol", "3.9-IV0"),
        lambda w: w.writes(4, file(4, b"3.9")),
    ):
        world = Raise(Options(to="3.8"))
        spoil(world)
        found = refused(world)
        assert "KO-PROTOCOL-LOWER" in f"{found.code} {found.message}"
        assert "blue-4" in found.message


def test_with_kraft_there_is_none_to_raise() -> None:
    world = Raise()
    world.cluster.voters = Restart().cluster.voters
    world.cluster.nodes |= Restart().cluster.nodes
    found = refused(world)
    assert found.code == "KO-PROTOCOL-KRAFT"
    assert "kafkaops features finalize --to 3.9 --cluster blue" in found.hint


def test_an_old_format_of_records_is_a_note_where_it_is_ignored_and_a_reason_where_it_is_not() -> (
    None
):
    world = Raise()
    world.writes(4, file(4) + b"\nlog.message.format.version=2.8", ago=5000)
    [note] = [n for n in world.plan().notes if "KO-MESSAGE-FORMAT" in n]
    assert "blue-4" in note
    assert "a third roll" in note
    for node in RACKS:
        world.writes(node, file(node, b"2.8") + b"\nlog.message.format.version=2.5", ago=5000)
        world.cluster.nodes[node].protocol = "2.8"
    found = refused(world)
    assert "KO-MESSAGE-FORMAT" in f"{found.code} {found.message}"
    config = world.world.config.model_copy(update={"accept": ("KO-MESSAGE-FORMAT",)})
    world.world = replace(world.world, config=config)
    assert world.plan().specs


# the plan


def test_a_restart_with_one_step_more_and_a_boundary_at_each_start() -> None:
    plan = Raise().plan()
    other = {Rolling.BRING, Rolling.TRY, Rolling.INSTALL, Rolling.RENEW}
    mine = other | {Rolling.HOLD, Rolling.RELEASE}
    assert {s.phase for s in plan.specs} == {p.value for p in set(Rolling) - mine} | {"protocol"}
    assert set(Phase) == set(TITLES)
    assert [s.kind for s in plan.specs if s.args.get("host") == "blue-4"][:4] == [
        *("node-stopped", "protocol-written", "protocol-started", "protocol-spoken"),
    ]
    last = {s.kind for s in plan.specs if s.irreversible}
    assert last == {"protocol-started"}
    assert "cannot be lowered to 3.8 again" in next(
        s.irreversible for s in plan.specs if s.irreversible
    )
    written = [s for s in plan.specs if s.kind == "protocol-written"]
    starts = [s for s in plan.specs if s.kind == "protocol-started"]
    assert [(s.batch, s.lane) for s in written] == [(s.batch, s.lane) for s in starts]
    assert {s.lane for s in written if s.batch} == {
        s.args["host"] for s in written if len(s.args["mates"]) > 1
    }
    assert from_json(to_json(plan)) == from_json(to_json(from_json(to_json(plan))))


def test_alone_in_its_batch_the_controller_is_the_very_last() -> None:
    plan = Raise(Options(max_batch=1)).plan()
    assert [s.args["node"] for s in plan.specs if s.kind == "node-stopped"][-1] == CONTROLLER


def test_a_file_that_says_nothing_is_left_alone_and_told_of() -> None:
    world = Raise()
    world.writes(4, (FILE % 4).replace(b"inter", b"#inter"), ago=5000)
    world.cluster.nodes[4].protocol = "3.9-IV0"
    plan = world.plan()
    assert {s.args["node"] for s in plan.specs if s.kind == "node-stopped"} == set(OTHERS)
    assert any("blue-4 speaks 3.9 because its file says nothing" in n for n in plan.notes)


def test_a_plan_drifts_with_a_file() -> None:
    world = Raise()
    plan = world.plan()
    world.writes(4, file(4, b"3.7"), ago=5000)
    world.cluster.nodes[4].protocol = "3.7"
    again = world.plan()
    assert again.fingerprint != plan.fingerprint
