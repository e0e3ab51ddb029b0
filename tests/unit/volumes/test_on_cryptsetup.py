"""Rotation, rewrap, header copies and erasure by real cryptsetup, on a file."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.adapters.disk_tools import SYSTEM_PATH
from kafkaops.engine.errors import GuardRefused, OpsError
from kafkaops.volumes import copies, headers
from kafkaops.volumes.erasing import erase
from kafkaops.volumes.preparing import bring_up
from kafkaops.volumes.rotating import rewrap, rotate
from kafkaops.volumes.verdict import State, Step
from tests.unit.adapters.volume_parts import UUID, needs_cryptsetup, random_key, wrapped
from tests.unit.volumes.on_cryptsetup import Made

pytestmark = needs_cryptsetup


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_a_new_key_opens_and_the_old_one_does_not(made: Made) -> None:
    old = made.now.key
    assert made.ground.judged(made.spec)[1].state is State.LOCKED
    done = rotate(made.ground, made.spec)
    assert len(done.turns) == 6
    disks = made.bench.disks
    assert made.now.key != old
    assert disks.key_opens(made.spec, made.now.key, made.now.slot)
    assert not disks.key_opens(made.spec, old)
    assert made.slots() == (made.now.slot,)
    assert made.ground.judged(made.spec)[1].step is Step.OPEN
    rotate(made.ground, made.spec)
    assert made.slots() == (made.now.slot,), "and again, the keyslot that was freed"


def test_the_same_key_under_another_arn(made: Made) -> None:
    slots = made.slots()
    assert rewrap(made.ground, made.spec, "arn:2")
    assert made.now.key.arn == "arn:2"
    assert made.slots() == slots
    assert made.bench.disks.key_opens(made.spec, made.now.key)


def test_a_harmed_header_comes_back_from_its_copy(made: Made) -> None:
    uri = headers.backup(made.ground, made.spec)
    made.bench.write(0, bytes(32 * 1024))
    verdict = made.ground.judged(made.spec)[1]
    assert verdict.state is State.FOREIGN, "keyslots alone are bytes that nobody knows"
    headers.restore(made.ground, made.spec, uri)
    assert made.ground.judged(made.spec)[1].step is Step.OPEN
    with pytest.raises(GuardRefused, match="no header copy"):
        headers.restore(made.ground, made.spec, uri.replace("/3/", "/4/"))


def test_a_header_of_which_neither_copy_reads_comes_back_too(made: Made) -> None:
    uri = headers.backup(made.ground, made.spec)
    for offset in (0, 16 * 1024):
        made.bench.write(offset + 4096, b"x" * 512)
    verdict = made.ground.judged(made.spec)[1]
    assert (verdict.state, verdict.code) == (State.DAMAGED, "KO-VOLUME-HEADER")
    headers.restore(made.ground, made.spec, uri)
    assert made.ground.judged(made.spec)[1].step is Step.OPEN


def test_what_lies_at_a_uri_is_looked_at_before_it_is_written_back(
    made: Made, tmp_path_factory: pytest.TempPathFactory
) -> None:
    uri = headers.backup(made.ground, made.spec)
    mine = made.copies.objects[uri]
    other = Made(tmp_path_factory.mktemp("other"))
    other.spec = replace(other.spec, node=4)
    stranger = replace(other.now, context=other.spec.context)
    other.bench.disks.token_put(other.spec, 0, stranger.to_json())
    now = made.bench.read()[: 32 * 1024]

    def refused(image: bytes, code: str) -> None:
        made.copies.objects[uri] = image
        with pytest.raises(GuardRefused) as caught:
            headers.restore(made.ground, made.spec, uri)
        assert caught.value.code == code
        assert made.bench.read()[: 32 * 1024] == now, "and nothing was written"

    refused(other.bench.disks.header_save(other.spec), "KO-VOLUME-COPY-OTHER")
    refused(bytes(16 << 20), "KO-VOLUME-COPY-HARMED")
    refused(mine[:1000] + b"x" + mine[1001:], "KO-VOLUME-COPY-HARMED")
    slots = mine[: 32 * 1024] + bytes(len(mine) - 32 * 1024)
    refused(slots, "KO-VOLUME-COPY-SHUT")
    made.copies.objects[uri] = mine
    headers.restore(made.ground, made.spec, uri)


def test_a_header_of_which_neither_copy_reads_is_erased_all_the_same(made: Made) -> None:
    for offset in (0, 16 * 1024):
        made.bench.write(offset + 4096, b"x" * 512)
    done = erase(made.ground, made.spec)
    assert (done.before, done.proven) == (State.DAMAGED, False)
    assert made.ground.judged(made.spec)[1].state is State.BLANK
    assert made.copies.objects == {}


def test_erased_nothing_is_left_of_it(made: Made) -> None:
    headers.backup(made.ground, made.spec)
    done = erase(made.ground, made.spec)
    assert done.proven
    assert len(done.copies) == 2
    assert made.copies.objects == {}
    assert not any(made.bench.read()[: 16 * 1024 * 1024])
    verdict = made.ground.judged(made.spec)[1]
    assert (verdict.state, verdict.step) == (State.BLANK, Step.FORMAT)
    dump = ("cryptsetup", "isLuks", str(made.bench.device))
    assert subprocess.run(dump, env={"PATH": SYSTEM_PATH}, check=False).returncode != 0


def test_an_edited_token_is_mended_from_the_copy_that_opens(made: Made) -> None:
    content = {**made.now.to_json(), "ciphertext": wrapped(random_key()).ciphertext}
    made.bench.disks.token_put(made.spec, 0, content)
    assert made.ground.judged(made.spec)[1].code == "KO-VOLUME-TOKEN"
    made.copies.put_once(copies.home(made.spec, UUID) + "token-strange.json", b"{")
    with pytest.raises(OpsError):  # there is no device-mapper to open it with
        bring_up(made.ground, made.spec, mount=False)
    assert made.bench.disks.key_opens(made.spec, made.now.key), "the token is ours again"
