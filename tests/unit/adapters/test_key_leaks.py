"""No key byte outside of the key's process, cryptsetup and the pipe between them: searched for
while each operation stands still inside cryptsetup, and when all is over. Every place that is
searched is seen to be searched: a version built to leak there is found.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kafkaops.adapters.disk_tools import SYSTEM_PATH
from kafkaops.adapters.key_request import Account, Keyed, Request, Use
from kafkaops.ports.disks import Key
from tests.unit.adapters.volume_parts import (
    MIB,
    ROOT,
    STAND_IN,
    needs_cryptsetup,
    program,
    random_key,
)

pytestmark = needs_cryptsetup

DRIVER = str(Path(__file__).parent / "volume_driver.py")
STANDS = """case "$1" in --version|--help|token) exec /usr/sbin/cryptsetup "$@";; esac
echo at >{at}; read go <{go}
exec /usr/sbin/cryptsetup "$@" """


@dataclass
class Guard:
    """The keys by name, and an address that hands them out as KMS would."""

    keys: dict[str, bytes]
    url: str = ""

    def needles(self) -> list[bytes]:
        """Each key as it may be written, whole or half."""
        found = []
        for key in self.keys.values():
            found += [key[:32], key[32:]]
            for half in (key[:32], key[32:]):
                found += [half.hex().encode(), half.hex().upper().encode()]
            found += [base64.b64encode(key)[:40], base64.urlsafe_b64encode(key)[:40]]
        return found

    def found_in(self, text: bytes) -> bool:
        return any(needle in text for needle in self.needles())


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard({"old": random_key(), "new": random_key()})

    class Kms(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(made.keys[name])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Kms)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def tree(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def memory(pid: int) -> bytes:
    """All of a process's memory that may be read."""
    parts = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            begin, end = (int(n, 16) for n in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or "[v" in line:
                continue
            try:
                mem.seek(begin)
                parts.append(mem.read(end - begin))
            except (OSError, OverflowError):
                continue
    return b"".join(parts)


@dataclass
class Searched:
    """Where a key was found, and how many processes were looked into."""

    places: set[str] = field(default_factory=set)
    processes: int = 0


class Scene:
    def __init__(self, directory: Path, guard: Guard) -> None:
        self.directory, self.guard = directory, guard
        self.device = directory / "disk"
        with open(self.device, "wb") as file:
            file.truncate(20 * MIB)
        for name in ("at", "go"):
            os.mkfifo(directory / name)
        script = STANDS.format(at=directory / "at", go=directory / "go")
        program(directory / "bin", "cryptsetup", script)

    def stand_in(self, leak: str) -> list[str]:
        return [sys.executable, STAND_IN, ROOT, leak, str(self.directory)]

    def operation(self, name: str, leak: str = "") -> Searched:
        """Carry it out, searching while cryptsetup is about to begin, and afterwards."""
        asked = {
            "endpoint": self.guard.url,
            "argv": self.stand_in(leak),
            "path": f"{self.directory / 'bin'}:{SYSTEM_PATH}",
            "device": str(self.device),
            "operation": name,
        }
        seen = Searched()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = {**os.environ, "TMPDIR": str(self.directory), "HOME": str(self.directory)}
        argv = (sys.executable, DRIVER, ROOT)
        with subprocess.Popen(argv, **pipes, cwd=self.directory, env=env) as driver:
            assert driver.stdin is not None
            driver.stdin.write(json.dumps(asked).encode())
            driver.stdin.close()
            driver.stdin = None
            (self.directory / "at").read_text()
            self.search(driver.pid, seen)
            (self.directory / "go").write_text("go\n")
            out, err = driver.communicate()
        if self.guard.found_in(out) or self.guard.found_in(err):
            seen.places.add("output")
        self.files(seen)
        assert out or leak, err.decode()
        return seen

    def search(self, root: int, seen: Searched) -> None:
        for pid in tree(root):
            seen.processes += 1
            entry = Path(f"/proc/{pid}")
            if self.guard.found_in((entry / "cmdline").read_bytes()):
                seen.places.add("argument")
            try:
                if self.guard.found_in((entry / "environ").read_bytes()):
                    seen.places.add("environment")
            except PermissionError:  # of a process that does not let itself be looked into
                assert STAND_IN.encode() in (entry / "cmdline").read_bytes()
            others = STAND_IN.encode() not in (entry / "cmdline").read_bytes()
            if others and self.guard.found_in(memory(pid)):
                seen.places.add("memory of others")
        self.files(seen)

    def files(self, seen: Searched) -> None:
        for path in self.directory.rglob("*"):
            if path.is_file() and self.guard.found_in(path.read_bytes()):
                seen.places.add("file")


@pytest.fixture
def scene(tmp_path: Path, guard: Guard) -> Scene:
    return Scene(tmp_path, guard)


def test_every_operation_keeps_its_keys_to_itself(scene: Scene) -> None:
    for name in ("format", "key_opens", "slot_add", "slot_kill"):
        seen = scene.operation(name)
        assert seen.places == set(), name
        assert seen.processes >= 3, "driver, key's process, cryptsetup"


@pytest.mark.parametrize(
    ("leak", "places"),
    [
        ("argument", {"argument", "memory of others"}),
        ("environment", {"environment", "memory of others"}),
        ("file", {"file"}),
        ("answer", {"output"}),
    ],
)
def test_a_version_that_leaks_is_found(scene: Scene, leak: str, places: set[str]) -> None:
    assert scene.operation("format", leak).places == places


@pytest.mark.parametrize("leak", ["", "core"])
def test_killed_with_a_core_wanted_it_leaves_none(scene: Scene, leak: str) -> None:
    """`core` is the process without its hardening."""
    use = Use(Key("wrapped", ciphertext="old"), fresh=True)
    argv = ("cryptsetup", "luksFormat", "--batch-mode", str(scene.device))
    path = {"PATH": f"{scene.directory / 'bin'}:{SYSTEM_PATH}"}
    account = Account(endpoint_url=scene.guard.url)
    request = Request({"key": use}, (Keyed(argv, "key"),), account, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        process = subprocess.Popen(scene.stand_in(leak), stdin=subprocess.PIPE, cwd=scene.directory)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(request)).encode())
    process.stdin.close()
    (scene.directory / "at").read_text()
    children = tree(process.pid)[1:]
    os.kill(process.pid, signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGABRT
    for child in children:
        os.kill(child, signal.SIGABRT)
    assert len(children) == 1
    assert os.WTERMSIG(status) == signal.SIGABRT
    seen = Searched()
    scene.files(seen)
    if not leak:
        assert (os.WCOREDUMP(status), seen.places) == (False, set())
    elif hard != 0 and not Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        assert (os.WCOREDUMP(status), seen.places) == (True, {"file"})


def test_the_search_sees_a_key_in_memory(guard: Guard) -> None:
    """In this process, which knows it."""
    assert guard.found_in(memory(os.getpid()))
