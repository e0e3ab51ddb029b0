"""What speaks against a release on these hosts, as tables: features, ghosts, software, settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.features import levels
from kafkaops.features.asking import parse
from kafkaops.features.levels import ELR, GROUP, KRAFT, METADATA, SHARE, STREAMS, TRANSACTION
from kafkaops.model.features import Features
from kafkaops.model.partition import TopicConfig
from kafkaops.ports.versions import Tarball
from kafkaops.upgrade.install import refusals
from kafkaops.upgrade.install.looks import Look
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.release import Release, Running
from kafkaops.upgrade.refusals_codes import Finding
from tests.crash.fake_features import SUPPORTS, node
from tests.crash.restart_scene import Restart
from tests.crash.upgrade_scene import NEW, Upgrade

AT_4_0 = {METADATA: 25, TRANSACTION: 2, GROUP: 1}
PLACE = Place("/opt/kafka")
VOTERS = (100, 101, 102)


def found(finalized: dict[str, int], to: str) -> list[Finding]:
    state = replace(Restart().cluster.snapshot(), features=finalized)
    tarball = Tarball(to, "sum")
    every = refusals.find(state, (), PLACE, Release.of(to), tarball)
    return [f for f in every if f.code == "KO-FEATURES-NEWER"]


@pytest.mark.parametrize(
    ("finalized", "to", "named"),
    [
        # down, the software before the levels
        (AT_4_0 | {SHARE: 1}, "3.9.2", [GROUP, METADATA, SHARE, TRANSACTION]),
        ({METADATA: 21, GROUP: 1}, "3.9.2", [GROUP]),
        ({METADATA: 21, TRANSACTION: 1}, "3.9.2", [TRANSACTION]),
        ({METADATA: 20, KRAFT: 1}, "3.8.1", [KRAFT]),
        ({METADATA: 23, ELR: 1}, "3.9.2", [ELR, METADATA]),
        ({METADATA: 27, SHARE: 1, STREAMS: 1}, "4.1.1", [STREAMS]),
        ({METADATA: 25, SHARE: 1}, "4.0.1", [SHARE]),
        # what that release knows, if only when asked for
        ({METADATA: 25, ELR: 1}, "4.0.1", []),
        ({METADATA: 27, SHARE: 1}, "4.1.1", []),
        ({METADATA: 21, KRAFT: 1}, "3.9.2", []),
        ({METADATA: 21, GROUP: 0}, "3.9.2", []),
        # up
        (AT_4_0, "4.3.1", []),
        ({METADATA: 21, KRAFT: 1}, "4.0.1", []),
        (levels.sets(levels.metadata(30)), "4.3.1", []),
        # what is in no table came after all of them
        ({METADATA: 30, "queue.version": 1}, "4.3.1", ["queue.version"]),
        ({METADATA: 30, "queue.version": 1}, "4.9.0", []),
    ],
)
def test_every_feature_that_the_target_does_not_know_is_named(
    finalized: dict[str, int], to: str, named: list[str]
) -> None:
    assert [f.subject for f in found(finalized, to)] == named
    assert all(f.blocks and not f.acceptable for f in found(finalized, to))


def test_what_can_be_lowered_is_told_apart_from_what_cannot() -> None:
    by_name = {f.subject: f for f in found(AT_4_0, "3.9.2")}
    assert "group.version is 1, and 3.9.2 knows no level of it" in by_name[GROUP].reason
    assert by_name[GROUP].hint.endswith("kafkaops features downgrade --feature group.version=0")
    assert "25 (4.0-IV3), and 3.9.2 knows 21 (3.9-IV0) at most" in by_name[METADATA].reason
    assert "because of 23 (4.0-IV1) of release 4.0" in by_name[METADATA].hint
    [lower] = found({METADATA: 22}, "3.9.2")
    assert lower.hint.endswith("--feature metadata.version=21")
    [kraft] = found({METADATA: 20, KRAFT: 1}, "3.8.1")
    assert "cannot be lowered any more, because of 1 of release 3.9" in kraft.hint


def test_the_command_that_lowers_a_level_is_one_that_does() -> None:
    finalized = {METADATA: 22, GROUP: 1, "cleverness.version": 2}
    state = replace(Restart().cluster.snapshot(), features=finalized)
    every = refusals.find(state, (), PLACE, Release.of("3.9.2"), None, " --cluster green")
    hints = {f.subject: f.hint for f in every if f.code == "KO-FEATURES-NEWER"}
    assert hints[GROUP].endswith("downgrade --cluster green --feature group.version=0")
    *_, name = hints["cleverness.version"].split()
    with pytest.raises(UsageFault):  # nothing of this name is in the table
        parse((name,))
    assert "kafka-features.sh" in hints["cleverness.version"]
    assert "kafkaops" not in hints["cleverness.version"]


@pytest.mark.parametrize("line", ["3.9", "4.3"])
def test_what_a_release_supports_is_what_its_nodes_say(line: str) -> None:
    release = levels.of_release(line)
    assert release is not None
    told = {name: held.max for name, held in SUPPORTS[line].items()}
    assert {n: most for n, most in levels.supports(release).items() if most} == told


# who is registered and gone


def ghosts(*nodes: Any, level: int = 21, to: str = NEW, older: bool = False) -> list[Finding]:
    features = Features("B", True, {METADATA: level}, (node(1), *nodes))
    return list(refusals.ghosts(features, VOTERS, Release.of(to), older=older))


GONE = node(9, broker=False, member=False, supports=None, why="10.0.0.9:9093 did not answer")


@pytest.mark.parametrize(
    ("ghost", "how", "asks"),
    [
        (GONE, {}, True),
        (replace(GONE, supports=SUPPORTS["3.9"]), {}, True),
        (replace(GONE, supports=SUPPORTS["4.3"]), {}, False),
        (GONE, {"older": True, "level": 20, "to": "3.9.2"}, False),
        (GONE, {"to": "4.9.0"}, True),
        (replace(GONE, id=101), {}, False),  # a voter that is down
        (node(7, controller=False, member=False, supports=None, why="it is fenced"), {}, False),
    ],
)
def test_a_ghost_controller_that_would_block_is_accepted_by_name_or_refused(
    ghost: Any, how: dict[str, Any], asks: bool
) -> None:
    [found] = ghosts(ghost, **how)
    assert (found.code, found.subject) == ("KO-FEATURE-GHOST", ghost.name)
    assert (found.blocks, found.acceptable, found.note) == (asks, asks, not asks)
    assert ghost.why in found.reason
    assert ("could not be finalised" in found.reason) == (asks or ghost.id in (101, 7)), (
        found.reason
    )


def test_nothing_left_to_raise_makes_of_a_ghost_a_note() -> None:
    features = Features("B", True, levels.sets(levels.metadata(30)), (node(1), GONE))
    [found] = refusals.ghosts(features, VOTERS, Release.of(NEW), older=False)
    assert found.note


def test_members_are_no_ghosts() -> None:
    assert ghosts(node(2)) == []


def test_an_upgrade_finds_them_before_the_first_stop_and_may_go_on_by_name() -> None:
    world = Upgrade()
    world.cluster.ghosts = (GONE,)
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    assert (caught.value.code, int(caught.value.exit)) == ("KO-FEATURE-GHOST", 5)
    assert "KO-FEATURE-GHOST:controller 9" in caught.value.hint
    config = world.world.config.model_copy(update={"accept": ("KO-FEATURE-GHOST:controller 9",)})
    world.world = replace(world.world, config=config)
    assert any("controller 9 is registered" in note for note in world.plan().notes)


def test_an_upgrade_says_where_nobody_could_list_controllers() -> None:
    world = Upgrade()
    world.cluster.unseen = "10.0.0.1:9093 did not answer"
    assert any("could not be listed: 10.0.0.1:9093" in note for note in world.plan().notes)


# software, and what a topic says for itself


def refused(world: Upgrade) -> GuardRefused:
    with pytest.raises(GuardRefused) as caught:
        world.plan()
    return caught.value


def test_four_is_reached_from_3_3_or_later() -> None:
    world = Upgrade()
    host = world.hosts["blue-2"]
    host.node.version, host.links["/opt/kafka/current"] = "3.2.3", "versions/3.2.3"
    error = refused(world)
    assert error.code == "KO-UPGRADE-PATH"
    assert "blue-2: it runs 3.2.3, and 4.3 is reached from 3.3" in error.message
    host.node.version, host.links["/opt/kafka/current"] = "3.3.0", "versions/3.3.0"
    assert world.plan().specs


def test_a_link_that_could_not_be_turned_back_is_told_before_it_is_turned() -> None:
    world = Upgrade()
    world.hosts["blue-2"].links["/opt/kafka/current"] = "/srv/kafka/3.9.2"
    error = refused(world)
    assert error.code == "KO-NOT-BY-LINK"
    assert "points to /srv/kafka/3.9.2, which is not below /opt/kafka" in error.message


def test_who_runs_the_version_already_needs_neither_room_nor_our_own_unpacking() -> None:
    world = Upgrade()
    world.upgraded(1)
    host = world.hosts["blue-1"]
    host.unpacked["/opt/kafka/versions/4.3.1"] = "4.3.1"
    host.room = 0
    assert "blue-1 runs 4.3.1 already" in world.plan().notes
    host.links["/opt/kafka/current"] = "versions/3.9.2"
    assert "KO-VERSION-FOREIGN" in str(refused(world).message)


def test_a_process_that_holds_no_kafka_open_is_not_the_brokers() -> None:
    world = Upgrade()
    host = world.hosts["blue-2"]
    host.open_files = lambda pid: ("/opt/other/libs/app.jar",)  # type: ignore[method-assign]
    error = refused(world)
    assert error.code == "KO-RUNNING-UNKNOWN"
    assert f"blue-2: the unit kafka (process {host.node.pid})" in error.message


@pytest.mark.parametrize(
    ("value", "runs", "to", "blocks"),
    [
        ("1000", "3.9.2", "4.3.1", True),
        ("1048575", "3.9.2", "4.0.1", True),
        ("1048576", "3.9.2", "4.3.1", False),
        ("1000", "4.0.1", "4.3.1", False),
        ("1000", "3.8.1", "3.9.2", False),
        (None, "3.9.2", "4.3.1", False),
    ],
)
def test_a_topics_own_segment_bytes(value: str | None, runs: str, to: str, blocks: bool) -> None:
    state = Restart().cluster.snapshot()
    config = TopicConfig({"segment.bytes": value}, {"segment.bytes": "topic"})
    topics = {"orders": replace(state.topics["orders"], config=config)}
    state = replace(state, topics=topics, features={})
    unit = Restart().hosts["blue-1"].unit("kafka")
    running = Running(Release.of(runs), f"/opt/kafka/versions/{runs}")
    one = Look("blue-1", 1, unit, running, f"versions/{runs}", "sum", 10**12)
    every = refusals.find(state, [one], PLACE, Release.of(to), Tarball(to, "sum"))
    assert [f.subject for f in every] == (["orders:segment.bytes"] if blocks else [])
