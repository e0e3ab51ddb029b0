"""A container engine of its own: Debian's dockerd on a private socket, without any network.

Run as `unshare ... python -m kafkaops.lab.hosts.engine DIR`. Invariant: it lives in mount and
process namespaces of its own, and as long as the pipe from whoever started it is open. So
whatever ends that one, kill -9 included, ends the engine and every container, and no mount or
process stays behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from kafkaops.engine.errors import ConfigError, Exit, OpsError
from kafkaops.lab.supervisor import reap

# Debian's own: another `docker` earlier in the path may be of another kind.
DOCKER = "/usr/bin/docker"
DOCKERD = "/usr/sbin/dockerd"
PACKAGES = {DOCKER: "docker.io", DOCKERD: "docker.io", "debootstrap": "debootstrap"}
SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
START = 60.0
STOP = 40.0
CGROUPS = Path("/sys/fs/cgroup")


def lacking() -> str:
    """Why there can be no such hosts on this machine; empty if there can."""
    if os.geteuid() != 0:
        return "hosts as containers need root"
    for tool, package in PACKAGES.items():
        if shutil.which(tool, path=SBIN) is None:
            return f"{tool} is missing (apt-get install {package})"
    return ""


class Engine:
    """Started by `with`. `directory` keeps its images between runs, one run at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.socket = self.directory / "docker.sock"
        self.cgroup = f"/kafkaops-hosts-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def docker(self, *argv: str, timeout: float = 60.0) -> str:
        """Debian's docker client on this engine; its output. ConfigError if it fails."""
        done = subprocess.run(
            [DOCKER, "-H", self.url, *argv],
            env={"PATH": SBIN, "HOME": str(self.directory), "DOCKER_BUILDKIT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigError(
                "KO-LAB-HOSTS", f"docker {argv[0]}: {done.stderr.strip()}", where=self.url
            )
        return done.stdout

    def __enter__(self) -> Engine:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        line = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with open(self.directory / "engine.log", "wb") as log:
            self._process = subprocess.Popen(
                [*line, sys.executable, "-m", "kafkaops.lab.hosts.engine", str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait()
            self._clear()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and everything in it."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        forget_cgroups(self.cgroup)

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START
        while True:
            code = self._process.poll()
            if code == Exit.LOCKED:
                raise OpsError(
                    "KO-LAB-IN-USE",
                    "another run has its hosts in this directory",
                    where=str(self.directory),
                    exit=Exit.LOCKED,
                )
            late = time.monotonic() > deadline
            if code is not None or late:
                raise ConfigError(
                    "KO-LAB-HOSTS",
                    f"the engine {'does not answer' if late else f'ended with code {code}'}",
                    where=str(self.directory / "engine.log"),
                )
            if self.socket.exists():
                with contextlib.suppress(ConfigError):
                    self.docker("version")
                    return
            time.sleep(0.1)

    def _clear(self) -> None:
        """What a run that was killed left in the engine's memory."""
        left = self.docker("ps", "-aq").split()
        if left:
            self.docker("rm", "-f", *left)


def forget_cgroups(name: str) -> None:
    """Remove the empty control groups that containers leave; one that is in use refuses."""
    for top in (CGROUPS, *CGROUPS.glob("*")):
        for directory, _, _ in os.walk(f"{top}{name}", topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def keep(directory: Path) -> int:
    """Run dockerd until the pipe on stdin closes or dockerd ends."""
    lock = open(directory / "lock", "w")  # noqa: SIM115 (held for life)
    deadline = time.monotonic() + STOP / 2  # a run that was killed may still be ending
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                return Exit.LOCKED
            time.sleep(0.2)
    state = directory / "exec"
    shutil.rmtree(state, ignore_errors=True)
    line = [DOCKERD, "--bridge=none", "--iptables=false", "--ip6tables=false"]
    line += ["--data-root", str(directory / "data"), "--exec-root", str(state)]
    line += ["--pidfile", str(state / "pid"), "-H", f"unix://{directory / 'docker.sock'}"]
    state.mkdir(parents=True)
    daemon = subprocess.Popen(
        line, stdin=subprocess.DEVNULL, env={**os.environ, "PATH": SBIN}, start_new_session=True
    )
    ended = os.pidfd_open(daemon.pid)
    select.select([sys.stdin, ended], [], [])
    daemon.terminate()
    try:
        return daemon.wait(STOP / 2)
    except subprocess.TimeoutExpired:
        return Exit.TIMEOUT  # the namespace goes with this process


def main() -> int:
    child = os.fork()
    if child:
        return reap(child)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return keep(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
