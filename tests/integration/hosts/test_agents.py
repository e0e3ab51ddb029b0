"""Agents on a real systemd: stopped while they are held, back as they were, and back by the host's
own timer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kafkaops.adapters.host_command import CommandHost
from kafkaops.engine.errors import StepFailed

pytestmark = pytest.mark.lab

UNITS = {
    "agent.service": "[Service]\nExecStart=/bin/sleep 1000\n",
    "run.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    "run.timer": "[Timer]\nOnUnitActiveSec=1h\nOnActiveSec=1h\nUnit=run.service\n",
    "idle.service": "[Service]\nExecStart=/bin/sleep 1000\n",
}
AGENTS = ("agent.service", "run.timer", "idle.service")
HELD = {"agent.service": "inactive", "run.timer": "inactive", "idle.service": "inactive"}
BEFORE = {"agent.service": "active", "run.timer": "active", "idle.service": "inactive"}


@pytest.fixture
def agents(host: CommandHost) -> Iterator[CommandHost]:
    """A service and a timer that run, and a service that does not."""
    for name, text in UNITS.items():
        host.put(f"/etc/systemd/system/{name}", text.encode())
    host.units_reload()
    host.run(("systemctl", "start", "agent.service", "run.timer"))
    assert dict(host.agents(AGENTS).states) == BEFORE
    yield host
    host.agents_back()
    for name in UNITS:
        host.run(("systemctl", "stop", name))
        host.remove(f"/etc/systemd/system/{name}")
    host.units_reload()


def timers(host: CommandHost) -> list[str]:
    shown = host.run(("systemctl", "show", "-p", "Id", "kafkaops-agents-*.service")).out
    return [line for line in shown.splitlines() if line]


def test_held_and_given_back(agents: CommandHost) -> None:
    agents.agents_hold(AGENTS, seconds=600)
    found = agents.agents(AGENTS)
    assert dict(found.states) == HELD
    assert sorted(found.held) == ["agent.service", "run.timer"]
    assert (found.armed, found.running, len(timers(agents))) == (True, (), 1)
    first = timers(agents)
    # held again, by a process that knows nothing of the first: what is remembered stays
    agents.agents_hold(AGENTS, seconds=600)
    agents.agents_arm(seconds=600)
    again = agents.agents(AGENTS)
    assert (dict(again.states), sorted(again.held)) == (HELD, ["agent.service", "run.timer"])
    assert len(timers(agents)) == 1
    assert timers(agents) != first
    agents.agents_back()
    found = agents.agents(AGENTS)
    assert dict(found.states) == BEFORE
    assert (found.held, found.armed, timers(agents)) == ((), False, [])
    agents.agents_back()  # nothing is remembered: nothing is done
    agents.agents_arm(seconds=600)
    assert timers(agents) == []


def test_the_host_brings_them_back_by_itself(agents: CommandHost) -> None:
    agents.agents_hold(AGENTS, seconds=12)
    assert dict(agents.agents(AGENTS).states) == HELD
    deadline = time.monotonic() + 60
    while dict(agents.agents(AGENTS).states) != BEFORE:
        assert time.monotonic() < deadline, agents.agents(AGENTS)
        time.sleep(0.3)
    found = agents.agents(AGENTS)
    assert (found.held, found.armed) == ((), False)


def test_a_reload_of_systemd_in_between_does_not_lose_the_timer(agents: CommandHost) -> None:
    """As a stop of the node does: a transient timer of systemd 252 then starts nothing."""
    agents.agents_hold(AGENTS, seconds=12)
    agents.units_reload()
    assert agents.agents(AGENTS).armed
    deadline = time.monotonic() + 60
    while dict(agents.agents(AGENTS).states) != BEFORE:
        assert time.monotonic() < deadline, agents.agents(AGENTS)
        time.sleep(0.3)


def test_a_timer_that_is_begun_anew_does_not_come_at_the_old_time(agents: CommandHost) -> None:
    agents.agents_hold(AGENTS, seconds=8)
    agents.agents_arm(seconds=600)
    time.sleep(10)
    assert dict(agents.agents(AGENTS).states) == HELD


def test_a_unit_that_is_not_there_is_told_and_one_that_cannot_start_is_an_error(
    agents: CommandHost,
) -> None:
    assert agents.agents(("nobody.service", "agent.service")).unknown == ("nobody.service",)
    agents.agents_hold(("agent.service",), seconds=600)
    agents.remove("/etc/systemd/system/agent.service")
    agents.units_reload()
    with pytest.raises(StepFailed) as caught:
        agents.agents_back()
    assert caught.value.code == "KO-AGENTS"
    assert "agent.service" in caught.value.message
    assert agents.agents(("agent.service",)).armed, "its timer would still try"
    agents.put("/etc/systemd/system/agent.service", UNITS["agent.service"].encode())
    agents.units_reload()
