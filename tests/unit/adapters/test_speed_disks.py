"""Where on a disk is measured; requests of this process and of fio on real files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kafkaops.adapters import speed_fio, speed_loop
from kafkaops.adapters.disk_tools import Tools
from kafkaops.adapters.speed_disks import EDGE, DiskBench, region
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.model.disk_speed import LOADS, MIB, PLAIN, WAYS, Load, Region

WRITE, READ, RANDOM = LOADS
SIZE = 8 * MIB
MARK = b"\xa5" * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Ends of MARK, and zeros between; skips where the file system has no direct I/O."""
    path = tmp_path / "disk"
    path.write_bytes(MARK + bytes(SIZE) + MARK)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        pytest.skip("this file system has no direct I/O")
    return path


def untouched(disk: Path) -> bool:
    whole = disk.read_bytes()
    return whole[:MIB] == MARK and whole[-MIB:] == MARK and len(whole) == SIZE + 2 * MIB


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_requests_stay_within_their_region(disk: Path, load: Load) -> None:
    rate, p99, total = speed_loop.run(str(disk), load, MIB, SIZE, 0.2)
    assert rate > 0
    assert 0 < p99 < 60
    assert total % load.block == 0
    assert untouched(disk)
    assert any(disk.read_bytes()[MIB:-MIB]) is load.writes


def test_a_region_is_filled_and_zeroed_and_nothing_else(disk: Path) -> None:
    speed_loop.write_over(str(disk), MIB, SIZE, zeros=False)
    blocks = [disk.read_bytes()[o : o + MIB] for o in range(MIB, SIZE + MIB, MIB)]
    assert len({bytes(block) for block in blocks}) == len(blocks)
    speed_loop.write_over(str(disk), MIB, SIZE, zeros=True)
    assert not any(disk.read_bytes()[MIB:-MIB])
    assert untouched(disk)


def test_a_disk_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="No such file") as caught:
        speed_loop.run(str(tmp_path / "none"), READ, 0, SIZE, 0.1)
    assert caught.value.code == "KO-VOLUME-BENCH"


@pytest.fixture
def fio() -> Tools:
    if shutil.which("fio") is None:
        if os.environ.get("KAFKAOPS_CI"):
            pytest.fail("fio is not installed")
        pytest.skip("fio is not installed")
    return Tools()


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_fio_measures_the_same_region(disk: Path, fio: Tools, load: Load) -> None:
    assert speed_fio.there(fio).startswith("fio-")
    rate, p99, total = speed_fio.run(fio, str(disk), load, MIB, SIZE, 0.3)
    assert rate > 0
    assert 0 < p99 < 60
    assert total >= load.block
    assert untouched(disk)
    assert any(disk.read_bytes()[MIB:-MIB]) is load.writes


def test_fio_says_why_it_could_not(fio: Tools, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="fio: ") as caught:
        speed_fio.run(fio, str(tmp_path), READ, 0, SIZE, 0.1)
    assert caught.value.code == "KO-VOLUME-BENCH"


def test_only_what_writes_is_without_fios_own_guard() -> None:
    assert "--readonly" in speed_fio.command("x", READ, 0, SIZE, 1)
    assert "--readonly" in speed_fio.command("x", RANDOM, 0, SIZE, 1)
    assert "--readonly" not in speed_fio.command("x", WRITE, 0, SIZE, 1)
    assert "--rw=randread" in speed_fio.command("x", RANDOM, 0, SIZE, 1)


@pytest.mark.parametrize("text", ["", "note: nothing", "{}", '{"jobs": [{"read": {}}]}'])
def test_a_report_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(StepFailed, match="cannot be read"):
        speed_fio.read(text, READ, "x")


def test_without_fio_there_is_none(tmp_path: Path) -> None:
    assert speed_fio.there(Tools(str(tmp_path))) == ""


def test_both_ends_of_a_disk_are_left_alone() -> None:
    written = region("x", 4096 * MIB + 512, 1024 * MIB, writes=True)
    assert (written.start, written.size) == (EDGE, 1024 * MIB)
    read = region("x", 4096 * MIB + 512, 1024 * MIB, writes=False)
    assert (read.start, read.size) == (EDGE, 4096 * MIB - 2 * EDGE)
    with pytest.raises(ConfigError, match="no room"):
        region("x", 80 * MIB, 1024 * MIB, writes=True)


def test_what_is_only_to_be_read_is_never_written() -> None:
    bench = DiskBench(Tools(), Region("/dev/null", EDGE, SIZE, False), "x", "")
    with pytest.raises(StepFailed, match="only to be read"):
        bench.run(PLAIN, WRITE, 0.1)
    with pytest.raises(StepFailed, match="only to be read"):
        bench.run(WAYS[1], WRITE, 0.1)
