"""A virtual machine: started, rebooted, switched off, crashed; its disks stay until it is gone.

Invariants: it ends with whoever started it, kill -9 included; it reaches nothing but itself and,
at `GATEWAY`, this machine's loopback (the root that runs there has no route to elsewhere), and is
reached from this machine's loopback alone; every wait is bounded, and what went wrong is told with
the end of the console.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kafkaops.engine.errors import Exit, OpsError
from kafkaops.lab.debian import run
from kafkaops.lab.needs import which
from kafkaops.lab.vm.image import PARTUUID, Image
from kafkaops.lab.vm.link import Link, Silent

GATEWAY = "10.0.2.2"
ADDRESS = "10.0.2.15"
PORT = "lab.agent"
BY_ID = "/dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_"
BOOT = 900.0  # seconds; on two free processors it takes some twenty
DOWN = 300.0
ESCAPES = re.compile(r"\x1b(M|[()][A-Z0-9]|\[[0-9;?]*[A-Za-z])")
MOVING = re.compile(r"\[[ *]{6}\] .* running \(")
TAIL = 15  # lines of the console in an error
# TERM=dumb: no colours on the console, which is a file to be read.
KERNEL = (
    *(f"root=PARTUUID={PARTUUID}", "rootfstype=ext4", "rw", "console=ttyS0", "net.ifnames=0"),
    *("systemd.show_status=1", "TERM=dumb", "udev.event_timeout=900", "loglevel=4"),
    *("mitigations=off", "cryptomgr.notests"),
)


@dataclass(frozen=True)
class Disk:
    """A blank NVMe disk of `size` bytes, which udev there also calls an instance store of EC2."""

    serial: str = "AWS1"
    size: int = 512 << 20

    def __post_init__(self) -> None:
        if not self.serial.startswith("AWS"):
            raise ValueError(f"serial {self.serial}: those of EC2 begin with AWS")

    @property
    def path(self) -> str:
        return BY_ID + self.serial


@dataclass(frozen=True)
class Forward:
    """A TCP port of this machine's loopback that leads to a port of the virtual one."""

    address: str
    port: int
    to: int

    def __post_init__(self) -> None:
        if not self.address.startswith("127."):
            raise ValueError(f"address {self.address}: nobody but this machine is to get in")

    def __str__(self) -> str:
        return f"hostfwd=tcp:{self.address}:{self.port}-{ADDRESS}:{self.to}"


@dataclass(frozen=True)
class Extras:
    """What few machines have: ports that lead in, and a file system image, read only there, at
    `/dev/disk/by-id/virtio-shared`."""

    forwards: tuple[Forward, ...] = ()
    shared: Path | None = None


NOTHING = Extras()


def command(
    image: Image,
    directory: Path,
    disks: Sequence[Disk],
    memory: int,
    fd: int,
    extras: Extras = NOTHING,
) -> list[str]:
    """QEMU's command line. `memory` in MiB; `fd` is the agent's end of a pair of sockets."""
    drives = [("root", "root", f"{directory / 'root.qcow2'},format=qcow2")]
    drives += [(d.serial, d.serial, f"{file_of(directory, d)},format=raw") for d in disks]
    line = ["setpriv", "--pdeathsig", "KILL", which("qemu-system-x86_64") or "qemu-system-x86_64"]
    # All of `max`: with svm=off no unit of QEMU 7.2's machine got a mount namespace (EBUSY).
    line += ["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", str(memory), "-M", "q35"]
    line += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    line += ["-kernel", str(image.kernel), "-append", " ".join(KERNEL)]
    line += ["-chardev", f"file,id=console,path={directory / 'console'},append=on"]
    line += ["-serial", "chardev:console"]
    for name, serial, file in drives:
        line += ["-drive", f"if=none,id={name},file={file}"]
        line += ["-device", f"nvme,drive={name},serial={serial}"]
    if extras.shared is not None:
        line += ["-drive", f"if=none,id=shared,file={extras.shared},format=raw,readonly=on"]
        line += ["-device", "virtio-blk-pci,drive=shared,serial=shared"]
    network = ",".join(("user,id=net,ipv6=off", *map(str, extras.forwards)))
    line += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="]
    line += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
    line += ["-chardev", f"socket,id=agent,fd={fd}"]
    return [*line, "-device", f"virtserialport,chardev=agent,name={PORT}"]


def file_of(directory: Path, disk: Disk) -> Path:
    return directory / f"disk-{disk.serial}.img"


def readable(written: bytes) -> str:
    """A console's lines without what moves a cursor, and without systemd's moving line about a
    job that takes long."""
    text = ESCAPES.sub("", written.decode(errors="replace").replace("\r", ""))
    return "".join(line for line in text.splitlines(True) if not MOVING.match(line))


class Machine:
    """One machine and its files in `directory`. Not started when made. `start` from a thread that
    stays: the machine ends with the thread that started it."""

    def __init__(
        self,
        image: Image,
        directory: Path,
        disks: Sequence[Disk] = (),
        memory: int = 1024,
        extras: Extras = NOTHING,
    ) -> None:
        self.directory, self.disks = directory.absolute(), tuple(disks)
        self._image, self._memory, self._extras = image, memory, extras
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Link | None = None
        self._console_from = 0
        self.directory.mkdir(parents=True, exist_ok=True)
        overlay = ("-f", "qcow2", "-F", "raw", "-b", str(image.disk.absolute()))
        qemu_img = which("qemu-img") or "qemu-img"
        line = [qemu_img, "create", "-q", *overlay, str(self.directory / "root.qcow2")]
        run(line, self.directory / "qemu-img.log")
        for disk in self.disks:
            with open(file_of(self.directory, disk), "wb") as file:
                file.truncate(disk.size)

    @property
    def on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = BOOT) -> None:
        """Switch it on and wait until it takes commands. KO-VM-BOOT where it does not."""
        if self.on:
            return
        ours, its = socket.socketpair()
        self._console_from = len(self._written())
        with its, open(self.directory / "qemu.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(its.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(its.fileno(),),
            )
        self._link = Link(ours)
        try:
            self._link.wait(timeout, lambda: self.on)
        except Silent:
            why = f"takes no commands after {timeout:g} s" if self.on else "ended while it started"
            raise self._fault("KO-VM-BOOT", f"the virtual machine {why}") from None

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0
    ) -> tuple[int, bytes, bytes]:
        """A command there as root: exit code, stdout, stderr. KO-VM-SILENT without an answer."""
        if self._link is None or not self.on:
            raise self._fault("KO-VM-OFF", "the virtual machine is not on")
        try:
            return self._link.run(argv, stdin, timeout)
        except Silent:
            said = f"no answer to {argv[0]} within {timeout:g} s"
            raise self._fault("KO-VM-SILENT", said) from None

    def settled(self, timeout: float = BOOT) -> str:
        """systemd's word for the whole when nothing is being started any more: `running`, or
        `degraded` where a unit failed. Source: systemctl(1), is-system-running."""
        _, out, _ = self.run(("systemctl", "is-system-running", "--wait"), timeout=timeout)
        return out.decode().strip()

    def reboot(self, timeout: float = BOOT) -> None:
        """Shut down in good order and start again; returns when it takes commands."""
        self.power_off()
        self.start(timeout)

    def power_off(self, timeout: float = DOWN) -> None:
        """Shut down in good order. KO-VM-DOWN if it does not end; off already is success."""
        if not self.on or self._process is None:
            return
        with contextlib.suppress(OpsError):  # it may be gone before it answers
            self.run(("systemctl", "poweroff", "--no-block"), timeout=timeout)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            said = f"the virtual machine is not down after {timeout:g} s"
            raise self._fault("KO-VM-DOWN", said) from None
        self._forget()

    def kill(self) -> None:
        """As if its power were cut: nothing is written any more. Off already is success."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
        self._forget()

    def console(self, *, every_boot: bool = False) -> str:
        """What the console showed since the last start, or since the first."""
        return readable(self._written()[0 if every_boot else self._console_from :])

    def shown(self, text: str, timeout: float = BOOT) -> str:
        """The console's first line of this boot with that text. KO-VM-CONSOLE if none comes."""
        deadline = time.monotonic() + timeout
        while True:
            alive = self.on and time.monotonic() < deadline
            for line in self.console().splitlines():
                if text in line:
                    return line
            if not alive:
                raise self._fault("KO-VM-CONSOLE", f"the console does not show {text!r}")
            time.sleep(0.2)

    def _command(self, fd: int) -> list[str]:
        return command(self._image, self.directory, self.disks, self._memory, fd, self._extras)

    def _written(self) -> bytes:
        try:
            return (self.directory / "console").read_bytes()
        except FileNotFoundError:
            return b""

    def _forget(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = self._process = None

    def _fault(self, code: str, message: str) -> OpsError:
        shown = self.console().splitlines() or self._complaint()
        return OpsError(
            code,
            "\n".join((message, *shown[-TAIL:])),
            where=str(self.directory / "console"),
            exit=Exit.TIMEOUT,
        )

    def _complaint(self) -> list[str]:
        log = self.directory / "qemu.log"
        return log.read_text(errors="replace").splitlines() if log.exists() else []


@contextlib.contextmanager
def machine(
    image: Image,
    directory: Path,
    disks: Sequence[Disk] = (),
    memory: int = 1024,
    extras: Extras = NOTHING,
) -> Iterator[Machine]:
    """A machine that is on, and gone at the end, as if its power were cut."""
    made = Machine(image, directory, disks, memory, extras)
    try:
        made.start()
        yield made
    finally:
        made.kill()
