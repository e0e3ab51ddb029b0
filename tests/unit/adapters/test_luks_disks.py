"""What needs device-mapper, on stubs of the tools: which commands are run, and which are not.
A virtual machine runs the same with a kernel that has dm-crypt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kafkaops.adapters.disk_blocks import Blocks, Identity, Places
from kafkaops.adapters.disk_mounts import immutable
from kafkaops.adapters.disk_tools import SYSTEM_PATH, Tools
from kafkaops.adapters.key_caller import KeyCaller
from kafkaops.adapters.key_request import Account
from kafkaops.adapters.luks_disks import LuksDisks
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.ports.disks import Key
from kafkaops.volumes.closing import UNREAD
from tests.unit.adapters.volume_parts import (
    ROOT,
    STAND_IN,
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

LUKS = f"CRYPT-LUKS2-{UUID.replace('-', '')}-kafka-d1"
TOOLS = ("cryptsetup", "losetup", "mount", "umount", "wipefs", "mkfs.xfs", "mkfs.ext4")


class Host:
    """Stubs that write down how they were called, in front of nothing: no other tool is found.
    `says` is what a stub does besides."""

    def __init__(self, bench: Bench, *, loop: bool = False) -> None:
        self.bench, self.root, self.loop = bench, bench.directory, loop
        self.says("cryptsetup", '[ "$1" = --version ] && echo cryptsetup 2.6.1; exit 0')
        self.says("losetup", '[ "$1" = --find ] && echo /dev/loop7; exit 0')
        self.says("wipefs", 'echo "{}"')
        for name in ("mount", "umount", "mkfs.xfs", "mkfs.ext4"):
            self.says(name, "exit 0")
        self.mounts()
        tools = Tools(str(self.root / "bin"), uid=lambda: 0)
        parts = (self.root / name for name in ("sys", "proc", "dev", "systemd"))
        places = Places(*parts)
        argv = (sys.executable, STAND_IN, ROOT)
        keys = KeyCaller(Account(), argv=argv, warn=bench.warnings.append)
        blocks = Blocks(places, self.identify)
        self.disks = LuksDisks(Account(), keys=keys, tools=tools, blocks=blocks)

    def identify(self, path: str) -> Identity:
        if not Path(path).exists():
            return Identity("absent")
        return Identity("file", size=1) if self.loop else Identity("block", "259:1")

    def says(self, name: str, script: str) -> None:
        log = self.root / "log"
        program(self.root / "bin", name, f'echo "{name} $*" >>{log}\n{script}')

    def ran(self) -> list[str]:
        """What was run, but for the question for the version; then forgotten."""
        log = self.root / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if "--version" not in line]

    def open(self, uuid: str = LUKS) -> None:
        dm = self.root / "sys" / "block" / "dm-5"
        (dm / "dm").mkdir(parents=True, exist_ok=True)
        (dm / "dm" / "name").write_text("kafka-d1\n")
        (dm / "dm" / "uuid").write_text(uuid)
        (dm / "dev").write_text("253:5\n")

    def mounts(self, *rows: str) -> None:
        file = self.root / "proc" / "self" / "mountinfo"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{row}\n" for row in rows))

    def mounted(self, number: str = "253:5") -> None:
        self.mounts(f"1 0 {number} / {self.root / 'mnt'} rw - xfs /dev/whatever rw")


PERF = ("no_read_workqueue", "no_write_workqueue")
STORED = "--perf-no_read_workqueue --perf-no_write_workqueue --persistent "


@needs_cryptsetup
@pytest.mark.parametrize(("perf", "flags"), [((), ""), (PERF, STORED)])
def test_open(made: Bench, key: bytes, perf: tuple[str, ...], flags: str) -> None:
    host, spec = Host(made), made.spec(perf=perf)
    host.disks.open(spec, wrapped(key))
    handed = "--key-file=- --keyfile-size=64"
    assert host.ran() == [f"cryptsetup open --type luks {flags}{spec.device} kafka-d1 {handed}"]
    host.open()
    host.disks.open(spec, wrapped(key))
    assert host.ran() == [], "open already"


@needs_cryptsetup
def test_open_with_a_key_that_is_refused_or_where_another_has_the_name(
    made: Bench, key: bytes
) -> None:
    host = Host(made)
    for code, named in ((2, "KO-VOLUME-KEY-REFUSED"), (5, "KO-VOLUME-BUSY"), (1, "KO-VOLUME-TOOL")):
        host.says("cryptsetup", f'[ "$1" = --version ] && echo cryptsetup 2.6.1 || exit {code}')
        host.open("CRYPT-LUKS2-00000000000000000000000000000000-kafka-d1")
        with pytest.raises(StepFailed) as failed:
            host.disks.open(made.spec(), wrapped(key))
        assert failed.value.code == named


@needs_cryptsetup
@pytest.mark.parametrize("fails", [False, True])
def test_a_file_is_opened_on_a_loop_device_that_goes_with_it(
    made: Bench, key: bytes, fails: bool
) -> None:
    host, spec = Host(made, loop=True), made.spec()
    if fails:
        host.says("cryptsetup", '[ "$1" = --version ] && echo cryptsetup 2.6.1 || exit 2')
        with pytest.raises(StepFailed):
            host.disks.open(spec, wrapped(key))
    else:
        host.disks.open(spec, wrapped(key))
    ran = host.ran()
    assert ran[0] == f"losetup --find --show -- {spec.device}"
    assert "/dev/loop7 kafka-d1" in ran[2]
    assert ran[-1] == "losetup --detach /dev/loop7"
    left = host.root / "sys" / "block" / "loop3" / "loop"
    left.mkdir(parents=True)
    (left / "backing_file").write_text(f"{spec.device}\n")
    host.says("cryptsetup", '[ "$1" = --version ] && echo cryptsetup 2.6.1; exit 0')
    host.disks.open(spec, wrapped(key))
    assert [line.split()[0] for line in host.ran()] == ["cryptsetup", "losetup"], "taken again"


def test_format_and_open_hand_over_one_key(bench: Bench) -> None:
    host, spec = Host(bench), bench.spec()
    keep = f"""case "$1" in --version) echo cryptsetup 2.6.1;; token) ;;
    *) /bin/cat >>{host.root}/handed;
    while [ "$1" != --header ]; do shift; done; /usr/bin/truncate -s 16M "$2"; esac"""
    host.says("cryptsetup", keep)
    host.disks.format_and_open(spec, UUID, Key("ephemeral"), TOKEN)
    assert [line.split()[1] for line in host.ran()] == ["luksFormat", "open", "token"]
    handed = (host.root / "handed").read_bytes()
    assert len(handed) == 128
    assert handed[:64] == handed[64:] != bytes(64)


def test_after_a_format_that_failed_nothing_is_opened(bench: Bench) -> None:
    host = Host(bench)
    host.says("cryptsetup", '[ "$1" = --version ] && echo cryptsetup 2.6.1 && exit; exit 4')
    with pytest.raises(StepFailed, match="cryptsetup luksFormat"):
        host.disks.format_and_open(bench.spec(), UUID, Key("ephemeral"), TOKEN)
    assert len(host.ran()) == 1


def test_what_is_open_is_neither_formatted_nor_zeroed(bench: Bench, key: bytes) -> None:
    host = Host(bench)
    host.open()
    bench.write(0, b"precious")
    for call in (
        lambda: host.disks.format(bench.spec(), UUID, wrapped(key), TOKEN),
        lambda: host.disks.format_and_open(bench.spec(), UUID, wrapped(key), TOKEN),
        lambda: host.disks.zero(bench.spec()),
    ):
        with pytest.raises(StepFailed) as busy:
            call()
        assert busy.value.code == "KO-VOLUME-BUSY"
    assert (host.ran(), bench.read()[:8]) == ([], b"precious")


def test_close(bench: Bench) -> None:
    host = Host(bench)
    host.disks.close(bench.spec())
    assert host.ran() == [], "not open"
    host.open()
    host.disks.close(bench.spec())
    assert host.ran() == ["cryptsetup close kafka-d1"]
    host.says("cryptsetup", '[ "$1" = --version ] && echo cryptsetup 2.6.1 || exit 5')
    with pytest.raises(StepFailed) as busy:
        host.disks.close(bench.spec())
    assert busy.value.code == "KO-VOLUME-BUSY"


def test_a_disk_that_does_not_read_is_told_by_its_mapping_and_mount(bench: Bench) -> None:
    host, spec = Host(bench), bench.spec()
    host.says("wipefs", "echo Input/output error >&2; exit 1")
    nothing = host.disks.glance(spec)
    assert (nothing.mapping, nothing.at) == (None, None)
    host.open()
    host.mounted()
    with pytest.raises(StepFailed) as unread:
        host.disks.look(spec)
    assert unread.value.code in UNREAD
    host.ran()
    found = host.disks.glance(spec)
    assert host.ran() == []
    assert found.mapping is not None
    assert (found.mapping.name, found.mapping.uuid) == ("kafka-d1", UUID)
    assert found.at is not None
    assert found.at.source == "/dev/mapper/kafka-d1"


@pytest.mark.parametrize(("kind", "argv"), [("xfs", "-q -K"), ("ext4", "-q -E nodiscard")])
def test_a_file_system_is_made_once(bench: Bench, kind: str, argv: str) -> None:
    host, spec = Host(bench), bench.spec(filesystem=kind)
    with pytest.raises(StepFailed) as locked:
        host.disks.make_filesystem(spec)
    assert locked.value.code == "KO-VOLUME-LOCKED"
    host.open()
    row = '{"signatures":[{"offset":"0x0","type":"xfs"}]}'
    host.says("wipefs", f"echo '{row}'")
    with pytest.raises(StepFailed, match="holds xfs already") as there:
        host.disks.make_filesystem(spec)
    assert there.value.code == "KO-VOLUME-SIGNATURE"
    assert not [line for line in host.ran() if line.startswith("mkfs")]
    host.says("wipefs", "echo '{}'")
    host.disks.make_filesystem(spec)
    assert host.ran()[-1] == f"mkfs.{kind} {argv} /dev/mapper/kafka-d1"


def test_mount_and_unmount(bench: Bench) -> None:
    host, spec, mountpoint = Host(bench), bench.spec(), bench.directory / "mnt"
    host.open()
    able = made_immutable(bench.directory / "other")
    if able is None:  # who runs this may not: then nothing is mounted on what a broker could fill
        with pytest.raises(StepFailed, match="cannot be made immutable"):
            host.disks.mount(spec)
        assert host.ran() == []
        return
    try:
        host.disks.mount(spec)
        assert host.disks.look(spec).immutable is able
    finally:
        thaw(mountpoint)
    ran = [line for line in host.ran() if line.startswith(("mount", "umount"))]
    assert ran == [f"mount -t xfs -o noatime /dev/mapper/kafka-d1 {mountpoint}"]
    host.disks.unmount(spec)
    assert host.ran() == [], "not mounted"
    host.mounted()
    host.disks.mount(spec)
    assert host.ran() == [], "mounted already"
    with pytest.raises(StepFailed):
        host.disks.unmount(spec)  # the stub leaves it there
    assert host.ran() == [f"umount {mountpoint}"]


def test_what_is_not_ours_is_not_unmounted_nor_covered(bench: Bench) -> None:
    host = Host(bench)
    host.open()
    host.mounted("8:1")
    for call in (host.disks.mount, host.disks.unmount):
        with pytest.raises(StepFailed, match="not this volume"):
            call(bench.spec())
    assert host.ran() == []


def test_unmount_says_who_hinders_it(bench: Bench) -> None:
    host = Host(bench)
    host.open()
    host.mounted()
    host.says("umount", "echo target is busy. >&2; exit 32")
    entry = host.root / "proc" / "412"
    (entry / "fd").mkdir(parents=True)
    (entry / "comm").write_text("java\n")
    (entry / "fd" / "7").symlink_to(host.root / "mnt" / "t-0" / "0.log")
    with pytest.raises(StepFailed, match="412 java") as busy:
        host.disks.unmount(bench.spec())
    assert busy.value.code == "KO-VOLUME-BUSY"


def test_systemd_hears_of_a_closed_volume_where_it_takes_it_for_open(bench: Bench) -> None:
    host, spec = Host(bench), bench.spec()
    host.disks.unit_closed(spec)
    assert host.ran() == [], "no systemd here"
    (host.root / "systemd").mkdir()
    asked = f"systemctl is-active --quiet {spec.unit}"
    host.says("systemctl", '[ "$1" = stop ]')
    host.disks.unit_closed(spec)
    assert host.ran() == [asked], "not active: stopping, or not there"
    host.says("systemctl", "exit 0")
    host.disks.unit_closed(spec)
    assert host.ran() == [asked, f"systemctl stop --job-mode=ignore-dependencies {spec.unit}"]


def test_a_process_that_does_not_answer(bench: Bench, key: bytes) -> None:
    for argv, said in (
        ((sys.executable, "-c", "raise SystemExit('oh no')"), "oh no"),
        ((sys.executable, "-c", "pass"), "exit code 0"),
        ((sys.executable, "-c", "print('[')"), "exit code 0"),
    ):
        host = Host(bench)
        keys = KeyCaller(Account(), argv=argv)
        disks = LuksDisks(Account(), keys=keys, tools=host.disks._tools, blocks=host.disks._blocks)
        with pytest.raises(StepFailed, match=said) as failed:
            disks.format(bench.spec(), UUID, wrapped(key), TOKEN)
        assert failed.value.code == "KO-VOLUME-KEY-PROCESS"


def test_an_error_in_the_key_process_keeps_its_code_and_tells_no_words_of_others(
    bench: Bench,
) -> None:
    host = Host(bench)
    with pytest.raises(ConfigError) as refused:
        host.disks.format(bench.spec(), UUID, in_s3(b"pass\n"), TOKEN)
    assert refused.value.code == "KO-VOLUME-KEY-NEWLINE"
    assert refused.value.hint
    secret = random_key().hex()
    with pytest.raises(StepFailed) as failed:
        host.disks.format(bench.spec(), UUID, Key("s3", object=f"s3://no hex {secret}"), TOKEN)
    assert failed.value.code == "KO-VOLUME-KEY-PROCESS"
    assert failed.value.message == "the key could not be handled: ValueError"


def chattr(sign: str, directory: Path) -> bytes:
    argv = ("chattr", f"{sign}i", str(directory))
    env = {"PATH": SYSTEM_PATH, "LC_ALL": "C"}
    return subprocess.run(argv, capture_output=True, env=env, check=False).stderr


def made_immutable(directory: Path) -> bool | None:
    """Whether the file system here knows that attribute; None where this user may not set it."""
    directory.mkdir()
    said = chattr("+", directory)
    thaw(directory)
    return None if b"not permitted" in said else not said


def thaw(directory: Path) -> None:
    """Let the test's own directory be removed again."""
    if immutable(str(directory)):
        assert chattr("-", directory) == b""
