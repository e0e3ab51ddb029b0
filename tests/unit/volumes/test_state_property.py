"""What no facts about a disk may do: whatever a look shows, data is not formatted away."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kafkaops.model.volume import DiskFacts, Header, Node, Opened, Signature
from kafkaops.volumes import token
from kafkaops.volumes.state import DATA, KEYSLOTS, judge
from kafkaops.volumes.verdict import Intent, Step
from tests.unit.volumes.disk_facts import (
    AT,
    INTENT,
    SPEC,
    UUID,
    XFS,
    token_of,
)
from tests.unit.volumes.fake_disks import spec_of

SIGNATURES = st.builds(
    Signature,
    st.sampled_from([0, 510, 1080, 4096, 16384, KEYSLOTS, KEYSLOTS + 5, DATA]),
    st.sampled_from(
        ["ext4", "xfs", "gpt", "LVM2_member", "linux_raid_member", "crypto_LUKS", "data"]
    ),
)
HEADERS = st.none() | st.builds(
    Header,
    version=st.sampled_from([1, 2]),
    uuid=st.sampled_from([UUID, "other", ""]),
    label=st.sampled_from(["", SPEC.label, "backup"]),
    slots=st.sampled_from([(), (0,), (0, 1)]),
    tokens=st.sampled_from(
        [
            {},
            {0: token_of()},
            {0: token_of(slot=1)},
            {0: {"type": "clevis"}},
            {0: {"type": token.TYPE}},
        ]
    ),
    harm=st.sampled_from(["", "harmed"]),
    torn=st.sampled_from(["", "torn"]),
)
FACTS = st.builds(
    DiskFacts,
    device=st.just("/dev/nvme1n1"),
    kind=st.sampled_from(["block", "file", "absent", "other"]),
    identity=st.sampled_from(["AWS-1", "AWS-2"]),
    instance_store=st.booleans(),
    read_only=st.booleans(),
    holders=st.sampled_from([(), ("md0",)]),
    mounts=st.sampled_from([(), ("/data",)]),
    signatures=st.lists(SIGNATURES, max_size=2).map(tuple),
    header=HEADERS,
    mapping=st.none()
    | st.builds(
        Opened,
        name=st.just("kafka-data-1"),
        uuid=st.sampled_from([UUID, "other"]),
        device=st.just("/dev/nvme1n1"),
        signatures=st.sampled_from([(), XFS]),
    ),
    at=st.sampled_from([None, AT, replace(AT, source="/dev/sdz")]),
    beneath=st.sampled_from([(), ("orders-0",)]),
    node=st.sampled_from([None, Node("c", 1), Node("c", 2)]),
)


@settings(max_examples=500, deadline=None)
@given(
    facts=FACTS,
    intent=st.sampled_from([None, INTENT]),
    named=st.booleans(),
    size=st.sampled_from([0, 1 << 30]),
)
def test_nothing_with_a_signature_or_in_use_is_ever_formatted(
    facts: DiskFacts, intent: Intent | None, named: bool, size: int
) -> None:
    verdict = judge(spec_of(named=named, size=size), facts, intent)
    formats = verdict.step is Step.FORMAT or verdict.override
    if formats:
        assert facts.mapping is None
        assert facts.at is None
        assert not facts.holders
        assert not facts.mounts
        assert not facts.read_only
        assert facts.kind in ("block", "file") or (size and facts.kind == "absent")
    if verdict.step is Step.FORMAT:
        assert facts.header is None
        assert not facts.beneath
        assert facts.instance_store or named or facts.kind != "block"
        if facts.signatures:
            assert intent is not None
            assert intent.device == facts.identity
            assert all(s.kind == "data" and KEYSLOTS <= s.offset < DATA for s in facts.signatures)
    if verdict.step is Step.FILESYSTEM:
        assert facts.mapping is not None
        assert not facts.mapping.signatures
        assert facts.header is not None
        assert facts.mapping.uuid == facts.header.uuid
    if verdict.step is Step.REFUSED:
        assert verdict.code.startswith("KO-VOLUME-")
        assert verdict.why
