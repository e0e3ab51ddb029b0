"""The table of levels: against Kafka's own answers, and its windows as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkaops.features import levels
from kafkaops.features.levels import ELR, FEATURES, GROUP, KRAFT, METADATA, SHARE, STREAMS
from tests.crash.fake_features import SHUT

MAPPING = {
    # What `kafka-features.sh version-mapping --release-version X` of 4.3.1 prints, in its order:
    # metadata, kraft, transaction, group, eligible.leader.replicas, share, streams.
    "3.3": (7, 0, 0, 0, 0, 0, 0),
    "3.4": (8, 0, 0, 0, 0, 0, 0),
    "3.5": (11, 0, 0, 0, 0, 0, 0),
    "3.6": (14, 0, 0, 0, 0, 0, 0),
    "3.7": (19, 0, 0, 0, 0, 0, 0),
    "3.8": (20, 0, 0, 0, 0, 0, 0),
    "3.9": (21, 1, 0, 0, 0, 0, 0),
    "4.0-IV0": (22, 1, 0, 1, 0, 0, 0),
    "4.0-IV1": (23, 1, 0, 1, 0, 0, 0),
    "4.0-IV2": (24, 1, 2, 1, 0, 0, 0),
    "4.0": (25, 1, 2, 1, 0, 0, 0),
    "4.1-IV0": (26, 1, 2, 1, 1, 0, 0),
    "4.1": (27, 1, 2, 1, 1, 0, 0),
    "4.2-IV0": (28, 1, 2, 1, 1, 1, 0),
    "4.2": (29, 1, 2, 1, 1, 1, 1),
    "4.3": (30, 1, 2, 1, 1, 1, 1),
}
ANY = st.integers(7, 30)


@pytest.mark.parametrize(("release", "expected"), MAPPING.items())
def test_a_release_sets_what_kafkas_own_tool_says(release: str, expected: tuple[int, ...]) -> None:
    found = levels.of_release(release)
    assert found is not None
    assert tuple(levels.sets(found).values()) == expected


def test_every_level_has_a_name_and_says_what_it_changes() -> None:
    assert [levels.metadata(n).level for n in range(7, 31)] == list(range(7, 31))
    assert levels.metadata(7).name == "3.3-IV3"
    assert ",".join(levels.RELEASES) == "3.3,3.4,3.5,3.6,3.7,3.8,3.9,4.0,4.1,4.2,4.3"
    for feature in FEATURES:
        found = levels.between(feature, -1, 99)
        assert found
        assert all(level.what for level in found)


@pytest.mark.parametrize(
    ("text", "level"),
    [("4.3", 30), ("4.3.1", 30), ("3.9.2", 21), ("3.7-IV2", 17), ("3.7", 19)],
)
def test_a_release_is_named_with_or_without_its_patch(text: str, level: int) -> None:
    found = levels.of_release(text)
    assert found is not None
    assert found.level == level


@pytest.mark.parametrize("text", ["4.9", "3.2", "", "four", "4", "4.3.1.2", "4.3-IV9", "-1", "4.x"])
def test_what_is_no_release_is_none(text: str) -> None:
    assert levels.of_release(text) is None


def test_the_windows_in_which_metadata_version_can_be_lowered() -> None:
    assert levels.barrier(METADATA, 22, 17) is None
    assert levels.barrier(METADATA, 29, 23) is None
    shut = levels.barrier(METADATA, 30, 29)
    assert shut is not None
    assert (shut.name, shut.release) == ("4.3-IV0", "4.3")
    shut = levels.barrier(METADATA, 30, 21)
    assert shut is not None
    assert shut.name == "4.0-IV1", "the first on the way up is where it became impossible"
    assert [levels.floor(METADATA, n) for n in (16, 21, 22, 27, 30)] == [15, 17, 17, 23, 30]


def test_only_kraft_version_of_the_others_cannot_be_lowered() -> None:
    shut = {
        f for f in FEATURES[1:] for x in levels.between(f, 0, 9) if levels.barrier(f, x.level, 0)
    }
    assert shut == {KRAFT}
    assert levels.floor(GROUP, 1) == levels.floor(SHARE, 1) == levels.floor(STREAMS, 0) == 0
    needed = levels.known(ELR, 1)
    assert needed is not None
    assert needed.needs == 23


@given(ANY, ANY)
def test_a_way_down_is_open_exactly_where_no_level_on_it_changed_the_metadata(
    a: int, b: int
) -> None:
    low, high = sorted((a, b))
    crossed = [n for n in range(low + 1, high + 1) if n in SHUT]
    found = levels.barrier(METADATA, high, low)
    assert (found.level if found else None) == (min(crossed) if crossed else None)
    assert (levels.floor(METADATA, high) <= low) == (found is None)


@given(ANY, ANY)
def test_a_newer_release_never_sets_less(a: int, b: int) -> None:
    low, high = sorted((a, b))
    older, newer = levels.sets(levels.metadata(low)), levels.sets(levels.metadata(high))
    assert all(older[name] <= newer[name] for name in FEATURES)


@given(ANY)
def test_what_a_release_sets_is_known_and_has_what_it_needs(level: int) -> None:
    for name, wanted in levels.sets(levels.metadata(level)).items():
        found = levels.known(name, wanted)
        assert found is not None
        assert found.needs <= level


def test_a_level_of_the_future_is_shown_by_its_number() -> None:
    assert levels.words(METADATA, 31) == "31"
    assert levels.words(METADATA, 30) == "30 (4.3-IV0)"
    assert levels.short(METADATA, 30) == "4.3-IV0"
    assert levels.words(GROUP, 0) == "0"
    assert levels.words("new.version", 3) == "3"
