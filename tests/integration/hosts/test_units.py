"""Units of a real systemd: started, stopped, enabled, supervised, and what fails is told."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kafkaops.adapters.host_command import CommandHost
from kafkaops.engine.errors import ConfigError, StepFailed

pytestmark = pytest.mark.lab

UNIT = """\
[Service]
ExecStart=/bin/bash -c 'exec 9< /opt/app/current/lib/app.jar; trap "sleep %s; exit %s" TERM; \
echo begun; while :; do sleep 0.1; done'
TimeoutStopSec=2
KillMode=mixed
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def app(host: CommandHost) -> Iterator[str]:
    """A unit that holds a jar open and ends clean, one second after it is told."""
    host.put("/opt/app/app-1/lib/app.jar", b"one")
    host.switch("/opt/app/current", "app-1")
    host.put("/etc/systemd/system/app.service", (UNIT % (1, 143)).encode())
    host.units_reload()
    yield "app"
    host.service_stop("app", kill=True)
    for path in (
        "/etc/systemd/system/app.service",
        "/opt/app",
        "/run/systemd/system/app.service.d",
    ):
        host.remove(path)
    host.units_reload()


def test_a_unit_starts_holds_its_jar_and_stops_clean(host: CommandHost, app: str) -> None:
    before = host.unit(app)
    assert (before.active, before.sub, before.pid, before.started) == ("inactive", "dead", 0, 0.0)
    assert not before.running
    assert (before.stop_timeout, before.enabled, before.exit_code) == (2.0, False, None)
    unit = host.unit_start(app)
    assert unit.running
    assert unit.file == "/etc/systemd/system/app.service"
    assert abs(unit.started - time.time()) < 30
    assert host.service(app).pid == unit.pid
    # Another version is laid down and linked: the process still holds the first one's jar.
    host.put("/opt/app/app-2/lib/app.jar", b"two")
    host.switch("/opt/app/current", "app-2")
    held = host.open_files(unit.pid)
    assert "/opt/app/app-1/lib/app.jar" in held
    assert any("libc.so" in path or "libc-" in path for path in held)
    host.put("/opt/app/app-1/lib/app.jar", b"replaced")
    assert "/opt/app/app-1/lib/app.jar (deleted)" in host.open_files(unit.pid)
    stopped = host.unit_stop(app)
    assert (stopped.exit_code, stopped.signal, stopped.pid) == (143, None, 0)
    assert stopped.stopped_clean
    assert stopped.stop_timeout == 330.0
    assert "begun" in host.journal(app)
    with pytest.raises(StepFailed, match="no process"):
        host.open_files(unit.pid)
    assert host.unit_start(app).started > unit.started
    assert host.unit_start(app).running
    first = host.unit(app).pid
    host.service_restart(app)
    assert host.unit(app).pid not in {0, first}


def test_a_process_longer_than_its_stop_timeout_is_given_the_callers(
    host: CommandHost, app: str
) -> None:
    host.put("/etc/systemd/system/app.service", (UNIT % (4, 0)).encode())
    assert host.unit(app).stale
    host.units_reload()
    assert not host.unit(app).stale
    host.unit_start(app)
    stopped = host.unit_stop(app, timeout=20)
    assert stopped.stopped_clean, stopped


def test_a_stop_that_became_a_kill_is_not_clean(host: CommandHost, app: str) -> None:
    host.put("/etc/systemd/system/app.service", (UNIT % (60, 0)).encode())
    host.units_reload()
    host.unit_start(app)
    stopped = host.unit_stop(app, timeout=2)
    assert (stopped.signal, stopped.result) == (9, "timeout")
    assert not stopped.stopped_clean


def test_a_unit_that_ends_at_once_is_an_error_with_its_journal(host: CommandHost, app: str) -> None:
    text = "[Service]\nType=exec\nExecStart=/no/such/program\n"
    host.put("/etc/systemd/system/app.service", text.encode())
    host.units_reload()
    with pytest.raises(StepFailed) as error:
        host.unit_start(app)
    assert error.value.code == "KO-UNIT"
    assert "/no/such/program" in error.value.message
    assert host.unit(app).active == "failed"


def test_a_unit_is_enabled_for_the_next_boot(host: CommandHost, app: str) -> None:
    host.unit_enable(app)
    assert host.unit(app).enabled
    host.unit_enable(app, on=False)
    assert not host.unit(app).enabled


def test_a_unit_that_does_not_exist_is_named(host: CommandHost) -> None:
    for call in (host.unit, host.unit_start, host.unit_stop, host.unit_enable):
        with pytest.raises(ConfigError, match=r"no unit nosuch\.service") as error:
            call("nosuch")
        assert error.value.code == "KO-UNIT-UNKNOWN"
    assert not host.service("nosuch").active
    host.service_stop("nosuch")


def test_a_process_of_kafkaops_own_is_supervised(host: CommandHost) -> None:
    line = ("sh", "-c", 'echo "$WORD"; exec sleep 1000')
    host.service_start("own", line, env={"WORD": "hello there"}, log="/var/log/own.log")
    host.service_start("own", line, env={}, log="/var/log/own.log")
    first = host.service("own")
    assert first.active
    host.run(("kill", "-9", str(first.pid)))
    deadline = time.monotonic() + 20
    while host.service("own").pid in {0, first.pid}:
        assert time.monotonic() < deadline, "systemd did not start it again"
        time.sleep(0.2)
    assert (host.tail("/var/log/own.log", lines=5) or "").count("hello there") == 2
    assert host.tail("/var/log/none.log") is None
    host.service_stop("own")
    assert not host.service("own").active
