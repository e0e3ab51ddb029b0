"""From a disk to a mounted volume: what is done in which order, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.engine.errors import ConfigError, GuardRefused, StepFailed
from kafkaops.engine.facts import FileFacts
from kafkaops.model.volume import Opened, Signature
from kafkaops.ports.disks import Key
from kafkaops.volumes import token
from kafkaops.volumes.closing import close
from kafkaops.volumes.host_file import MEMORY
from kafkaops.volumes.preparing import Consent, bring_up
from kafkaops.volumes.verdict import Intent, State, Step
from tests.unit.volumes.fake_disks import ARN, Stage, spec_of

SPEC = spec_of()
YES = Consent(blank=True)
EXT4 = (Signature(1080, "ext4"),)


def refused(stage: Stage, consent: Consent = YES) -> GuardRefused:
    before = stage.disks.facts
    with pytest.raises(GuardRefused) as caught:
        bring_up(stage.ground(), SPEC, consent)
    assert stage.disks.facts == before
    return caught.value


def test_a_blank_disk_becomes_a_mounted_volume_with_its_key_kept_beforehand() -> None:
    stage = Stage()
    done = bring_up(stage.ground(), SPEC, YES)
    assert done.steps == (*(Step.FORMAT, Step.OPEN, Step.FILESYSTEM, Step.MOUNT, Step.LOG_DIR),)
    assert done.verdict.state is State.ACTIVE
    assert stage.disks.formats == 1
    [(uri, kept)] = stage.copies.objects.items()
    assert uri.startswith(f"s3://keys/volumes/demo/1/data-1/{stage.disks.header.uuid}/token-")
    assert json.loads(kept)["token"]["ciphertext"] == "wrapped 0"
    found = token.current(stage.disks.header)
    assert found is not None
    assert found[1].filesystem == "xfs"
    assert stage.memory.get("volume-data-1") is None, "its intent is over"
    again = bring_up(stage.ground(), SPEC)
    assert again.steps == ()


def test_after_a_reboot_it_is_opened_and_mounted_and_holds_its_data() -> None:
    stage = Stage()
    bring_up(stage.ground(), SPEC, YES)
    stage.disks.inside = "xfs: records"
    stage.disks.reboot()
    done = bring_up(stage.ground(), SPEC)
    assert done.steps == (Step.OPEN, Step.MOUNT)
    assert stage.disks.inside == "xfs: records"


def test_at_boot_it_is_opened_and_the_mount_is_left_to_systemd() -> None:
    stage = Stage()
    bring_up(stage.ground(), SPEC, YES)
    stage.disks.reboot()
    assert bring_up(stage.ground(), SPEC, mount=False).steps == (Step.OPEN,)
    assert stage.disks.facts.at is None


def test_without_consent_a_blank_disk_stays_blank() -> None:
    stage = Stage()
    assert refused(stage, Consent()).code == "KO-VOLUME-BLANK"
    assert stage.kms.calls == []


def test_what_is_not_blank_needs_its_label_typed() -> None:
    stage = Stage()
    stage.disks.facts = replace(stage.disks.facts, signatures=EXT4)
    assert refused(stage).code == "KO-VOLUME-FOREIGN"
    assert refused(stage, Consent(reformat="data-1")).code == "KO-VOLUME-FOREIGN"
    done = bring_up(stage.ground(), SPEC, Consent(reformat=SPEC.label))
    assert done.formatted
    assert stage.disks.formats == 1


def test_a_disk_in_use_is_not_formatted_whatever_is_typed() -> None:
    stage = Stage()
    stage.disks.facts = replace(stage.disks.facts, signatures=EXT4, mounts=("/srv",))
    assert refused(stage, Consent(reformat=SPEC.label)).code == "KO-VOLUME-MOUNTED"


def test_with_kms_away_nothing_is_written_to_the_disk() -> None:
    stage = Stage()
    stage.kms.down.add(ARN)
    before = stage.disks.facts
    with pytest.raises(ConfigError, match="disabled"):
        bring_up(stage.ground(), SPEC, YES)
    assert stage.disks.facts == before
    stage.kms.down.clear()
    bring_up(stage.ground(), SPEC, YES)
    stage.disks.reboot()
    stage.kms.down.add(ARN)
    with pytest.raises(ConfigError, match="disabled"):
        bring_up(stage.ground(), SPEC)
    assert stage.disks.facts.mapping is None


def test_a_token_edited_by_hand_is_mended_from_its_copy() -> None:
    stage = Stage()
    bring_up(stage.ground(), SPEC, YES)
    stage.disks.inside = "xfs: records"
    stage.disks.reboot()
    edited = {**stage.disks.header.tokens[0], "ciphertext": "forged"}
    stage.disks.token_put(SPEC, 0, edited)
    assert bring_up(stage.ground(), SPEC).steps == (Step.OPEN, Step.MOUNT)
    assert stage.disks.inside == "xfs: records"
    assert stage.opens(SPEC)


def test_without_a_copy_that_opens_it_stays_shut() -> None:
    stage = Stage()
    bring_up(stage.ground(), SPEC, YES)
    stage.disks.reboot()
    stage.copies.objects.clear()
    stage.disks.token_drop(SPEC, 0)
    assert refused(stage).code == "KO-VOLUME-NO-TOKEN"


def test_an_ephemeral_volume_is_made_and_opened_with_one_key() -> None:
    stage, spec = Stage(), spec_of(mode="ephemeral", key="")
    done = bring_up(stage.ground(), spec, YES)
    assert done.steps == (Step.FORMAT, Step.FILESYSTEM, Step.MOUNT, Step.LOG_DIR)
    assert stage.kms.calls == []
    stage.disks.reboot()
    with pytest.raises(GuardRefused, match="in memory alone"):
        bring_up(stage.ground(), spec, YES)


def test_an_ephemeral_volume_cut_off_before_its_header_is_closed_and_made_again() -> None:
    stage, spec = Stage(), spec_of(mode="ephemeral", key="")
    ground = stage.ground()
    ground.intend(spec, Intent("AWS-1", "a-uuid", Key("ephemeral"), 1000.0))
    opened = Opened(spec.mapper, "a-uuid", spec.device)
    stage.disks.facts = replace(stage.disks.facts, mapping=opened)
    with pytest.raises(GuardRefused, match="nothing is in it") as caught:
        bring_up(ground, spec, YES)
    assert "volume close" in caught.value.hint
    assert close(ground, spec)
    assert bring_up(ground, spec, YES).verdict.state is State.ACTIVE


def test_a_note_that_is_damaged_is_named_by_its_file(tmp_path: Path) -> None:
    facts = FileFacts(tmp_path)
    ground = replace(Stage().ground(), facts=facts)
    facts.put("volume-data-1", {"device": "AWS-1"})
    with pytest.raises(ConfigError) as damaged:
        bring_up(ground, SPEC, YES)
    assert damaged.value.code == "KO-VOLUME-MEMORY"
    [file] = tmp_path.iterdir()
    assert f"`rm {MEMORY}/{file.name}`" in damaged.value.hint
    file.unlink()
    assert bring_up(ground, SPEC, YES).formatted


def test_a_step_that_does_not_do_what_it_says_ends() -> None:
    stage = Stage()
    ground = stage.ground()

    class Idle:
        def __getattr__(self, name: str) -> object:
            return stage.disks.look if name == "look" else lambda *_, **__: None

    with pytest.raises(StepFailed, match="not up after"):
        bring_up(replace(ground, disks=Idle()), SPEC, YES)  # type: ignore[arg-type]
