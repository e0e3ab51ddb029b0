"""`run serve` under real systemd: verified, killed and taken up again, stopped in order, ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kafkaops.engine.history import History, Status
from tests.integration import served_run
from tests.integration.real_hosts import ContainerHost, machines
from tests.integration.sample import turn
from tests.integration.served_run import RUN, UNIT

pytestmark = [pytest.mark.lab, turn("serve")]

TTL = 120
"""Seconds that the run has to wait: longer than a restart after a kill."""
WAITS = "== move the names"
"""What the run says once it waits."""


class Served:
    """The unit inside its machine, as `systemctl` and `journalctl` show it."""

    def __init__(self, host: ContainerHost) -> None:
        self.host = host

    def run(self, *argv: str, expect: int = 0) -> str:
        ran = self.host.run(argv, timeout=60)
        assert ran.code == expect, f"{argv} ended with {ran.code}: {ran.out}{ran.err}"
        return ran.out

    def show(self, name: str) -> str:
        return self.run("systemctl", "show", "-P", name, UNIT).strip()

    def journal(self) -> str:
        return self.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat")

    def until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{what}: never\n{self.journal()[-3000:]}"
            time.sleep(0.5)


def test_a_unit_is_killed_taken_up_again_stopped_in_order_and_ends(tmp_path: Path) -> None:
    shared = {**served_run.python(), tmp_path: "rw"}
    with machines(tmp_path, 1, shared=shared) as found:
        served_run.record(found, TTL)
        port = found.front.server.server_port
        config = served_run.configured(tmp_path, f"http://127.0.0.1:{port}")
        store = served_run.begun(config, ttl=TTL)
        served_run.libraries(tmp_path / "lib")
        served = Served(found.local(0))
        installed(served, config, tmp_path)
        served.run("systemd-analyze", "verify", f"{UNIT}.service")

        served.run("systemctl", "start", UNIT)
        served.until(lambda: WAITS in served.journal(), 60, "it waits")
        served.run("systemctl", "kill", "--signal=KILL", UNIT)
        served.until(lambda: served.show("NRestarts") == "1", 40, "it is started again")
        served.until(lambda: served.journal().count(WAITS) == 2, 60, "it goes on waiting")

        served.run("systemctl", "stop", UNIT)
        assert served.show("ActiveState") == "inactive"  # and not failed
        assert exit_of(config) == 130  # systemd forgets a unit that has ended well
        said = served.journal()
        assert "stopping: the step at hand is finished first" in said
        assert f"kafkaops run resume {RUN}" in said
        assert "Traceback" not in said
        assert History(store.run(RUN).look()).status is Status.STOPPED

        served.run("systemctl", "start", UNIT)
        served.until(lambda: served.show("ActiveState") == "inactive", TTL + 60, "it ends")
        assert exit_of(config) == 0
        past = History(store.run(RUN).look())
        assert (past.status, past.done) == (Status.DONE, {"ttl", "ttl-wait"})
        served.run("systemctl", "start", UNIT)  # as at every boot, if nobody disables it
        served.until(lambda: "nothing to carry" in served.journal(), 60, "it says it is over")


def exit_of(config: Path) -> int:
    """How the last process ended that carried the run, by the audit log."""
    last = (config.parent / "state" / "audit.jsonl").read_text().splitlines()[-1]
    return int(json.loads(last)["exit"])


def installed(served: Served, config: Path, directory: Path) -> None:
    """The unit as the command prints it, and its environment."""
    line = [sys.executable, "-m", "kafkaops", "run", "serve", RUN, "--unit", "-c", str(config)]
    printed = subprocess.run(
        line,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=served_run.ROOT,
        env={**os.environ, "PYTHONPATH": str(served_run.ROOT)},
    )
    assert f"/etc/systemd/system/{UNIT}.service" in printed.stderr
    served.host.put(f"/etc/systemd/system/{UNIT}.service", printed.stdout.encode())
    values = {
        **served_run.KEYS,
        "PYTHONPATH": str(served_run.ROOT),
        "LD_LIBRARY_PATH": str(directory / "lib"),
    }
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    served.host.put(f"/etc/kafkaops/{RUN}.env", lines.encode(), mode=0o600)
    served.run("systemctl", "daemon-reload")
