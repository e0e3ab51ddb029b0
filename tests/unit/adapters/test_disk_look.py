"""What a look finds: real signatures in ordinary files; sysfs and /proc as files of the test."""

from __future__ import annotations

import fcntl
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from kafkaops.adapters.disk_blocks import Blocks, Identity, Places, identified
from kafkaops.adapters.disk_mounts import users
from kafkaops.adapters.disk_tools import SYSTEM_PATH, Tools
from kafkaops.engine.errors import StepFailed
from kafkaops.model.volume import DiskFacts, Mounted, Node, Signature
from tests.unit.adapters.volume_parts import (
    MIB,
    ROOT,
    UUID,
    Bench,
    needs,
    needs_cryptsetup,
    program,
)
from tests.unit.adapters.volume_parts import bench as bench
from tests.unit.adapters.volume_parts import key as key
from tests.unit.adapters.volume_parts import made as made

pytestmark = needs_cryptsetup

LVM = b"LABELONE" + struct.pack("<QII", 1, 0, 32) + b"LVM2 001" + b"a" * 32
DOS = bytes.fromhex("0020210083fe3f0600080000003f0000") + bytes(48) + b"\x55\xaa"
PROTECTIVE = bytes.fromhex("00000200eeffffff01000000ff9f0000") + bytes(48) + b"\x55\xaa"
SECTORS = 20 * MIB // 512


def raid() -> bytes:
    """md's superblock, version 1.2."""
    raw = bytearray(256)
    struct.pack_into("<II", raw, 0, 0xA92B4EFC, 1)
    struct.pack_into("<16s", raw, 16, b"0123456789abcdef")
    struct.pack_into("<Q", raw, 144, 4096 // 512)
    total = sum(struct.unpack("<64I", raw))
    struct.pack_into("<I", raw, 216, (total & 0xFFFFFFFF) + (total >> 32))
    return bytes(raw)


def gpt() -> bytes:
    """The header of an empty table of 128 entries."""
    entries = zlib.crc32(bytes(128 * 128))
    ends = (1, SECTORS - 1, 34, SECTORS - 34)

    def header(crc: int) -> bytes:
        begin = struct.pack("<8sIIII4Q", b"EFI PART", 0x10000, 92, crc, 0, *ends)
        return begin + struct.pack("<16sQIII", b"g" * 16, 2, 128, 128, entries)

    return header(zlib.crc32(header(0)))


def kinds(bench: Bench) -> list[str]:
    return [s.kind for s in bench.disks.look(bench.spec()).signatures]


def made_by(bench: Bench, *argv: str) -> list[str]:
    env = {"PATH": SYSTEM_PATH}
    subprocess.run((*argv, str(bench.device)), check=True, capture_output=True, env=env)
    return kinds(bench)


@needs("mkfs.xfs", "xfsprogs")
def test_xfs(tmp_path: Path) -> None:
    assert made_by(Bench(tmp_path, 320), "mkfs.xfs", "-K", "-q") == ["xfs"]


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_ext(bench: Bench, kind: str) -> None:
    assert made_by(bench, f"mkfs.{kind}", "-q", "-E", "nodiscard") == [kind]


def test_swap(bench: Bench) -> None:
    assert made_by(bench, "mkswap") == ["swap"]


def test_a_luks_volume_is_told_at_both_its_copies(made: Bench) -> None:
    assert kinds(made) == ["crypto_LUKS", "crypto_LUKS"]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({512: LVM}, ["LVM2_member"]),
        ({4096: raid()}, ["linux_raid_member"]),
        ({446: DOS}, ["dos"]),
        ({446: PROTECTIVE, 512: gpt()}, ["PMBR", "gpt"]),
        ({64 * 1024 + 64: b"_BHRfS_M"}, ["btrfs"]),
        ({0: b"hsqs" + bytes(24) + b"\4\0\0\0"}, ["squashfs"]),
        ({446: DOS, 512: LVM}, ["dos", "LVM2_member"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_others_signatures(bench: Bench, written: dict[int, bytes], found: list[str]) -> None:
    for offset, data in written.items():
        bench.write(offset, data)
    assert kinds(bench) == found


@pytest.mark.parametrize(
    ("offset", "found"),
    [
        (0, 0),
        (MIB - 1, MIB - 1),
        (19 * MIB, 19 * MIB),
        (20 * MIB - 1, 20 * MIB - 1),
        (MIB, MIB),
        (16 * MIB, None),
        (19 * MIB - 1, None),
    ],
)
def test_bytes_of_nobody_at_both_ends(bench: Bench, offset: int, found: int | None) -> None:
    bench.write(offset, b"\1")
    signatures = bench.disks.look(bench.spec()).signatures
    assert signatures == (() if found is None else (Signature(found, "data"),))


@pytest.mark.parametrize("size", [0, 1, 1000, MIB, 2 * MIB - 5])
def test_small_files(bench: Bench, size: int) -> None:
    bench.device.write_bytes(bytes(size))
    facts = bench.disks.look(bench.spec())
    assert (facts.kind, facts.size, facts.signatures) == ("file", size, ())
    if size:
        bench.write(size - 1, b"x")
        assert kinds(bench) == ["data"]


def test_what_can_hold_no_volume(bench: Bench) -> None:
    assert bench.disks.look(bench.spec(device="/dev/null")).kind == "other"
    assert bench.disks.look(bench.spec(device=str(bench.directory))).kind == "other"
    absent = bench.disks.look(bench.spec(device=str(bench.directory / "no")))
    gone = str(bench.directory / "no")
    assert absent == DiskFacts(gone, "absent", identity=f"file {gone}")


def test_a_look_opens_nothing_for_writing(bench: Bench, tmp_path: Path) -> None:
    """The kernel itself tells: a lease for writing breaks when somebody else opens to write."""
    program(tmp_path / "bin", "wipefs", f'echo "$@" >{tmp_path}/argv; exec /usr/sbin/wipefs "$@"')
    tools = Tools(f"{tmp_path / 'bin'}:{SYSTEM_PATH}", uid=lambda: 0)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    with open(bench.device, "rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        bench.with_parts(tools=tools).look(bench.spec())
        assert fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_RDLCK
    assert "--no-act" in (tmp_path / "argv").read_text()


@pytest.mark.parametrize("answer", ["echo nonsense", "echo '[1]'", "exit 1"])
def test_a_probe_that_fails_is_no_empty_disk(bench: Bench, tmp_path: Path, answer: str) -> None:
    program(tmp_path / "bin", "wipefs", answer)
    tools = Tools(f"{tmp_path / 'bin'}:{SYSTEM_PATH}", uid=lambda: 0)
    with pytest.raises(StepFailed):
        bench.with_parts(tools=tools).look(bench.spec())


class World:
    """A host whose sysfs and /proc are files: disk nvme1n1 is the test's own file."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.root = bench.directory
        self.put("sys/dev/block/259:1/size", str(20 * MIB // 512))
        self.put("sys/dev/block/259:1/ro", "0")
        self.put("sys/dev/block/259:1/dev", "259:1")
        self.mounts()
        self.disk = Identity("block", "259:1")

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    def mounts(self, *rows: tuple[str, str, str]) -> None:
        """Rows of number, target, source."""
        lines = [f"1 0 {n} / {t} rw,noatime - xfs {s} rw" for n, t, s in rows]
        self.put("proc/self/mountinfo", "\n".join(["9 0 8:1 / / rw - ext4 /dev/root rw", *lines]))

    def mapping(self, node: str, name: str, uuid: str, number: str, below: str) -> None:
        self.put(f"sys/block/{node}/dm/name", name)
        self.put(f"sys/block/{node}/dm/uuid", uuid)
        self.put(f"sys/block/{node}/dev", number)
        self.put(f"sys/block/{node}/slaves/{below}/x", "")

    def identify(self, path: str) -> Identity:
        if path == str(self.bench.device):
            return self.disk
        if path.endswith("_abc"):
            return self.disk
        return identified(path)

    def look(self, **more: Any) -> DiskFacts:
        places = Places(self.root / "sys", self.root / "proc", self.root / "dev")
        blocks = Blocks(places, self.identify)
        bin_ = self.root / "bin"
        program(bin_, "wipefs", "echo '{\"signatures\": []}'")
        program(bin_, "cryptsetup", self.says)
        tools = Tools(f"{bin_}:{SYSTEM_PATH}", uid=lambda: 0)
        return self.bench.with_parts(tools=tools, blocks=blocks).look(self.bench.spec(**more))

    says = (
        'case "$1" in --version) echo cryptsetup 2.6.1;; '
        'status) printf "  type: LUKS2\\n  flags:   no_read_workqueue no_write_workqueue\\n";; esac'
    )


def test_an_instance_store_disk(bench: Bench) -> None:
    world = World(bench)
    facts = world.look()
    assert (facts.kind, facts.size, facts.read_only) == ("block", 20 * MIB, False)
    assert not facts.instance_store
    world.put("sys/dev/block/259:1/device/model", "Amazon EC2 NVMe Instance Storage         ")
    world.put("sys/dev/block/259:1/ro", "1")
    facts = world.look()
    assert (facts.model, facts.instance_store) == ("Amazon EC2 NVMe Instance Storage", True)
    assert facts.read_only
    world.put("sys/dev/block/259:1/device/model", "Amazon Elastic Block Store")
    assert not world.look().instance_store
    world.put("dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_abc", "")
    assert world.look().instance_store


def test_a_disk_without_a_medium(bench: Bench) -> None:
    world = World(bench)
    world.put("sys/dev/block/259:1/size", "0")
    assert world.look().kind == "other"


def test_who_else_is_built_on_it(bench: Bench) -> None:
    world = World(bench)
    world.put("sys/dev/block/259:1/holders/dm-4/dm/name", "vg-lv")
    world.put("sys/dev/block/259:1/holders/dm-5/dm/name", "kafka-d1")
    world.put("sys/dev/block/259:1/nvme1n1p1/partition", "1")
    world.put("sys/dev/block/259:1/nvme1n1p1/dev", "259:2")
    world.put("sys/dev/block/259:1/nvme1n1p1/holders/md0/dev", "9:0")
    world.mounts(("259:2", "/part\\040one", "/dev/nvme1n1p1"), ("259:1", "/raw", "/dev/nvme1n1"))
    facts = world.look()
    assert facts.holders == ("/dev/mapper/vg-lv", "/dev/md0")
    assert facts.mounts == ("/part one", "/raw")
    world.put("proc/swaps", f"Filename Type\n{bench.device} partition 1 0 -2")
    assert world.look().mounts == ("/part one", "/raw", "[SWAP]")


def test_its_own_mapping_and_mount(bench: Bench) -> None:
    world = World(bench)
    name = (bench.directory / "sys/dev/block/259:1").name
    luks = f"CRYPT-LUKS2-{UUID.replace('-', '')}-kafka-d1"
    world.mapping("dm-5", "kafka-d1", luks, "253:5", name)
    mountpoint = bench.directory / "mnt"
    mountpoint.mkdir()
    (mountpoint / "meta.properties").write_text("#x\nversion=1\nnode.id=3\ncluster.id=abc\n")
    facts = world.look()
    assert facts.mapping is not None
    assert (facts.mapping.uuid, facts.mapping.device) == (UUID, str(bench.device))
    assert facts.mapping.flags == ("no_read_workqueue", "no_write_workqueue")
    assert (facts.at, facts.beneath, facts.node) == (None, ("meta.properties",), None)
    world.mounts(("8:9", str(mountpoint), "/dev/x"), ("253:5", str(mountpoint), "/dev/dm-5"))
    facts = world.look()
    assert facts.at == Mounted("/dev/mapper/kafka-d1", facts.at.target, "xfs", ("rw", "noatime"))
    assert (facts.beneath, facts.node, facts.mounts) == ((), Node("abc", 3), ())


def test_a_mapping_of_our_name_on_another_disk(bench: Bench) -> None:
    world = World(bench)
    world.mapping("dm-5", "kafka-d1", "CRYPT-PLAIN-kafka-d1", "253:5", "sdz")
    mapping = world.look().mapping
    assert mapping is not None
    assert (mapping.uuid, mapping.device) == ("", "/dev/sdz")


def test_a_file_under_a_loop_device(bench: Bench) -> None:
    world = World(bench)
    world.disk = identified(str(bench.device))
    world.put("sys/block/loop3/loop/backing_file", str(bench.device))
    world.put("sys/block/loop3/dev", "7:3")
    world.put("sys/block/loop3/holders/dm-1/dm/name", "other")
    world.mapping("dm-5", "kafka-d1", f"CRYPT-LUKS2-{UUID}-x", "253:5", "loop3")
    world.mounts(("7:3", "/raw", "/dev/loop3"))
    facts = world.look()
    assert (facts.kind, facts.holders, facts.mounts) == ("file", ("/dev/mapper/other",), ("/raw",))
    assert facts.mapping is not None
    assert facts.mapping.device == str(bench.device)


@pytest.mark.parametrize(
    ("text", "number"),
    [("broker.id=7\ncluster.id=c", 7), ("cluster.id=c", None), ("node.id=x\ncluster.id=c", None)],
)
def test_whose_log_directory_it_is(bench: Bench, text: str, number: int | None) -> None:
    world = World(bench)
    directory = bench.directory / "mnt" / "log"
    directory.mkdir(parents=True)
    (directory / "meta.properties").write_text(text)
    world.mounts(("253:5", str(bench.directory / "mnt"), "/dev/dm-5"))
    assert world.look().node == Node("c", number)


def test_who_uses_a_mountpoint(tmp_path: Path) -> None:
    """Open files, the working directory, and what is mapped into memory after it was closed."""
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mntother").mkdir()
    file = tmp_path / "mnt" / "index"
    file.write_bytes(bytes(4096))
    mapped = (
        "import mmap,os,sys; f=open(sys.argv[1],'r+b'); m=mmap.mmap(f.fileno(),0);"
        "os.closerange(3,64); print(flush=True); sys.stdin.read()"
    )
    waits = "print(flush=True); import sys; sys.stdin.read()"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen((sys.executable, "-c", mapped, str(file)), **pipes) as one,
        subprocess.Popen((sys.executable, "-c", waits), cwd=tmp_path / "mnt", **pipes) as two,
        subprocess.Popen((sys.executable, "-c", waits), cwd=tmp_path / "mntother", **pipes) as no,
    ):
        for process in (one, two, no):
            assert process.stdout is not None
            process.stdout.readline()
        found = users(Path("/proc"), str(tmp_path / "mnt"))
        assert {int(line.split()[0]) for line in found} == {one.pid, two.pid}
        assert all(line.split()[1].startswith("python") for line in found)
        for process in (one, two, no):
            process.communicate()


def test_on_a_broker_no_pydantic_is_needed() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import kafkaops.adapters.luks_disks, kafkaops.adapters.key_process;"
        "print(sorted({'pydantic', 'botocore', 'boto3', 'typer'} & set(sys.modules)))"
    )
    argv = (sys.executable, "-I", "-c", code, ROOT)
    assert subprocess.run(argv, check=True, capture_output=True).stdout == b"[]\n"
