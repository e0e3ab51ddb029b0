"""A virtual machine with blank disks: Debian's kernel and systemd, dm-crypt, the host module."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from kafkaops.adapters.installed_module import packed
from kafkaops.engine.errors import OpsError
from kafkaops.lab.vm.host import VmHost
from kafkaops.lab.vm.image import Image
from kafkaops.lab.vm.machine import GATEWAY, Disk, Machine, machine
from kafkaops.volumes.module import COMMAND, install
from tests.integration.real_vm import image_or_skip

pytestmark = [pytest.mark.lab, pytest.mark.soak]

DISKS = (Disk("AWS1"), Disk("AWS2"))
KEY = bytes(range(64))
FORMAT = ("--type", "luks2", "--cipher", "aes-xts-plain64", "--key-size", "512")
FORMAT += ("--sector-size", "4096", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
FED = ("--key-file=-", "--keyfile-size=64")
HELLO = """\
[Unit]
Description=Says what the boot saw
After=systemd-udev-settle.service
Wants=systemd-udev-settle.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "blank disks: $(ls -d %s* | grep -vc _1$$)"'
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
"""
FETCH = """\
import urllib.request
print(urllib.request.urlopen("http://%s:%d/", timeout=20).read().decode())
"""


@pytest.fixture(scope="module")
def image() -> Image:
    return image_or_skip()


class Figures:
    """How long each part took, printed where a test's output is shown."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, what: str) -> None:
        now = time.monotonic()
        print(f"{what}: {now - self._last:.1f} s")
        self._last = now


def must(host: VmHost, *argv: str, stdin: bytes = b"", timeout: float = 300.0) -> str:
    code, out, err = host.command(argv, stdin, timeout)
    assert code == 0, f"{argv}: {err.decode()}"
    return out.decode()


def open_and_mount(host: VmHost, disk: Disk) -> None:
    must(host, "cryptsetup", "open", *FED, disk.path, disk.serial, stdin=KEY)
    must(host, "mkdir", "-p", f"/data/{disk.serial}")
    must(host, "mount", "-o", "noatime", f"/dev/mapper/{disk.serial}", f"/data/{disk.serial}")


@contextmanager
def endpoint() -> Iterator[int]:
    """Something that listens on this machine's loopback, where the lab has its AWS; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"reached")

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_data_on_encrypted_disks_is_there_after_a_reboot(image: Image, tmp_path: Path) -> None:
    figures = Figures()
    with machine(image, tmp_path / "vm", DISKS) as vm, endpoint() as port:
        host = VmHost("vm-1", vm)
        assert vm.settled() == "running", must(host, "systemctl", "--failed", "--no-legend")
        figures.say("boot")

        assert must(host, "cat", "/proc/1/comm") == "systemd\n"
        assert must(host, "python3", "-c", FETCH % (GATEWAY, port)) == "reached\n"
        assert "unreachable" in host.run(("ip", "route", "get", "192.0.2.1")).err

        for disk in DISKS:
            must(host, "cryptsetup", "luksFormat", "-q", *FORMAT, *FED, disk.path, stdin=KEY)
            must(host, "cryptsetup", "open", *FED, disk.path, disk.serial, stdin=KEY)
            must(host, "mkfs.xfs", "-q", "-K", f"/dev/mapper/{disk.serial}")
            must(host, "cryptsetup", "close", disk.serial)
            open_and_mount(host, disk)
            host.put(f"/data/{disk.serial}/log", disk.serial.encode() * 100_000)
        figures.say("two disks formatted, opened, written")

        install(host, packed())
        figures.say("module packed and installed")
        assert must(host, COMMAND, "--version").startswith("kafkaops ")
        figures.say("kafkaops --version")
        host.put("/etc/systemd/system/hello.service", (HELLO % DISKS[0].path[:-1]).encode())
        host.units_reload()
        host.unit_enable("hello")
        first = must(host, "cat", "/proc/sys/kernel/random/boot_id")

        vm.reboot()
        assert vm.settled() == "running"
        figures.say("reboot")
        assert must(host, "cat", "/proc/sys/kernel/random/boot_id") != first
        assert vm.shown("blank disks: 2", timeout=60)
        assert vm.console(every_boot=True).count("Welcome to Debian") == 2
        for disk in DISKS:
            assert host.run(("test", "-e", f"/dev/mapper/{disk.serial}")).code == 1
            open_and_mount(host, disk)
            assert host.read(f"/data/{disk.serial}/log") == disk.serial.encode() * 100_000
        figures.say("opened again and read")
        assert must(host, COMMAND, "--version").startswith("kafkaops ")
        figures.say("kafkaops --version again")

        vm.power_off()
        figures.say("power off")
        assert not vm.on
        with pytest.raises(OpsError, match="not on") as caught:
            vm.run(("true",))
        assert caught.value.code == "KO-VM-OFF"


def test_a_machine_that_cannot_start_says_so_at_once(image: Image, tmp_path: Path) -> None:
    broken = Image(tmp_path / "no-such-kernel", image.disk)
    vm = Machine(broken, tmp_path / "vm")
    with pytest.raises(OpsError, match="no-such-kernel") as caught:
        vm.start(timeout=60)
    assert caught.value.code == "KO-VM-BOOT"


def test_it_is_gone_when_whoever_started_it_is_killed(image: Image, tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from kafkaops.lab.vm.image import Image
from kafkaops.lab.vm.machine import Machine
image = Image(Path({str(image.kernel)!r}), Path({str(image.disk)!r}))
Machine(image, Path({str(tmp_path / "vm")!r})).start()
"""
    starter = subprocess.Popen([sys.executable, "-c", script])
    try:
        qemu = _within(60, lambda: _children(starter.pid))[0]
        # It is QEMU by now, and has its death signal, when it has opened its console.
        _within(60, lambda: (tmp_path / "vm" / "console").exists())
        assert b"qemu" in Path(f"/proc/{qemu}/cmdline").read_bytes()
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait(30)
    _within(60, lambda: not _running(qemu))


def _within(seconds: float, found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
    return value


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
