"""Real cryptsetup on ordinary files: all that needs no device-mapper."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kafkaops.adapters.disk_tools import SYSTEM_PATH, Tools
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.ports.disks import Key
from tests.unit.adapters.volume_parts import (
    MIB,
    TOKEN,
    UUID,
    Bench,
    in_s3,
    needs_cryptsetup,
    program,
    random_key,
    wrapped,
)
from tests.unit.adapters.volume_parts import bench as bench
from tests.unit.adapters.volume_parts import key as key
from tests.unit.adapters.volume_parts import made as made

pytestmark = needs_cryptsetup


def dump(bench: Bench) -> dict[str, dict[str, dict[str, object]]]:
    """The header's JSON as cryptsetup itself sees it."""
    argv = ("cryptsetup", "luksDump", "--dump-json-metadata", str(bench.device))
    env = {"PATH": SYSTEM_PATH}
    return json.loads(subprocess.run(argv, check=True, capture_output=True, env=env).stdout)


def test_a_new_volume_is_as_the_reference_asks(made: Bench, key: bytes) -> None:
    header = made.disks.look(made.spec()).header
    assert header is not None
    assert (header.version, header.uuid, header.label) == (2, UUID, "kafkaops/blue/3/d1")
    assert (header.slots, dict(header.tokens), header.harm) == ((0,), {0: TOKEN}, "")
    found = dump(made)
    assert found["segments"]["0"]["encryption"] == "aes-xts-plain64"
    assert found["segments"]["0"]["sector_size"] == 4096
    assert found["keyslots"]["0"]["key_size"] == 64
    kdf = found["keyslots"]["0"]["kdf"]
    assert isinstance(kdf, dict)
    assert (kdf["type"], kdf["iterations"]) == ("pbkdf2", 1000)


def test_a_key_opens_it_and_another_one_does_not(made: Bench, key: bytes) -> None:
    spec = made.spec()
    assert made.disks.key_opens(spec, wrapped(key))
    assert made.disks.key_opens(spec, wrapped(key), slot=0)
    assert not made.disks.key_opens(spec, wrapped(key), slot=1)
    assert not made.disks.key_opens(spec, wrapped(random_key()))


def test_a_key_with_newlines_and_zeros_in_it_counts_to_its_last_byte(bench: Bench) -> None:
    first, second = b"\n\0a\n" * 16, b"\n\0a\n" * 15 + b"\n\0a\0"
    bench.disks.format(bench.spec(), UUID, wrapped(first), TOKEN)
    assert bench.disks.key_opens(bench.spec(), wrapped(first))
    assert not bench.disks.key_opens(bench.spec(), wrapped(second))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_key_of_another_length_formats_nothing(bench: Bench, length: int) -> None:
    with pytest.raises(StepFailed) as failed:
        bench.disks.format(bench.spec(), UUID, wrapped(bytes(length)), TOKEN)
    assert failed.value.code == "KO-VOLUME-KEY-LENGTH"
    assert not any(bench.read())


def test_a_new_key_beside_the_old_one_then_alone(made: Bench, key: bytes) -> None:
    spec, new = made.spec(), random_key()
    made.disks.slot_add(spec, wrapped(key), wrapped(new), 1)
    assert made.disks.key_opens(spec, wrapped(key), slot=0)
    assert made.disks.key_opens(spec, wrapped(new), slot=1)
    kdf = dump(made)["keyslots"]["1"]["kdf"]
    assert isinstance(kdf, dict)
    assert kdf["iterations"] == 1000
    made.disks.slot_kill(spec, 0, wrapped(new))
    assert not made.disks.key_opens(spec, wrapped(key))
    assert made.disks.key_opens(spec, wrapped(new))
    made.disks.slot_kill(spec, 0, wrapped(new))  # again
    header = made.disks.look(spec).header
    assert header is not None
    assert header.slots == (1,)


def test_no_slot_is_added_by_a_key_that_opens_none_nor_where_one_is(
    made: Bench, key: bytes
) -> None:
    with pytest.raises(StepFailed) as refused:
        made.disks.slot_add(made.spec(), wrapped(random_key()), wrapped(random_key()), 1)
    assert refused.value.code == "KO-VOLUME-KEY-REFUSED"
    with pytest.raises(StepFailed, match="slot 0 is full"):
        made.disks.slot_add(made.spec(), wrapped(key), wrapped(random_key()), 0)


def test_the_last_slot_stays_and_so_does_one_whose_remover_opens_no_other(
    made: Bench, key: bytes
) -> None:
    spec = made.spec()
    with pytest.raises(StepFailed) as last:
        made.disks.slot_kill(spec, 0, wrapped(key))
    assert last.value.code == "KO-VOLUME-LAST-SLOT"
    made.disks.slot_add(spec, wrapped(key), wrapped(random_key()), 1)
    for other in (key, random_key()):
        with pytest.raises(StepFailed) as refused:
            made.disks.slot_kill(spec, 0, wrapped(other))
        assert refused.value.code == "KO-VOLUME-KEY-REFUSED"
    assert made.disks.key_opens(spec, wrapped(key), slot=0)


def test_a_token_is_written_replaced_and_dropped(made: Bench) -> None:
    spec = made.spec()
    for arn in ("arn:1", "arn:2"):
        made.disks.token_put(spec, 0, {**TOKEN, "arn": arn})
        header = made.disks.look(spec).header
        assert header is not None
        assert dict(header.tokens) == {0: {**TOKEN, "arn": arn}}
    made.disks.token_drop(spec, 0)
    made.disks.token_drop(spec, 0)
    header = made.disks.look(spec).header
    assert header is not None
    assert dict(header.tokens) == {}
    with pytest.raises(StepFailed, match="Failed to import"):
        made.disks.token_put(spec, 0, {**TOKEN, "keyslots": ["7"]})


def test_a_token_is_replaced_by_a_cryptsetup_that_cannot_in_one_go(
    made: Bench, tmp_path: Path
) -> None:
    real = "exec /usr/sbin/cryptsetup"
    script = f'case "$*" in *token-replace*) exit 1;; --help) exit 0;; esac\n{real} "$@"'
    program(tmp_path / "bin", "cryptsetup", script)
    old = made.with_parts(tools=Tools(f"{tmp_path / 'bin'}:{SYSTEM_PATH}", uid=lambda: 0))
    old.token_put(made.spec(), 2, TOKEN)
    old.token_put(made.spec(), 2, {**TOKEN, "arn": "arn:2"})
    header = made.disks.look(made.spec()).header
    assert header is not None
    assert header.tokens[2]["arn"] == "arn:2"


def test_a_header_copy_brings_back_an_erased_volume(made: Bench, key: bytes) -> None:
    spec = made.spec()
    copy = made.disks.header_save(spec)
    assert len(copy) == 16 * MIB
    for _ in range(2):
        made.disks.erase(spec)
    assert not made.disks.key_opens(spec, wrapped(key))
    made.disks.header_load(spec, copy)
    assert made.disks.key_opens(spec, wrapped(key))


def test_a_header_copy_that_is_none_is_refused(made: Bench, key: bytes) -> None:
    with pytest.raises(StepFailed, match="luksHeaderRestore"):
        made.disks.header_load(made.spec(), b"x" * 1000)
    assert made.disks.key_opens(made.spec(), wrapped(key))


@pytest.mark.parametrize("mib", [17, 20])
def test_zeroed_it_is_blank_again(tmp_path: Path, key: bytes, mib: int) -> None:
    bench = Bench(tmp_path, mib)
    bench.disks.format(bench.spec(), UUID, wrapped(key), TOKEN)
    bench.write(mib * MIB - 100, b"at the end")
    bench.disks.erase(bench.spec())
    bench.disks.zero(bench.spec())
    facts = bench.disks.look(bench.spec())
    assert (facts.header, facts.signatures) == (None, ())
    assert not any(bench.read())


def test_zero_takes_what_others_left_at_both_ends(bench: Bench) -> None:
    bench.write(512, b"LABELONE" + bytes(16) + b"LVM2 001")
    bench.write(15 * MIB, b"deep")
    bench.write(20 * MIB - 512, b"EFI PART")
    bench.disks.zero(bench.spec())
    assert not any(bench.read())


def test_a_volume_is_made_in_a_file_that_was_not_there(bench: Bench, key: bytes) -> None:
    bench.device.unlink()
    spec = bench.spec(size=20 * MIB)
    assert bench.disks.look(spec).kind == "absent"
    bench.disks.format(spec, UUID, wrapped(key), TOKEN)
    found = bench.device.stat()
    assert (found.st_size, found.st_mode & 0o777) == (20 * MIB, 0o600)
    assert found.st_blocks * 512 >= 20 * MIB
    assert bench.disks.key_opens(spec, wrapped(key))


def test_a_file_that_no_directory_is_for_is_not_made(bench: Bench, key: bytes) -> None:
    spec = bench.spec(device=str(bench.directory / "none" / "disk"), size=20 * MIB)
    with pytest.raises(StepFailed) as failed:
        bench.disks.format(spec, UUID, wrapped(key), TOKEN)
    assert failed.value.code == "KO-VOLUME-FILE"


def test_an_ephemeral_key_is_kept_by_nobody(bench: Bench) -> None:
    ephemeral = Key("ephemeral")
    bench.disks.format(bench.spec(), UUID, ephemeral, TOKEN)
    assert not bench.disks.key_opens(bench.spec(), ephemeral)


def recipe(bench: Bench, password: bytes, *more: str) -> None:
    """As the old boot script did it: a password on standard input, up to its newline."""
    argv = ("cryptsetup", "luksFormat", "--batch-mode", *more, str(bench.device))
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    env = {"PATH": SYSTEM_PATH}
    subprocess.run((*argv, *quick), input=password + b"\n", check=True, env=env)


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
@pytest.mark.parametrize(("held", "warned"), [(b"pass word", 0), (b"pass word\n", 1)])
def test_a_volume_of_the_old_recipe_opens(
    bench: Bench, kind: str, held: bytes, warned: int
) -> None:
    recipe(bench, b"pass word", "--type", kind)
    header = bench.disks.look(bench.spec()).header
    assert header is not None
    assert (header.version, header.slots) == (int(kind[-1]), (0,))
    assert bench.disks.key_opens(bench.spec(), in_s3(held))
    assert len(bench.warnings) == warned
    assert all("printf %s" in told and "rotate" not in told for told in bench.warnings)
    assert not bench.disks.key_opens(bench.spec(), in_s3(b"pass"))


def test_a_new_volume_refuses_a_password_that_ends_in_a_newline(made: Bench, key: bytes) -> None:
    before = made.read()
    with pytest.raises(ConfigError) as refused:
        made.disks.format(made.spec(), UUID, in_s3(b"pass\n"), TOKEN)
    assert refused.value.code == "KO-VOLUME-KEY-NEWLINE"
    with pytest.raises(ConfigError) as refused:
        made.disks.slot_add(made.spec(), wrapped(key), in_s3(b"pass\n"), 1)
    assert refused.value.code == "KO-VOLUME-KEY-NEWLINE"
    assert made.read() == before


@pytest.mark.parametrize("password", [b"", b"x" * 4097, b"\n"])
def test_an_empty_or_endless_password_opens_nothing(made: Bench, password: bytes) -> None:
    with pytest.raises(StepFailed) as refused:
        made.disks.key_opens(made.spec(), in_s3(password))
    assert refused.value.code == "KO-VOLUME-KEY-LENGTH"


def test_a_password_is_stretched(bench: Bench) -> None:
    bench.disks.format(bench.spec(), UUID, in_s3(b"pass word"), TOKEN)
    kdf = dump(bench)["keyslots"]["0"]["kdf"]
    assert isinstance(kdf, dict)
    assert kdf["type"] == "pbkdf2"
    assert isinstance(kdf["iterations"], int)
    assert kdf["iterations"] > 10_000
    assert bench.disks.key_opens(bench.spec(), in_s3(b"pass word"))


def test_without_root_nothing_is_tried(bench: Bench, key: bytes) -> None:
    disks = bench.with_parts(tools=Tools(uid=lambda: 1000))
    for call in (
        lambda: disks.look(bench.spec()),
        lambda: disks.format(bench.spec(), UUID, wrapped(key), TOKEN),
        lambda: disks.mount(bench.spec()),
    ):
        with pytest.raises(ConfigError) as refused:
            call()
        assert refused.value.code == "KO-VOLUME-RIGHTS"
    assert not any(bench.read())


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("cryptsetup 2.3.3", False),
        ("cryptsetup 1.7.5", False),
        ("something else", False),
        ("cryptsetup 2.3.4", True),
        ("cryptsetup 2.10", True),
        ("cryptsetup 3.0.1 flags: UDEV", True),
    ],
)
def test_a_cryptsetup_that_is_too_old(
    bench: Bench, tmp_path: Path, version: str, fits: bool
) -> None:
    program(tmp_path / "bin", "cryptsetup", f"echo {version}")
    disks = bench.with_parts(tools=Tools(f"{tmp_path / 'bin'}:{SYSTEM_PATH}", uid=lambda: 0))
    if fits:
        assert disks.look(bench.spec()).kind == "file"
        return
    with pytest.raises(ConfigError, match="oldest that will do") as refused:
        disks.look(bench.spec())
    assert refused.value.code == "KO-VOLUME-CRYPTSETUP"


def test_no_cryptsetup(bench: Bench, tmp_path: Path) -> None:
    disks = bench.with_parts(tools=Tools(str(tmp_path / "none"), uid=lambda: 0))
    with pytest.raises(ConfigError, match="cannot be run") as refused:
        disks.look(bench.spec())
    assert refused.value.code == "KO-VOLUME-CRYPTSETUP"


def test_a_device_without_a_header_says_so(bench: Bench, key: bytes) -> None:
    with pytest.raises(StepFailed) as failed:
        bench.disks.key_opens(bench.spec(), wrapped(key))
    assert failed.value.code == "KO-VOLUME-NO-HEADER"
