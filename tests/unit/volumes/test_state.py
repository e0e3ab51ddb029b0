"""The state of a volume from facts: a table of what there can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.model.volume import (
    DiskFacts,
    Header,
    Node,
    Opened,
    Signature,
)
from kafkaops.ports.disks import Key
from kafkaops.volumes import token
from kafkaops.volumes.state import DATA, KEYSLOTS, judge
from kafkaops.volumes.verdict import Intent, State, Step
from tests.unit.volumes.disk_facts import (
    AT,
    INTENT,
    LUKS,
    SPEC,
    UUID,
    XFS,
    disk,
    header,
    locked,
    opened,
    token_of,
)
from tests.unit.volumes.fake_disks import spec_of

MADE = header(token_of(filesystem="xfs"))

TABLE: list[tuple[str, DiskFacts, State, Step, str]] = [
    ("no device", disk(kind="absent"), State.ABSENT, Step.REFUSED, "KO-VOLUME-ABSENT"),
    ("a directory", disk(kind="other"), State.FOREIGN, Step.REFUSED, "KO-VOLUME-NOT-BLOCK"),
    ("read-only", disk(read_only=True), State.FOREIGN, Step.REFUSED, "KO-VOLUME-READ-ONLY"),
    ("blank instance store", disk(), State.BLANK, Step.FORMAT, ""),
    (
        "blank, but of nobody knows what",
        disk(instance_store=False),
        State.BLANK,
        Step.REFUSED,
        "KO-VOLUME-NOT-LISTED",
    ),
    ("a file", disk(kind="file", instance_store=False), State.BLANK, Step.FORMAT, ""),
    ("ext4", disk(signatures=(Signature(1080, "ext4"),)), *("F", "KO-VOLUME-FOREIGN")),
    ("partitions", disk(signatures=(Signature(510, "dos"),)), *("F", "KO-VOLUME-FOREIGN")),
    ("LVM", disk(signatures=(Signature(536, "LVM2_member"),)), *("F", "KO-VOLUME-FOREIGN")),
    ("RAID", disk(signatures=(Signature(4096, "linux_raid_member"),)), *("F", "KO-VOLUME-FOREIGN")),
    ("bytes", disk(signatures=(Signature(0, "data"),)), *("F", "KO-VOLUME-FOREIGN")),
    ("second header alone", disk(signatures=LUKS[1:]), *("F", "KO-VOLUME-FOREIGN")),
    ("in a RAID", disk(holders=("md0",)), *("F", "KO-VOLUME-IN-USE")),
    ("mounted raw", disk(mounts=("/data",)), *("F", "KO-VOLUME-MOUNTED")),
    (
        "blank, Kafka on the root disk",
        disk(beneath=("orders-0",)),
        *(State.BLANK, Step.REFUSED, "KO-VOLUME-BENEATH"),
    ),
    ("another's mount", disk(at=replace(AT, source="/dev/sdz")), *("F", "KO-VOLUME-MOUNTPOINT")),
    ("locked", locked(), State.LOCKED, Step.OPEN, ""),
    (
        "locked, Kafka on the root disk",
        locked(beneath=("meta.properties",)),
        *(State.LOCKED, Step.REFUSED, "KO-VOLUME-BENEATH"),
    ),
    ("locked, in LVM", locked(holders=("vg0",)), *("F", "KO-VOLUME-IN-USE")),
    (
        "somebody's LUKS",
        locked(header=header(label="backup", tokens={})),
        *("F", "KO-VOLUME-LUKS-OTHER"),
    ),
    ("LUKS1", locked(header=Header(1, UUID)), *("F", "KO-VOLUME-RECIPE")),
    ("LUKS2, bare", locked(header=Header(2, UUID, "", (0,))), *("F", "KO-VOLUME-RECIPE")),
    (
        "LUKS2 with another's token",
        locked(header=header(label="", tokens={0: {"type": "clevis"}})),
        *("F", "KO-VOLUME-LUKS-OTHER"),
    ),
    (
        "ours, token gone",
        locked(header=header(tokens={})),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-NO-TOKEN"),
    ),
    (
        "token edited",
        locked(header=header(token_of() | {"arn": "arn:other"})),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-TOKEN"),
    ),
    (
        "token without a field",
        locked(header=header({n: v for n, v in token_of().items() if n != "mode"})),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-TOKEN"),
    ),
    (
        "two current tokens",
        locked(header=header(tokens={0: token_of(), 1: token_of(slot=1)})),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-TOKEN"),
    ),
    (
        "another cluster's",
        locked(header=header(token_of(spec_of(cluster="prod")))),
        *("F", "KO-VOLUME-OTHER-CLUSTER"),
    ),
    (
        "another broker's",
        locked(header=header(token_of(spec_of(node=2)))),
        *("F", "KO-VOLUME-OTHER-BROKER"),
    ),
    (
        "another volume",
        locked(header=header(token_of(spec_of(name="data-2")))),
        *("F", "KO-VOLUME-OTHER-VOLUME"),
    ),
    (
        "erased",
        locked(header=header(slots=())),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-ERASED"),
    ),
    (
        "harmed",
        locked(header=header(harm="the primary copy does not read")),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-HEADER"),
    ),
    (
        "both copies harmed",
        locked(header=Header(2, "", harm="the primary copy has wrong sizes in it, and so on")),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-HEADER"),
    ),
    ("a write was cut off", locked(header=header(torn="x")), State.LOCKED, Step.OPEN, ""),
    (
        "a write was cut off, and somebody's file system is there",
        locked(header=header(torn="x"), signatures=(*XFS, *LUKS)),
        *(State.FOREIGN, Step.REFUSED, "KO-VOLUME-OVERWRITTEN"),
    ),
    ("open, nothing inside", opened(), State.ACTIVE, Step.FILESYSTEM, ""),
    (
        "open, its file system is gone",
        opened(header=MADE),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-NO-FILESYSTEM"),
    ),
    ("open", opened(*XFS, header=MADE), State.ACTIVE, Step.MOUNT, ""),
    (
        "open, Kafka on the root disk",
        opened(*XFS, header=MADE, beneath=("orders-0",)),
        *(State.LOCKED, Step.REFUSED, "KO-VOLUME-BENEATH"),
    ),
    ("mounted, empty", opened(*XFS, header=MADE, at=AT), State.ACTIVE, Step.LOG_DIR, ""),
    (
        "mounted, founded",
        opened(*XFS, header=MADE, at=AT, founded=True),
        *(State.ACTIVE, Step.NOTHING, ""),
    ),
    (
        "mounted, data of nobody knows whom",
        opened(*XFS, header=MADE, at=AT, held=("orders-0",)),
        *(State.ACTIVE, Step.NOTHING, ""),
    ),
    (
        "mounted, harmed: it still serves",
        opened(*XFS, header=replace(MADE, harm="x"), at=AT, founded=True),
        *(State.ACTIVE, Step.NOTHING, ""),
    ),
    (
        "mounted, our node",
        opened(*XFS, header=MADE, at=AT, node=Node("c", 1)),
        *(State.ACTIVE, Step.NOTHING, ""),
    ),
    (
        "mounted, another node's",
        opened(*XFS, header=MADE, at=AT, node=Node("c", 2)),
        *("F", "KO-VOLUME-NODE"),
    ),
    (
        "mapping of another volume",
        opened(mapping=Opened("kafka-data-1", "other", "/dev/nvme2n1")),
        *("F", "KO-VOLUME-MAPPER"),
    ),
    (
        "open, header gone",
        opened(*XFS, header=None, signatures=()),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-HEADER-GONE"),
    ),
    (
        "open, both copies of its header harmed",
        opened(*XFS, header=Header(2, "", harm="the primary copy has wrong sizes in it")),
        *(State.DAMAGED, Step.REFUSED, "KO-VOLUME-HEADER-GONE"),
    ),
    (
        "open from another disk, and this one is blank",
        opened(*XFS, header=None, mapping=Opened("kafka-data-1", UUID, "/dev/nvme2n1", XFS)),
        *("F", "KO-VOLUME-MAPPER"),
    ),
    (
        "open without LUKS",
        opened(*XFS, header=None, mapping=Opened("kafka-data-1", "", "/dev/nvme1n1", XFS)),
        *("F", "KO-VOLUME-MAPPER"),
    ),
]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("facts", "said"), [pytest.param(row[1], row[2:], id=row[0]) for row in TABLE]
)
def test_each_look_has_one_verdict(facts: DiskFacts, said: tuple[Any, ...]) -> None:
    wanted = (State.FOREIGN, Step.REFUSED, said[1]) if said[0] == "F" else said
    verdict = judge(SPEC, facts)
    assert (verdict.state, verdict.step, verdict.code) == wanted
    if verdict.step is Step.REFUSED:
        assert verdict.why
        assert verdict.hint, "what refuses says what helps"


def test_the_recipes_own_volume_is_opened_without_label_and_token() -> None:
    spec = spec_of(mode="s3", object="s3://keys/password")
    bare = Header(1, UUID, slots=(0,))
    assert judge(spec, locked(header=bare)).step is Step.OPEN
    assert judge(spec, opened(*XFS, header=bare)).step is Step.MOUNT
    empty = judge(spec, opened(header=bare))
    assert (empty.state, empty.step) == (State.DAMAGED, Step.REFUSED), "nothing is made over it"


def test_a_volume_of_the_recipe_under_another_mode_leads_back_to_its_own() -> None:
    verdict = judge(SPEC, locked(header=Header(1, UUID, slots=(0,))))
    assert verdict.code == "KO-VOLUME-RECIPE"
    assert "`mode: s3`" in verdict.hint
    assert "--reformat" not in verdict.hint
    assert verdict.override


@pytest.mark.parametrize("mode", ["wrapped", "s3", "ephemeral"])
def test_a_header_that_is_lost_leads_to_its_copy_and_never_to_a_format(mode: str) -> None:
    spec = spec_of(mode=mode, object="s3://keys/password" if mode == "s3" else "")
    lost = locked(header=Header(2, "", harm="the primary copy has wrong sizes in it"))
    for intent in (None, replace(INTENT, device="AWS-2")):
        verdict = judge(spec, lost, intent)
        assert (verdict.state, verdict.code) == (State.DAMAGED, "KO-VOLUME-HEADER")
        assert not verdict.override
        assert "header-backup data-1 --restore URI" in verdict.hint
        assert "--reformat" not in verdict.hint
    begun = judge(spec, lost, INTENT)
    assert begun.override, "or a power cut in the middle of a format would leave no way on"
    assert f"--reformat {spec.label}" in begun.hint


def test_the_key_of_an_ephemeral_volume_went_with_the_boot() -> None:
    spec = spec_of(mode="ephemeral")
    own = header(token.first(spec, Key("ephemeral"), 1000.0).to_json())
    after_boot = judge(spec, locked(header=own))
    assert (after_boot.step, after_boot.code) == (Step.REFUSED, "KO-VOLUME-EPHEMERAL")
    assert after_boot.override


def test_an_ephemeral_volume_cut_off_before_its_header_was_written_holds_nothing() -> None:
    spec, intent = spec_of(mode="ephemeral"), replace(INTENT, key=Key("ephemeral"))
    cut_off = opened(header=None, signatures=())
    assert judge(spec, cut_off, intent).code == "KO-VOLUME-UNFINISHED"
    for facts, noted in (
        (cut_off, None),
        (cut_off, INTENT),
        (cut_off, replace(intent, uuid="other")),
        (cut_off, replace(intent, device="AWS-2")),
        (opened(*XFS, header=None), intent),
        (opened(header=None, at=AT), intent),
    ):
        assert judge(spec, facts, noted).code == "KO-VOLUME-HEADER-GONE"


@pytest.mark.parametrize(
    ("intent", "offset", "step"),
    [
        (INTENT, KEYSLOTS, Step.FORMAT),
        (INTENT, DATA - 1, Step.FORMAT),
        (INTENT, KEYSLOTS - 1, Step.REFUSED),
        (INTENT, DATA, Step.REFUSED),
        (None, KEYSLOTS, Step.REFUSED),
        (replace(INTENT, device="AWS-2"), KEYSLOTS, Step.REFUSED),
    ],
)
def test_only_this_disks_own_unfinished_keyslots_count_as_blank(
    intent: Intent | None, offset: int, step: Step
) -> None:
    found = judge(SPEC, disk(signatures=(Signature(offset, "data"),)), intent)
    assert found.step is step


def test_a_long_name_has_a_label_that_luks_can_keep() -> None:
    long = spec_of(cluster="a-cluster-with-a-name-that-goes-on-and-on")
    assert len(long.label.encode()) <= 47
    assert long.label != spec_of(cluster=f"{long.cluster}-too").label


def test_a_file_that_is_not_there_yet_is_made_and_one_that_went_away_open_is_not() -> None:
    spec = spec_of(device="/var/lib/volumes/data-1", size=1 << 30)
    gone = disk(kind="absent", identity="file /var/lib/volumes/data-1", instance_store=False)
    verdict = judge(spec, gone)
    assert (verdict.state, verdict.step) == (State.BLANK, Step.FORMAT)
    verdict = judge(spec, replace(gone, beneath=("orders-0",)))
    assert verdict.code == "KO-VOLUME-BENEATH"
    verdict = judge(spec, replace(gone, mapping=Opened("kafka-data-1", UUID, "loop0", XFS)))
    assert (verdict.step, verdict.code) == (Step.REFUSED, "KO-VOLUME-HEADER-GONE")
