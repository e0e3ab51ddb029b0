"""Closing what is open: by a look at the disk, or without one where it does not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.closing import UNREAD, close
from kafkaops.volumes.preparing import Consent, bring_up
from tests.unit.volumes.fake_disks import FakeDisks, Stage, spec_of

SPEC = spec_of()


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    bring_up(made.ground(), SPEC, Consent(blank=True))
    return made


@pytest.mark.parametrize("code", UNREAD)
def test_a_disk_that_does_not_read_is_closed_by_its_mapping_and_mount(
    stage: Stage, code: str
) -> None:
    stage.disks.broken, stage.disks.fault = True, code
    assert close(stage.ground(), SPEC)
    assert (stage.disks.facts.at, stage.disks.facts.mapping) == (None, None)
    assert not stage.disks.unit_open
    assert "does not read" in stage.said[-3]
    assert not close(stage.ground(), SPEC), "and again there is nothing to close"


def test_what_else_a_look_ends_with_is_no_reason_to_close_without_one(stage: Stage) -> None:
    stage.disks.broken, stage.disks.fault = True, "KO-VOLUME-OWNER"
    with pytest.raises(StepFailed):
        close(stage.ground(), SPEC)
    assert stage.disks.facts.at is not None


def test_nor_is_a_mapping_of_its_name_on_another_disk_taken_away(stage: Stage) -> None:
    mapping = stage.disks.facts.mapping
    assert mapping is not None
    stage.disks.broken = True
    other = replace(mapping, device="/dev/nvme2n1")
    stage.disks.facts = replace(stage.disks.facts, mapping=other)
    with pytest.raises(GuardRefused) as refused:
        close(stage.ground(), SPEC)
    assert refused.value.code == "KO-VOLUME-MAPPER"
    assert stage.disks.facts.mapping == other


def test_nor_is_it_closed_under_who_uses_it(stage: Stage) -> None:
    class Used(FakeDisks):
        def users(self, spec: VolumeSpec) -> Sequence[str]:
            return ("412 java",)

    stage.disks = Used(stage.kms, stage.disks.facts, broken=True)
    with pytest.raises(GuardRefused, match="412 java"):
        close(stage.ground(), SPEC)
    assert stage.disks.facts.at is not None
