"""`lab up` and `lab down`: from nothing to healthy, and back to nothing."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import Exit, OpsError, TimedOut, UsageFault
from kafkaops.lab import access, broker, control, kit, needs
from kafkaops.lab.enter import environment
from kafkaops.lab.layout import MARK, WHOLE, Layout, Settings

Say = Callable[[str], None]
UP_TIMEOUT = 180.0
DOWN_TIMEOUT = 60.0
OWN = ("hosts", "kafka", "logs", "bin", "load", "tls", "users")


def up(directory: str | Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Start a lab and wait until it is healthy; its status.

    A lab that is up already with the same settings is left as it is. Errors: ConfigError
    (needs, downloads), UsageFault (a directory that is not a lab's), OpsError with exit GUARD
    (another lab runs there) or UNEXPECTED (something ended while starting, with its log).
    """
    layout = Layout.of(directory)
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageFault(
            "KO-LAB-DIR",
            f"the lab's directory cannot be made: {error.strerror}",
            where=str(layout.root),
            hint="name a new directory with --dir",
        ) from error
    with _only_one(layout):
        if control.listener_pid(layout.socket) is not None:
            return _already(layout, settings, say)
        _claim(layout)
        needs.check(len(settings.hosts()) + settings.zookeeper, mirror=not settings.single)
        for version in dict.fromkeys(settings.version(colour) for colour in settings.colours):
            kit.fetch(version, say)
            if not settings.zookeeper:
                broker.template(version, say)
        # The load and the mirror run inside, where nothing can be fetched any more.
        for version in kit.CLIENTS:
            kit.fetch(version, say)
        kit.ecj(say)
        broker.homes(layout, settings, say)
        access.prepare(layout, settings)
        layout.save(settings)
        launcher = _launch(layout)
        return _await(layout, launcher, say)


def down(directory: str | Path, say: Say) -> bool:
    """End the lab and everything in it; False when none was up."""
    layout = Layout.of(directory)
    pid = control.listener_pid(layout.socket)
    if pid is None:
        return False
    # The pid namespace's first process ends last, when every other one is gone.
    watch = os.pidfd_open(_parent(pid))
    try:
        control.call(layout.socket, "shutdown")
        say("ending the lab")
        if not select.select([watch], [], [], DOWN_TIMEOUT)[0]:
            os.kill(pid, 9)  # the namespace goes with it
            raise TimedOut("KO-LAB-STUCK", f"the lab did not end in {DOWN_TIMEOUT:.0f} s: killed")
    finally:
        os.close(watch)
    return True


def _parent(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("PPid:"):
            return int(line.split()[1])
    raise ValueError(f"no parent of {pid}")


def _already(layout: Layout, settings: Settings, say: Say) -> dict[str, Any]:
    running = layout.settings()
    if running != settings:
        raise OpsError(
            "KO-LAB-IN-USE",
            f"another lab is up in this directory, with other settings ({running})",
            where=str(layout.root),
            hint=f"kafkaops lab down --dir {layout.root}, or another --dir",
            exit=Exit.GUARD,
        )
    say("the lab is already up")
    return control.call(layout.socket, "status")


def _claim(layout: Layout) -> None:
    """Remove what an earlier lab left here; refuse a directory that is something else."""
    present = {entry.name for entry in layout.root.iterdir()} - {"up.lock"}
    if present and MARK not in present:
        raise UsageFault(
            "KO-LAB-DIR",
            f"the directory holds other things than a lab ({', '.join(sorted(present)[:3])})",
            where=str(layout.root),
            hint="name a new directory with --dir",
        )
    for name in OWN:
        shutil.rmtree(layout.root / name, ignore_errors=True)


def _launch(layout: Layout) -> subprocess.Popen[bytes]:
    env = environment(layout)
    env["PATH"] = f"{env.get('PATH', '')}:{needs.SBIN}"
    with open(layout.root / "supervisor.log", "wb") as log:
        return subprocess.Popen(
            [*needs.NAMESPACE, sys.executable, "-m", "kafkaops.lab.supervisor", str(layout.root)],
            env=env,
            stdin=subprocess.PIPE,  # until it is whole, the lab ends with this process
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _await(layout: Layout, launcher: subprocess.Popen[bytes], say: Say) -> dict[str, Any]:
    said = 0
    deadline = time.monotonic() + UP_TIMEOUT
    try:
        while True:
            if launcher.poll() is not None:
                raise _failed(layout, f"the lab ended with code {launcher.returncode}")
            status = _status(layout)
            for line in status.get("progress", [])[said:]:
                say(line)
                said += 1
            if status.get("state") == "ready":
                assert launcher.stdin is not None
                launcher.stdin.write(WHOLE)
                launcher.stdin.close()
                return status
            if status.get("state") == "failed":
                raise _failed(layout, status["error"])
            if time.monotonic() > deadline:
                raise _failed(layout, f"the lab was not healthy in {UP_TIMEOUT:.0f} s")
            time.sleep(0.1)
    except BaseException:
        # Half a lab is no lab. The launcher's death takes everything along (--kill-child).
        launcher.kill()
        launcher.wait(10)
        raise


def _status(layout: Layout) -> dict[str, Any]:
    if control.listener_pid(layout.socket) is None:
        return {}
    return control.call(layout.socket, "status")


def _failed(layout: Layout, reason: str) -> OpsError:
    return OpsError(
        "KO-LAB-FAILED",
        reason,
        where=str(layout.root),
        hint=f"see {layout.root / 'supervisor.log'} and hosts/*/logs",
    )


@contextmanager
def _only_one(layout: Layout) -> Iterator[None]:
    with open(layout.root / "up.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OpsError(
                "KO-LAB-IN-USE",
                "another `lab up` is at work in this directory",
                where=str(layout.root),
                exit=Exit.LOCKED,
            ) from None
        yield
