"""What is asked becomes levels, or an error that says what to ask instead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.features import levels
from kafkaops.features.asking import (
    DOWNGRADE,
    FINALIZE,
    Asked,
    Change,
    common_release,
    parse,
    refuse_without_features,
    wanted,
)
from kafkaops.features.levels import ELR, FEATURES, GROUP, KRAFT, METADATA, SHARE
from kafkaops.model.features import Features, Range, Way
from tests.crash.fake_features import node


def features(*nodes: object, **finalized: int) -> Features:
    held = {name.replace("_", ".") + ".version": level for name, level in finalized.items()}
    return Features("B", True, held, nodes or (node(1), node(2)))  # type: ignore[arg-type]


def moves(found: Features, asked: Asked) -> dict[str, tuple[int, int]]:
    return {c.feature: (c.old, c.new) for c in wanted(found, asked)}


def test_finalize_raises_all_that_a_release_sets_and_leaves_kraft_version_alone() -> None:
    found = moves(features(metadata=21), Asked(FINALIZE, to="4.1"))
    assert found == {
        METADATA: (21, 27),
        "transaction.version": (0, 2),
        GROUP: (0, 1),
        ELR: (0, 1),
    }
    assert next(iter(found)) == METADATA


def test_a_feature_by_name_comes_over_the_release() -> None:
    asked = Asked(FINALIZE, to="4.1", features=((ELR, 0), (KRAFT, 1)))
    found = moves(features(metadata=21), asked)
    assert ELR not in found
    assert found[KRAFT] == (0, 1)


def test_levels_above_the_release_stay_when_finalizing() -> None:
    assert moves(features(metadata=27, share=1), Asked(FINALIZE, to="4.1")).get(SHARE) is None


def test_downgrade_lowers_and_never_raises() -> None:
    found = moves(features(metadata=29, share=1, kraft=1), Asked(DOWNGRADE, to="4.1"))
    assert found == {SHARE: (1, 0), METADATA: (29, 27)}
    assert list(found)[-1] == METADATA


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Asked(FINALIZE, to="4.0"), "KO-FEATURE-LOWER"),
        (Asked(FINALIZE, features=((METADATA, 26),)), "KO-FEATURE-LOWER"),
        (Asked(DOWNGRADE, features=((METADATA, 28),)), "KO-FEATURE-HIGHER"),
        (Asked(FINALIZE, to="4.0", features=((ELR, 1),)), "KO-FEATURE-LOWER"),
    ],
)
def test_the_wrong_direction_is_refused(asked: Asked, code: str) -> None:
    with pytest.raises(GuardRefused) as refused:
        wanted(features(metadata=27), asked)
    assert refused.value.code == code
    assert refused.value.hint


def test_what_a_feature_needs_is_named() -> None:
    with pytest.raises(GuardRefused, match=r"23 \(4.0-IV1\)") as refused:
        wanted(features(metadata=21), Asked(FINALIZE, features=((ELR, 1),)))
    assert refused.value.code == "KO-FEATURE-NEEDS"


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        ("nonsense.version=1", "KO-FEATURE-UNKNOWN"),
        ("metadata.version", "KO-FEATURE-LEVEL"),
        ("metadata.version=31", "KO-FEATURE-LEVEL"),
        ("metadata.version=0", "KO-FEATURE-LEVEL"),
        ("metadata.version=", "KO-FEATURE-LEVEL"),
        ("group.version=-1", "KO-FEATURE-LEVEL"),
        ("group.version=one", "KO-FEATURE-LEVEL"),
        ("group.version=²", "KO-FEATURE-LEVEL"),
        ("=1", "KO-FEATURE-UNKNOWN"),
        ("", "KO-FEATURE-UNKNOWN"),
    ],
)
def test_a_pair_that_means_nothing_is_a_usage_fault(pair: str, code: str) -> None:
    with pytest.raises(UsageFault) as fault:
        parse([pair])
    assert fault.value.code == code
    assert "--feature" in fault.value.hint


def test_pairs_are_read_by_number_and_by_name() -> None:
    assert parse(["metadata.version=4.0-IV1", "group.version = 1"]) == ((METADATA, 23), (GROUP, 1))
    assert parse(["metadata.version=4.1"]) == ((METADATA, 27),)
    with pytest.raises(UsageFault, match="twice"):
        parse(["group.version=1", "group.version=0"])


@given(st.text())
def test_no_pair_is_a_surprise(text: str) -> None:
    try:
        found = parse([text])
    except UsageFault:
        return
    [(name, level)] = found
    assert levels.known(name, level) is not None


def test_zookeeper_and_brokers_that_tell_nothing_are_refused() -> None:
    with pytest.raises(GuardRefused) as refused:
        refuse_without_features(replace(features(), kraft=False), "demo-blue")
    assert refused.value.code == "KO-FEATURES-ZOOKEEPER"
    assert "kafkaops upgrade protocol --to 3.9" in refused.value.hint
    with pytest.raises(GuardRefused) as refused:
        refuse_without_features(features(), "demo-blue")
    assert refused.value.code == "KO-FEATURES-NONE"
    refuse_without_features(features(metadata=21), "demo-blue")


def test_the_common_release_is_the_newest_that_every_asked_node_can_run() -> None:
    assert common_release(features(node(1), node(2))) == "4.3"
    assert common_release(features(node(1), node(2, "3.9"))) == "3.9"
    assert common_release(features(node(1), node(2, supports=None))) == "4.3"
    assert common_release(features(node(1, supports=None))) is None
    assert common_release(features(node(1, supports={METADATA: Range(1, 2)}))) is None


@given(st.integers(7, 30), st.sampled_from(levels.RELEASES), st.sampled_from([FINALIZE, DOWNGRADE]))
def test_each_direction_moves_only_its_way_and_twice_is_once(
    level: int, release: str, verb: str
) -> None:
    found = features(metadata=level)
    try:
        changes = wanted(found, Asked(verb, to=release))
    except GuardRefused:
        return
    assert all(c.raises == (verb == FINALIZE) for c in changes)
    assert all(c.way.way is (Way.UPGRADE if c.raises else Way.SAFE_DOWNGRADE) for c in changes)
    assert KRAFT not in {c.feature for c in changes}
    order = [FEATURES.index(c.feature) for c in changes]
    assert order == sorted(order, reverse=verb == DOWNGRADE)
    after = replace(found, finalized={**found.finalized, **{c.feature: c.new for c in changes}})
    assert wanted(after, Asked(verb, to=release)) == ()


def test_a_raise_past_a_barrier_has_no_way_back_and_a_lowering_always_has() -> None:
    assert Change(METADATA, 17, 22).shut is None
    assert Change(METADATA, 22, 23).shut is not None
    assert Change(KRAFT, 0, 1).shut is not None
    assert Change(METADATA, 29, 23).shut is None
