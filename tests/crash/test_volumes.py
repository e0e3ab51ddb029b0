"""prepare, rotate, rewrap, erase and close killed before and after every call, and in pairs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from kafkaops.volumes import token
from kafkaops.volumes.closing import close
from kafkaops.volumes.erasing import erase
from kafkaops.volumes.preparing import Consent, bring_up
from kafkaops.volumes.rotating import rewrap, rotate
from kafkaops.volumes.state import judge
from kafkaops.volumes.verdict import State
from tests.crash.engine_harness import Fuse, Killed, Point, Tapped
from tests.unit.volumes.fake_disks import OTHER_ARN, Stage, spec_of

SPEC = spec_of()
PROCESSES = 6

Deed = Callable[[Any], object]


def prepare(ground: Any) -> None:
    bring_up(ground, SPEC, Consent(blank=True))


def rotated(ground: Any) -> None:
    rotate(ground, SPEC)


def rewrapped(ground: Any) -> None:
    rewrap(ground, SPEC, OTHER_ARN)


def erased(ground: Any) -> None:
    erase(ground, SPEC)


def closed(ground: Any) -> None:
    close(ground, SPEC)


def begun(deed: Deed) -> Stage:
    stage = Stage()
    if deed is not prepare:
        prepare(stage.ground())
        stage.disks.inside = "xfs: records"
        if deed is not closed:
            stage.disks.reboot()
    return stage


def invariant(stage: Stage, deed: Deed) -> Callable[[], None]:
    """What holds after every single change."""

    def always() -> None:
        disks = stage.disks
        if deed in (rotated, rewrapped):
            assert stage.opens(SPEC), "no key opens the volume"
            assert disks.inside == "xfs: records"
        if disks.facts.header is not None and deed is not erased:
            assert stage.opens(SPEC), "a header without a key that opens it"
            assert token.current(disks.header) is not None

    return always


def tapped(fuse: Fuse, name: str, port: Any, kind: type) -> Tapped:
    return Tapped(port, kind, fuse, name)


def play(deed: Deed, *points: Point) -> tuple[Stage, list[Fuse]]:
    """Killed at each point in turn; then as often as it takes, undisturbed."""
    stage, fuses = begun(deed), []
    for point in (*points, *[None] * PROCESSES):
        fuse = Fuse(point, always=invariant(stage, deed))
        fuses.append(fuse)
        try:
            deed(stage.ground(partial(tapped, fuse)))
        except Killed:
            continue
        break
    else:
        pytest.fail("it does not come to an end")
    return stage, fuses


def ends(stage: Stage, deed: Deed) -> None:
    disks = stage.disks
    assert disks.formats == 1, "formatted twice"
    if deed is erased:
        assert judge(SPEC, disks.facts).state is State.BLANK
        assert stage.copies.objects == {}
        return
    found = token.current(disks.header)
    assert found is not None
    assert set(disks.locks) == {found[1].slot}, "a keyslot that no token knows"
    assert disks.header.tokens.keys() == {found[0]}
    assert disks.unit_open is (deed is not closed), "systemd would not open it again"
    kept = [uri for uri in stage.copies.objects if uri.endswith(".json")]
    assert len(kept) == 1, "a copy of an older key"
    assert stage.memory.get("volume-data-1") is None
    assert found[1].filesystem == "xfs", "another could be made over the one that is there"
    if deed is prepare:
        assert disks.facts.at is not None
    if deed is closed:
        assert (disks.facts.at, disks.facts.mapping) == (None, None)
    if deed is rewrapped:
        assert found[1].key.arn == OTHER_ARN


def points(deed: Deed) -> list[Point]:
    _, [fuse] = play(deed)
    return [Point(n, when) for n in range(1, len(fuse.calls) + 1) for when in ("before", "after")]


@pytest.mark.parametrize("deed", [prepare, rotated, rewrapped, erased, closed])
def test_killed_anywhere_it_goes_on_and_is_never_without_a_key(deed: Deed) -> None:
    killed = 0
    for point in points(deed):
        stage, fuses = play(deed, point)
        killed += len(fuses) > 1
        ends(stage, deed)
    assert killed >= (8 if deed is not closed else 4)


@pytest.mark.parametrize("deed", [prepare, rotated, rewrapped, erased])
def test_killed_twice_it_goes_on(deed: Deed) -> None:
    first = points(deed)
    pairs = 0
    for point in first[:: max(1, len(first) // 12)]:
        for call in count(1, 3):
            _, fuses = play(deed, point, Point(call, "after"))
            if len(fuses) < 3:
                break
            pairs += 1
    assert pairs > 8
