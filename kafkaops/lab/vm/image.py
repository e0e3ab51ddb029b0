"""The virtual machine's kernel and root disk: Debian's own, with a real systemd as process 1.

Invariant: an image is kept under the digest of all that it is made from, and never written to
again: each machine has an overlay of its own above it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from kafkaops.lab.debian import Say, bootstrap, run
from kafkaops.lab.needs import which

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "python3"),
    *("cryptsetup-bin", "xfsprogs", "e2fsprogs", "ca-certificates", "linux-image-cloud-amd64"),
    "openssh-server",  # started by who wants to come in by it: see QUIET
)
# The cloud kernel has NVMe and ext4 built in and mounts its root by itself: no initramfs is made.
ENV = {"INITRD": "No"}
NEEDS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "setpriv": "util-linux",
}
ROOT = Path(__file__).parent / "root"
AGENT = Path(__file__).with_name("agent.py")
UNITS = "etc/systemd/system"
# Work at boot that a machine without users, upgrades and a screen does not need. udevd stays: the
# names of disks are its work.
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "systemd-tmpfiles-clean.timer"),
    *("getty.target", "serial-getty@ttyS0.service", "getty@tty1.service"),
    *("systemd-logind.service", "systemd-networkd.service", "systemd-user-sessions.service"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount"),
    *("proc-sys-fs-binfmt_misc.automount", "modprobe@configfs.service"),
    *("modprobe@drm.service", "modprobe@fuse.service", "modprobe@efi_pstore.service"),
    *("systemd-ask-password-console.path", "systemd-ask-password-wall.path"),
    *("systemd-modules-load.service", "systemd-pstore.service", "systemd-random-seed.service"),
    *("systemd-pcrphase.service", "systemd-pcrphase-sysinit.service"),
    *("systemd-binfmt.service", "systemd-sysusers.service", "systemd-update-utmp.service"),
    "systemd-update-utmp-runlevel.service",
)
# What a package starts at boot and few machines need: `systemctl enable --now` starts it.
QUIET = ("ssh.service",)
FILES = {
    "etc/hostname": "vm-1\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 vm-1\n",
    "etc/machine-id": "6b61666b616f70736c61620000000001\n",
    "etc/fstab": "",
    "etc/resolv.conf": "",  # what it may reach has a number
}
SIZE = 2 << 30
START = 1 << 20  # where the one partition begins
SECTOR = 512
DISK_ID = 0x6B61666B
PARTUUID = f"{DISK_ID:08x}-01"


@dataclass(frozen=True)
class Image:
    """`disk` is raw, with one ext4 partition, found by `PARTUUID` whatever order disks come in."""

    kernel: Path
    disk: Path


def lacking() -> str:
    """Why no virtual machine can be made here; empty if one can."""
    for tool, package in NEEDS.items():
        if which(tool) is None:
            return f"{tool} is missing (apt-get install {package})"
    return "" if os.geteuid() == 0 else "the image of a virtual machine is made by root"


def build(cache: Path, say: Say) -> Image:
    """The image in `cache`, made if it is not there or was made from other parts."""
    tarball = bootstrap(cache, PACKAGES, say, ENV)
    directory = cache / f"vm-{digest(tarball.name)}"
    with open(cache / "vm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            say("making the disk of the virtual machine")
            _make(tarball, directory)
    return Image(directory / "vmlinuz", directory / "disk.img")


def digest(base: str) -> str:
    """Changes with everything that is laid over the base."""
    parts = [base, *MASKED, *QUIET, *(f"{path}={text}" for path, text in FILES.items())]
    parts += [f"{SIZE} {START}", AGENT.read_text()]
    for file in sorted(path for path in ROOT.rglob("*") if path.is_file()):
        parts += [str(file.relative_to(ROOT)), file.read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _make(tarball: Path, directory: Path) -> None:
    part = directory.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    root, disk, log = part / "root", part / "disk.img", directory.parent / "vm.log"
    root.mkdir(parents=True)
    run(["tar", "-C", str(root), "-xpf", str(tarball)], log)
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    shutil.move(kernels[-1], part / "vmlinuz")
    dress(root)
    with open(disk, "wb") as file:
        file.write(partition_table())
        file.truncate(SIZE)
    blocks = f"{(SIZE - START) // 1024}k"
    mkfs = which("mkfs.ext4") or "mkfs.ext4"
    # Nothing is left for later: a kernel thread that writes inode tables would take its time.
    extended = f"offset={START},lazy_itable_init=0,lazy_journal_init=0"
    run([mkfs, "-q", "-F", "-E", extended, "-d", str(root), str(disk), blocks], log)
    shutil.rmtree(root)
    os.replace(part, directory)


def dress(root: Path) -> None:
    """Make a base system into the lab's machine: its files, agent, units; what is masked."""
    shutil.rmtree(root / "boot")
    shutil.copytree(ROOT, root, dirs_exist_ok=True)
    agent = root / "usr/local/sbin/lab-agent"
    agent.parent.mkdir(parents=True, exist_ok=True)
    agent.write_text(AGENT.read_text())
    for path, text in FILES.items():
        (root / path).unlink(missing_ok=True)
        (root / path).write_text(text)
    for unit in MASKED:
        _link(root / UNITS / unit, "/dev/null")
    for unit in QUIET:
        for link in (root / UNITS).glob(f"*.wants/{unit}"):
            link.unlink()
    for file in sorted((ROOT / UNITS).glob("*.service")):
        for target in wanted_by(file.read_text()):
            _link(root / UNITS / f"{target}.wants" / file.name, f"../{file.name}")


def wanted_by(unit: str) -> list[str]:
    """The targets of a unit's [Install] section, which `systemctl enable` would link it to."""
    words = [line.removeprefix("WantedBy=") for line in unit.splitlines() if "WantedBy=" in line]
    return " ".join(words).split()


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def partition_table() -> bytes:
    """An MBR with one Linux partition over the whole disk, and a signature that the kernel can
    find it by. Source: Linux Documentation/admin-guide/devices.rst, `root=PARTUUID=`."""
    entry = struct.pack(
        "<B3sB3sII", 0, b"\0\2\0", 0x83, b"\xff" * 3, START // SECTOR, (SIZE - START) // SECTOR
    )
    return b"\0" * 440 + struct.pack("<IH", DISK_ID, 0) + entry + b"\0" * 48 + b"\x55\xaa"
