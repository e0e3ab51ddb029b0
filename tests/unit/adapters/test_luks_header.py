"""Headers that cryptsetup wrote, then harmed byte by byte; nothing is mended by being looked at."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kafkaops.adapters import luks_header
from kafkaops.adapters.disk_tools import SYSTEM_PATH
from kafkaops.model.volume import Header
from tests.unit.adapters.volume_parts import TOKEN, UUID, Bench, needs_cryptsetup, wrapped
from tests.unit.adapters.volume_parts import bench as bench
from tests.unit.adapters.volume_parts import key as key
from tests.unit.adapters.volume_parts import made as made

SECOND = 0x4000
PRIMARY_SUM = "the primary copy does not match its checksum"
SECOND_SUM = "the secondary copy does not match its checksum"


def looked(bench: Bench) -> Header | None:
    """What a look finds, which leaves every byte as it was."""
    before = bench.read()
    header = bench.disks.look(bench.spec()).header
    assert bench.read() == before
    return header


def flip(bench: Bench, offset: int) -> None:
    byte = bench.read()[offset]
    bench.write(offset, bytes([byte ^ 0xFF]))


@needs_cryptsetup
@pytest.mark.parametrize(
    ("offsets", "harm"),
    [
        ((), ""),
        ((0,), "the primary copy does not read"),
        ((6,), "the primary copy has wrong sizes in it"),
        ((30,), PRIMARY_SUM),
        ((4100,), PRIMARY_SUM),
        ((SECOND - 1,), PRIMARY_SUM),
        ((SECOND,), "the secondary copy does not read"),
        ((SECOND + 30,), SECOND_SUM),
        ((SECOND + 4100,), SECOND_SUM),
        ((2 * SECOND,), ""),  # key material follows, which no checksum covers
    ],
)
def test_harm_to_one_copy_is_told_by_the_other(
    made: Bench, offsets: tuple[int, ...], harm: str
) -> None:
    for offset in offsets:
        flip(made, offset)
    header = looked(made)
    assert header is not None
    assert (header.uuid, header.slots) == (UUID, (0,))
    torn = "" if "not read" in harm else harm
    assert (header.torn, header.harm) == (torn, "" if torn else harm)


@needs_cryptsetup
def test_a_copy_that_was_cut_off_is_mended_by_cryptsetup(made: Bench) -> None:
    before = looked(made)
    flip(made, 4100)
    torn = looked(made)
    assert torn is not None
    assert torn.torn == PRIMARY_SUM
    tried = (shutil.which("cryptsetup", path=SYSTEM_PATH) or "", "luksDump", str(made.device))
    subprocess.run(tried, check=True, capture_output=True)
    assert looked(made) == before


@needs_cryptsetup
def test_harm_to_both_copies(made: Bench) -> None:
    flip(made, 4100)
    flip(made, SECOND + 4100)
    header = looked(made)
    assert header == Header(2, "", harm=f"{PRIMARY_SUM}, and {SECOND_SUM}")
    flip(made, 0)
    header = looked(made)
    assert header is not None
    assert header.harm == f"the primary copy does not read, and {SECOND_SUM}"


@needs_cryptsetup
def test_without_both_magics_what_is_left_is_data_of_nobody(made: Bench) -> None:
    made.write(0, bytes(8))
    made.write(SECOND, bytes(8))
    facts = made.disks.look(made.spec())
    assert facts.header is None
    assert [s.kind for s in facts.signatures] == ["data"]


@needs_cryptsetup
def test_the_second_copy_that_wipefs_leaves_is_a_header_still(made: Bench) -> None:
    made.write(0, bytes(4096))
    facts = made.disks.look(made.spec())
    assert facts.header is not None
    assert facts.header.harm == "the primary copy does not read"
    assert [(s.offset, s.kind) for s in facts.signatures] == [(SECOND, "crypto_LUKS")]


@needs_cryptsetup
def test_trying_a_key_mends_nothing(made: Bench, key: bytes) -> None:
    flip(made, 4100)
    before = made.read()
    assert made.disks.key_opens(made.spec(), wrapped(key))
    assert made.read() == before
    argv = ("cryptsetup", "luksDump", str(made.device))  # which is why no look runs it
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env={"PATH": SYSTEM_PATH})
    assert made.read() != before


@needs_cryptsetup
def test_a_kill_between_the_two_copies_is_no_harm(made: Bench) -> None:
    old = made.read()[SECOND : 2 * SECOND]
    made.disks.token_put(made.spec(), 0, {"type": "kafkaops", "keyslots": ["0"]})
    made.write(SECOND, old)
    header = looked(made)
    assert header is not None
    assert (header.harm, tuple(header.tokens)) == ("", (0,))


@needs_cryptsetup
def test_copies_of_two_volumes(made: Bench, key: bytes, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other")
    other.disks.format(other.spec(), UUID.replace("3f2b", "0000"), wrapped(key), TOKEN)
    made.write(SECOND, other.read()[SECOND : 2 * SECOND])
    header = looked(made)
    assert header is not None
    assert header.harm.startswith("the copies are of two volumes")


@needs_cryptsetup
def test_larger_headers_have_their_second_copy_further_on(bench: Bench, key: bytes) -> None:
    argv = ("cryptsetup", "luksFormat", "--batch-mode", "--luks2-metadata-size", "64k")
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--uuid", UUID)
    env = {"PATH": SYSTEM_PATH}
    subprocess.run((*argv, *quick, str(bench.device)), input=b"x\n", check=True, env=env)
    for offset, torn in ((0x10000 + 5000, SECOND_SUM), (5000, PRIMARY_SUM)):
        flip(bench, offset)
        assert looked(bench) == Header(2, UUID, slots=(0,), torn=torn)
        flip(bench, offset)
        assert looked(bench) == Header(2, UUID, slots=(0,))


@needs_cryptsetup
def test_unfinished_reencryption_is_told(made: Bench, key: bytes, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(key)
    argv = ("cryptsetup", "reencrypt", "--init-only", "--batch-mode", "--key-file", str(file))
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--resilience", "none")
    subprocess.run((*argv, *quick, str(made.device)), env={"PATH": SYSTEM_PATH}, check=True)
    header = looked(made)
    assert header is not None
    assert header.harm.startswith("cryptsetup has unfinished work on it: online-reencrypt")


def test_random_bytes_after_a_magic_are_no_header_but_a_harmed_one() -> None:
    def read(offset: int, length: int) -> bytes:
        return (b"LUKS\xba\xbe\0\x02" + bytes(range(256)) * 100)[offset : offset + length]

    found = luks_header.find(read).header
    assert found is not None
    assert found.harm == (
        "the primary copy has wrong sizes in it, and the secondary copy does not read"
    )


def test_a_device_of_a_few_bytes_has_none() -> None:
    for size in (0, 100, 600, 5000):
        found = luks_header.find(lambda at, length, size=size: bytes(size)[at : at + length])
        assert found.header is None
