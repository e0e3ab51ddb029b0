"""Every reason against a change of levels, by name, before anything is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import Exit, GuardRefused
from kafkaops.features import planner, survey
from kafkaops.features.asking import DOWNGRADE, FINALIZE, Asked, Change
from kafkaops.features.levels import ELR, GROUP, KRAFT, METADATA, SHARE
from kafkaops.features.refusals import judged, refuse
from kafkaops.model.cluster import Group, Member
from kafkaops.model.features import Features, Range
from tests.crash.fake_features import node
from tests.crash.features_scene import AT_3_9, AT_4_1, Levels

OLD = {METADATA: Range(1, 14)}


def features(*nodes: object, level: int = 21, **more: object) -> Features:
    found = Features("B", True, {METADATA: level}, nodes or (node(1),), "2", {1: "2"})  # type: ignore[arg-type]
    return replace(found, **more)  # type: ignore[arg-type]


def refused(found: Features, *changes: Change, groups: tuple[Group, ...] = ()) -> GuardRefused:
    with pytest.raises(GuardRefused) as caught:
        refuse(found, changes, groups)
    assert caught.value.exit is Exit.GUARD
    assert caught.value.hint
    return caught.value


def test_the_node_that_cannot_run_a_level_is_named_with_what_it_can() -> None:
    error = refused(features(node(1), node(2, "3.9"), node(3, "3.9")), Change(METADATA, 21, 30))
    assert error.code == "KO-FEATURE-UNSUPPORTED"
    assert "node 2, node 3 cannot run metadata.version 30 (4.3-IV0)" in error.message
    assert "at most 21 (3.9-IV0)" in error.message
    assert "--to 3.9" in error.hint


def test_a_controller_of_its_own_counts_too() -> None:
    old = node(100, "3.9", broker=False)
    error = refused(features(node(1, controller=False), old), Change(METADATA, 21, 25))
    assert error.where == "controller 100"


def test_a_level_below_what_the_software_still_knows_is_refused() -> None:
    error = refused(features(node(1, supports={METADATA: Range(21, 30)})), Change(METADATA, 22, 20))
    assert "at least 21 (3.9-IV0)" in error.message


def test_a_feature_that_a_node_does_not_know_is_one_that_it_has_at_zero() -> None:
    error = refused(features(node(1), node(2, "3.9")), Change(SHARE, 0, 1))
    assert "node 2 cannot run share.version 1" in error.message


def test_eligible_leader_replicas_want_min_isr_for_the_whole_cluster_first() -> None:
    error = refused(features(min_isr=None), Change(ELR, 0, 1))
    assert error.code == "KO-FEATURE-ELR-MIN-ISR"
    assert "min.insync.replicas=2" in error.hint
    assert f"--feature {ELR}=0" in error.hint
    error = refused(features(min_isr=None, min_isr_of={1: "2", 2: "1"}), Change(ELR, 0, 1))
    assert "1, 2" in error.message
    refuse(features(), (Change(ELR, 0, 1),))
    refuse(features(min_isr=None), (Change(ELR, 1, 0),))


def test_a_voter_that_nobody_could_ask_is_a_danger_only_while_kafka_asks_none_either() -> None:
    silent = node(100, broker=False, supports=None, why="10.0.0.1:9093 did not answer")
    error = refused(features(node(1), silent, level=14), Change(METADATA, 14, 30))
    assert error.code == "KO-FEATURE-UNSEEN"
    assert "10.0.0.1:9093" in error.message
    refuse(features(node(1), silent, level=21), (Change(METADATA, 21, 30),))


@pytest.mark.parametrize(
    ("old", "new", "release", "lowest"),
    [
        (30, 29, "4.3-IV0) of release 4.3", None),
        (30, 21, "4.0-IV1) of release 4.0", None),
        (27, 21, "4.0-IV1) of release 4.0", "23 (4.0-IV1)"),
        (22, 16, "3.7-IV2) of release 3.7", "17 (3.7-IV2)"),
    ],
)
def test_no_way_back_says_since_which_release_and_how_far_it_goes(
    old: int, new: int, release: str, lowest: str | None
) -> None:
    error = refused(features(level=old), Change(METADATA, old, new))
    assert error.code == "KO-FEATURE-NO-WAY-BACK"
    assert release in error.message
    assert (lowest is None) == ("lowest" not in error.hint)
    assert lowest is None or lowest in error.hint


def test_kraft_version_never_goes_back_and_holds_metadata_version_above_it() -> None:
    held = {METADATA: 21, KRAFT: 1}
    error = refused(features(finalized=held), Change(KRAFT, 1, 0))
    assert "3.9" in error.message
    error = refused(features(node(1, "3.9"), finalized=held), Change(METADATA, 21, 20))
    assert "kraft.version is 1" in error.message
    refuse(features(node(1, "3.9")), (Change(METADATA, 21, 20),))


def test_what_living_groups_use_is_not_switched_off() -> None:
    member = Member("m", "c", "h")
    groups = (
        Group("used", "consumer", "Stable", "", (member,)),
        Group("idle", "consumer", "Empty", "", ()),
        Group("old", "classic", "Stable", "", (member,)),
    )
    error = refused(features(), Change(GROUP, 1, 0), groups=groups)
    assert error.code == "KO-FEATURE-IN-USE"
    assert "1 groups with members: used" in error.message
    refuse(features(), (Change(SHARE, 1, 0),), groups)


@pytest.mark.parametrize(
    ("said", "code", "where"),
    [
        ("Controller 9 only supports versions 1-21", "KO-FEATURE-GHOST", "controller 9"),
        ("controller 5 has not registered, and may", "KO-FEATURE-GHOST", "controller 5"),
        ("Broker 7 only supports versions 1-21", "KO-FEATURE-GHOST", "broker 7"),
        ("broker8 only supports versions 1-21", "KO-FEATURE-GHOST", "broker 8"),
        ("Controller 1 only supports versions 1-21", "KO-FEATURE-REFUSED", ""),
        ("Unable to modify while migrating", "KO-FEATURE-REFUSED", ""),
    ],
)
def test_the_controllers_refusal_is_looked_at_for_a_ghost(said: str, code: str, where: str) -> None:
    left = node(5, broker=False, member=False, supports=None)
    error = judged(features(node(1), left), said)
    assert (error.code, error.where) == (code, where)
    assert said in error.message
    assert error.hint


def test_a_ghost_that_blocks_is_found_before_anything_is_done() -> None:
    world = Levels()
    world.cluster.hidden["Controller 9"] = OLD
    with pytest.raises(GuardRefused) as caught:
        world.scene()
    assert caught.value.code == "KO-FEATURE-GHOST"
    assert world.cluster.updates == []


def test_a_ghost_that_does_not_block_is_a_note() -> None:
    ghost = node(9, broker=False, member=False, supports=None, why="10.0.0.9:9093 did not answer")
    plan = Levels(nodes=(node(1), ghost)).scene().plan
    assert any("controller 9 is registered and takes no part" in note for note in plan.notes)


def test_groups_are_read_only_when_a_feature_is_switched_off() -> None:
    world = Levels(Asked(DOWNGRADE, features=((GROUP, 0),)), AT_4_1)
    world.cluster.living = (Group("g", "consumer", "Stable", "", (Member("m", "c", "h"),)),)
    with pytest.raises(GuardRefused) as caught:
        world.scene()
    assert caught.value.code == "KO-FEATURE-IN-USE"


def test_the_plan_names_each_level_and_which_step_has_no_way_back() -> None:
    plan = Levels(finalized=AT_3_9).scene().plan
    assert [s.id for s in plan.specs][:1] == [METADATA]
    assert "4.0-IV1" in plan.specs[0].irreversible
    assert [s.id for s in plan.specs if s.irreversible] == [METADATA]
    notes = "\n".join(plan.notes)
    for words in ("22 (4.0-IV0)", "23 (4.0-IV1)", "[no way back]", "kraft.version stays 0", ELR):
        assert words in notes
    assert plan.snapshot["finalized"] == AT_3_9
    assert plan.snapshot["supports"]["1"][METADATA] == [7, 30]


def test_a_step_within_a_window_can_be_taken_back() -> None:
    plan = Levels(Asked(FINALIZE, to="4.2"), AT_4_1).scene().plan
    assert not [s for s in plan.specs if s.irreversible]


def test_lowering_says_what_is_given_up_and_that_software_comes_after() -> None:
    plan = Levels(Asked(DOWNGRADE, to="4.0"), AT_4_1).scene().plan
    notes = "\n".join(plan.notes)
    assert "gives up: newer fetch requests" in notes
    assert "lower the level before the software" in notes


def test_nothing_to_do_is_a_plan_without_steps() -> None:
    world = Levels(Asked(FINALIZE, to="3.9"))
    assert survey.plan(world.world, world.asked, "r").specs == ()
    assert world.cluster.tried == 0


def test_brokers_that_apply_another_min_isr_are_named() -> None:
    world = Levels(finalized=AT_3_9)
    world.cluster.min_isr_of = {1: "2", 2: "1"}
    assert any("broker 2 1" in note for note in world.scene().plan.notes)


def test_a_node_that_changes_its_software_makes_a_saved_plan_worthless() -> None:
    one = planner.snapshot_of(features(node(1)), Asked(FINALIZE, to="4.3"))
    assert one != planner.snapshot_of(features(node(1, "3.9")), Asked(FINALIZE, to="4.3"))
