"""systemd's words as values. The commands themselves: tests/integration/hosts/test_units.py."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kafkaops.adapters.host_local import LocalHost
from kafkaops.adapters.host_scripts import BEFORE_STOP, STOP_DROP_IN
from kafkaops.adapters.host_units import WANTED, Shown, read_unit, seconds
from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host_units import Unit


def test_the_time_for_a_stop_outranks_what_an_operator_set_for_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else systemd kills by the operator's: seen, 90 s of an override.conf instead of 600."""
    (tmp_path / "systemctl").write_text("#!/bin/sh\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = BEFORE_STOP.replace("/run/systemd/system", str(tmp_path / "units"))
    host = LocalHost("h", "127.0.0.1", as_self=True)
    assert host.run(("sh", "-c", script, "sh", "kafka.service", "600")).code == 0
    [ours] = (tmp_path / "units" / "kafka.service.d").iterdir()
    assert ours.read_text() == "[Service]\nTimeoutStopSec=600\n"
    assert max("10-kafka.conf", "override.conf", "zz-local.conf", ours.name) == ours.name


SLOW = """\
#!/bin/sh
case $1 in
  show) printf '%s\\n' LoadState=loaded ActiveState=activating SubState=start-post MainPID=@ ;;
  start) exec tail -f /dev/null ;;
esac
"""
"""A systemctl of a unit that counts as started only once the broker serves."""


@pytest.mark.parametrize("pid", [7, 0])
def test_a_start_that_systemd_still_waits_for_is_one_where_the_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    for name, text in (("systemctl", SLOW.replace("@", str(pid))), ("journalctl", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    host = LocalHost("h", "127.0.0.1", as_self=True)
    if pid:
        unit = host.unit_start("kafka", timeout=0.2)
        assert (unit.running, unit.active, unit.pid) == (True, "activating", 7)
    else:
        with pytest.raises(StepFailed, match="not done within"):
            host.unit_start("kafka", timeout=0.2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1min 30s", 90.0),
        ("5min 30s", 330.0),
        ("500ms", 0.5),
        ("1h 1s 2us", 3601.000002),
        ("1month", 2629800.0),
        ("infinity", math.inf),
        ("0", 0.0),
    ],
)
def test_time_spans(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


def shown(**more: str) -> Shown:
    return Shown(
        {
            "Uptime": "100.5",
            "Clock": "5000.5",
            "ActiveState": "active",
            "MainPID": "7",
            "SubState": "running",
            "Result": "success",
            "ExecMainCode": "0",
            "ExecMainStartTimestampMonotonic": "60000000",
            "TimeoutStopUSec": "1min 30s",
            "ExecMainExitTimestampMonotonic": "0",
            "ExecMainStatus": "0",
            **more,
        }
    )


def test_a_running_unit_started_when_the_hosts_clock_says() -> None:
    unit = read_unit("kafka", shown())
    assert (unit.running, unit.pid, unit.exit_code, unit.signal) == (True, 7, None, None)
    assert unit.started == pytest.approx(4960.0)
    assert unit.stop_timeout == 90.0


def test_drop_ins_are_those_of_the_operator_and_not_ours() -> None:
    theirs = ("/usr/lib/systemd/system/kafka.service.d/10-a.conf", "/etc/x/override.conf")
    ours = f"/run/systemd/system/kafka.service.d/{STOP_DROP_IN}"
    assert "DropInPaths" in WANTED
    assert read_unit("kafka", shown(DropInPaths=" ".join((*theirs, ours)))).drop_ins == theirs


def test_an_old_systemd_that_lacks_a_property() -> None:
    assert read_unit("kafka", shown()).restarts == 0


@pytest.mark.parametrize(
    ("code", "status", "result", "clean"),
    [
        ("1", "0", "success", True),
        ("1", "143", "exit-code", True),
        ("1", "143", "success", True),
        ("1", "1", "exit-code", False),
        ("2", "9", "signal", False),
        ("2", "15", "success", False),  # died of TERM: no shutdown hook ran
        ("2", "9", "timeout", False),
        ("1", "143", "timeout", False),
        ("3", "11", "core-dump", False),
    ],
)
def test_what_a_clean_stop_is(code: str, status: str, result: str, clean: bool) -> None:
    ended = {"ExecMainExitTimestampMonotonic": "1", "MainPID": "0", "ActiveState": "inactive"}
    found = shown(ExecMainCode=code, ExecMainStatus=status, Result=result, **ended)
    assert read_unit("kafka", found).stopped_clean is clean


def test_a_unit_that_never_ran_or_runs_is_no_proof() -> None:
    unit = Unit("kafka", "inactive", "dead")
    assert not unit.stopped_clean
    assert replace(unit, exit_code=0).stopped_clean
    assert not replace(unit, exit_code=0, active="active", pid=1).stopped_clean
    assert not replace(unit, exit_code=0, active="deactivating", pid=1).stopped_clean
