"""Entering a lab's private network: the same command, the same process id, another world.

The user, network and mount namespaces are joined and not the pid namespace, so nothing need fork:
a process that enters keeps its pid, its terminal and its signals. This process joins by itself
(setns(2)) where the kernel lets it, which takes a single thread; else it begins anew behind
`nsenter`, at the price of a second start. Other programs always enter behind `nsenter`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from kafkaops.engine.errors import ConfigError, UsageFault
from kafkaops.lab import control
from kafkaops.lab.layout import AWS, REGION, Layout, not_up
from kafkaops.lab.needs import missing_tool

INSIDE = "KAFKAOPS_LAB_INSIDE"
NAMESPACES = ("user", "net", "mnt")


def inside() -> str:
    """The directory of the lab that this process is in; empty outside."""
    return os.environ.get(INSIDE, "")


def enter(lab_dir: str | Path) -> None:
    """Be inside when this returns, or replace this process by itself, inside.

    ConfigError when no lab is up there, when this process is in another lab, or when
    `nsenter` is missing.
    """
    layout = Layout.of(lab_dir)
    if _there(layout) or _join(layout):
        return
    argv = [sys.executable, *sys.orig_argv[1:]]
    os.execvpe("nsenter", command(layout, argv), environment(layout))


def _join(layout: Layout) -> bool:
    """Whether this very process could join; False leaves it as it was."""
    pid = _listening(layout)
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.getcwd()
    held: list[int] = []
    try:
        held += (os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in NAMESPACES)
        for position, fd in enumerate(held):
            if libc.setns(fd, 0) == 0:
                continue
            if position == 0:  # the user's first: with another thread, or no right to it
                return False
            number = ctypes.get_errno()
            raise ConfigError(
                "KO-LAB-ENTER",
                f"cannot join the lab's {NAMESPACES[position]} namespace: {os.strerror(number)}",
                where=str(layout.root),
                hint="kafkaops lab down, then kafkaops lab up",
            )
    except PermissionError:
        return False
    except FileNotFoundError:  # it ended just now
        raise not_up(layout.root) from None
    finally:
        for fd in held:
            os.close(fd)
    os.chdir(here)  # joining a mount namespace moves to its root
    inside_of = environment(layout)
    os.environ.clear()
    os.environ.update(inside_of)
    return True


def _listening(layout: Layout) -> int:
    pid = control.listener_pid(layout.socket)
    if pid is None:
        raise not_up(layout.root)
    return pid


def become(lab_dir: str | Path, argv: Sequence[str]) -> None:
    """Replace this process by `argv`, inside."""
    layout = Layout.of(lab_dir)
    line = list(argv) if _there(layout) else command(layout, argv)
    try:
        os.execvpe(line[0], line, environment(layout))
    except FileNotFoundError:
        raise UsageFault("KO-USAGE", f"no such command: {line[0]}") from None


def run_inside(
    lab_dir: str | Path,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    text: bool = True,
) -> subprocess.Popen[Any]:
    """Start a command inside the lab, in the current directory; its pid is the command's."""
    layout = Layout.of(lab_dir)
    line = list(argv) if _there(layout) else command(layout, argv)
    return subprocess.Popen(
        line,
        env={**environment(layout), **(env or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=text,
    )


def _there(layout: Layout) -> bool:
    """Whether this process is in that lab; in another one it could only reach the wrong hosts."""
    here = inside()
    if here and Path(here).resolve() != layout.root.resolve():
        raise ConfigError(
            "KO-LAB-OTHER",
            f"this shell is inside the lab in {here}, and the command means another",
            where=str(layout.root),
            hint="leave the lab's shell first",
        )
    return bool(here)


def command(layout: Layout, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` inside, by way of `exec` all along."""
    if shutil.which("nsenter") is None:
        raise missing_tool("nsenter")
    pid = _listening(layout)
    # Joining a mount namespace moves to its root, so the shell goes back where we were.
    return [
        *("nsenter", "--target", str(pid), "--user", "--net", "--mount"),
        *("--preserve-credentials", "--"),
        *("sh", "-c", 'cd "$0" && exec "$@"', os.getcwd(), *argv),
    ]


def environment(layout: Layout) -> dict[str, str]:
    """This environment for inside: emulated AWS, and never the operator's own credentials."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("AWS_") and not key.lower().endswith("_proxy")
    }
    return env | {
        INSIDE: str(layout.root),
        "AWS_ACCESS_KEY_ID": "lab",
        "AWS_SECRET_ACCESS_KEY": "lab",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://{AWS[0]}:{AWS[1]}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
