"""A new data key, the same one wrapped anew, and erasure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.volume import Mounted
from kafkaops.volumes import token
from kafkaops.volumes.erasing import erase
from kafkaops.volumes.preparing import Consent, bring_up
from kafkaops.volumes.rotating import Turn, rewrap, rotate
from kafkaops.volumes.state import judge
from kafkaops.volumes.token import Token
from kafkaops.volumes.verdict import State
from tests.unit.volumes.fake_disks import OTHER_ARN, Stage, spec_of

SPEC = spec_of()


def prepared() -> Stage:
    stage = Stage()
    bring_up(stage.ground(), SPEC, Consent(blank=True))
    stage.disks.inside = "xfs: records"
    stage.copies.put_once(_header_copy(stage), b"old header")
    return stage


def _header_copy(stage: Stage) -> str:
    return f"s3://keys/volumes/demo/1/data-1/{stage.disks.header.uuid}/header-0.img"


def now(stage: Stage) -> Token:
    found = token.current(stage.disks.header)
    assert found is not None
    return found[1]


def test_a_rotated_volume_opens_with_the_new_key_alone() -> None:
    stage = prepared()
    old = now(stage)
    done = rotate(stage.ground(), SPEC)
    assert done.turns == (*(Turn.BEGIN, Turn.ADD, Turn.PROVE, Turn.CLEAR, Turn.WIPE, Turn.FORGET),)
    assert not done.resumed
    new = now(stage)
    assert new.key != old.key
    assert stage.disks.key_opens(SPEC, new.key)
    assert not stage.disks.key_opens(SPEC, old.key), "the old key still opens"
    assert len(stage.disks.locks) == 1
    assert _header_copy(stage) not in stage.copies.objects, "an old header opens with the old key"
    assert len(stage.copies.objects) == 1
    assert new.filesystem == "xfs"
    assert stage.disks.inside == "xfs: records"
    assert judge(SPEC, stage.disks.facts).state is State.ACTIVE


def test_a_keyslot_that_somebody_else_added_is_left() -> None:
    stage = prepared()
    stage.disks.locks[7] = "a recovery passphrase"
    stage.disks.facts = replace(stage.disks.facts, header=replace(stage.disks.header, slots=(0, 7)))
    rotate(stage.ground(), SPEC)
    assert stage.disks.locks[7] == "a recovery passphrase"
    assert len(stage.disks.locks) == 2


def test_the_same_key_wrapped_by_another_kms_key() -> None:
    stage = prepared()
    locks = dict(stage.disks.locks)
    assert rewrap(stage.ground(), SPEC, OTHER_ARN)
    assert now(stage).key.arn == OTHER_ARN
    assert stage.disks.locks == locks, "no keyslot changes"
    assert stage.opens(SPEC)
    tokens = [uri for uri in stage.copies.objects if uri.endswith(".json")]
    assert len(tokens) == 1, "the copy wrapped by the old KMS key is gone"


def test_a_rotation_that_was_begun_goes_before_a_rewrap() -> None:
    stage = prepared()
    stage.disks.token_put(SPEC, 1, replace(now(stage), role="next", slot=1).to_json())
    stage.disks.token_put(
        SPEC,
        1,
        replace(
            now(stage), role="next", slot=1, key=stage.kms.new(SPEC.key, SPEC.context)
        ).to_json(),
    )
    with pytest.raises(GuardRefused, match="not finished"):
        rewrap(stage.ground(), SPEC, OTHER_ARN)
    done = rotate(stage.ground(), SPEC)
    assert done.resumed
    assert Turn.BEGIN not in done.turns


@pytest.mark.parametrize("mode", ["s3", "ephemeral"])
def test_other_modes_have_no_data_key_to_rotate(mode: str) -> None:
    stage = prepared()
    with pytest.raises(GuardRefused, match="nothing to rotate"):
        rotate(stage.ground(), spec_of(mode=mode))


def test_an_erased_volume_is_proven_shut_and_leaves_no_copy() -> None:
    stage = prepared()
    key = now(stage).key
    stage.disks.reboot()
    done = erase(stage.ground(), SPEC)
    assert done.proven
    assert len(done.copies) == 2
    assert stage.copies.objects == {}
    assert not stage.disks.key_opens(SPEC, key)
    assert judge(SPEC, stage.disks.facts).state is State.BLANK
    assert not erase(stage.ground(), SPEC).proven, "there was nothing to prove"


def test_an_open_volume_is_not_erased() -> None:
    stage = prepared()
    with pytest.raises(GuardRefused, match="mounted"):
        erase(stage.ground(), SPEC)
    stage.disks.facts = replace(stage.disks.facts, at=None)
    with pytest.raises(GuardRefused, match="is open"):
        erase(stage.ground(), SPEC)
    assert stage.opens(SPEC)


def test_another_brokers_volume_is_not_erased() -> None:
    stage = prepared()
    stage.disks.reboot()
    with pytest.raises(GuardRefused, match="node 1"):
        erase(stage.ground(), spec_of(node=2))
    assert stage.opens(SPEC)


def test_the_file_system_of_somebody_else_is_not_in_the_way() -> None:
    stage = prepared()
    at = Mounted("/dev/sdz", SPEC.mountpoint, "ext4")
    stage.disks.facts = replace(stage.disks.facts, at=at)
    with pytest.raises(GuardRefused, match="is mounted"):
        rotate(stage.ground(), SPEC)
