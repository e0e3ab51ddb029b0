"""Real brokers whose hosts are in Auto Scaling groups: restarted, interrupted, killed. The judge is
an observer that is not kafkaops."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, Pair
from tests.integration.sample import turn

pytestmark = [pytest.mark.lab, turn("fleet")]

HERE = ROOT / "tests" / "integration"
NODES = {"blue-1": 1, "blue-2": 2, "blue-3": 3, "ctl-1": 101}
GROUPS = {f"asg-{n}": f"blue-{n}" for n in (1, 2, 3)}
ENDPOINT = "http://127.0.0.1:5000"
BEFORE = {"asg-1": ["AZRebalance", "Launch"], "asg-2": [], "asg-3": []}
RESTART = ("restart", "--cluster", "blue", "--yes", "--soak", "0", "--reason", "test")


class Fleet(Pair):
    """A lab whose brokers' hosts are instances, each in a group of its own; the controller's is in
    none."""

    def scaling(self, *words: str) -> dict[str, Any]:
        argv = [sys.executable, str(HERE / "scaling_in_lab.py"), ENDPOINT, *words]
        return self.inside(argv)

    def inside(self, argv: list[str]) -> dict[str, Any]:
        told, err = run_inside(
            self.lab,
            argv,
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ).communicate(timeout=120)
        assert told, err
        found: dict[str, Any] = json.loads(told)
        return found

    @contextmanager
    def observed(self) -> Iterator[dict[str, Any]]:
        pairs = [f"{group}=127.0.1.{NODES[host]}:9092" for group, host in GROUPS.items()]
        argv = [sys.executable, str(HERE / "fleet_observer.py"), ENDPOINT, *pairs]
        watching = run_inside(
            self.lab,
            argv,
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        seen: dict[str, Any] = {}
        try:
            yield seen
        finally:
            told, _ = watching.communicate("\n", timeout=60)
            seen.update(json.loads(told))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"), (), ROOT / "configs" / "lab-rolling.yaml")
    made.in_lab("lab", "up", "--single", "--brokers", "3", "--controllers", "1")
    try:
        instances = made.scaling("make", *GROUPS)
        made.scaling("suspend", "asg-1", *BEFORE["asg-1"])
        mine = {GROUPS[group]: instance for group, instance in instances.items()}
        hosts = ", ".join(
            f"{{name: {name}, node_id: {node}, address: 127.0.1.{node}, via: lab,"
            f" instance: {mine.get(name, 'i-0c1')}}}"
            for name, node in NODES.items()
        )
        made.settings = (
            f"blue.hosts=[{hosts}]",
            "blue.fleet={auto_scaling: true}",
            f"aws.endpoint_url={ENDPOINT}",
        )
        yield made
    finally:
        made.in_lab("lab", "down")


def test_every_group_is_suspended_while_its_broker_is_down_and_then_as_before(
    fleet: Fleet,
) -> None:
    plan = json.loads(fleet.kafkaops("restart", "--plan", "-o", "json"))["plan"]
    assert any("AZRebalance, Launch suspended already" in note for note in plan["notes"])
    assert "in no Auto Scaling group: ctl-1" in plan["notes"]
    with fleet.observed() as seen:
        told = fleet.kafkaops(*RESTART, "-o", "json")
    assert json.loads(told)["outcome"] == "done"
    assert seen["loose"] == []
    assert min(seen["down"].values()) > 2, seen
    assert seen["end"] == BEFORE


def started(line: list[str], until: str) -> tuple[subprocess.Popen[str], str]:
    """A command, once it has told that this is done for a broker, and that broker's group."""
    carried = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert carried.stderr is not None
    lines = []
    for told in carried.stderr:
        lines.append(told)
        found = re.match(rf"✓ \[{until}\].* (blue-\d)", told)
        if found:
            return carried, next(g for g, host in GROUPS.items() if host == found[1])
    raise AssertionError("".join(lines))


def ended(carried: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what else it said."""
    assert carried.stderr is not None
    said = carried.stderr.read()
    return carried.wait(120), said


def test_ctrl_c_once_and_twice(fleet: Fleet) -> None:
    carried, _ = started(fleet.line(*RESTART), "stop")
    carried.send_signal(signal.SIGINT)
    code, said = ended(carried)
    assert code == 130, said
    assert fleet.scaling("show", *GROUPS) == BEFORE
    # held anew, for the broker that was stopped is not back yet
    carried, _ = started(fleet.line("run", "resume", "--yes"), "hold")
    carried.send_signal(signal.SIGINT)
    time.sleep(0.2)
    carried.send_signal(signal.SIGINT)
    code, said = ended(carried)
    assert code == 130, said
    assert "giving back what is held first" in said
    assert fleet.scaling("show", *GROUPS) == BEFORE
    with fleet.observed() as seen:
        fleet.kafkaops("run", "resume", "--yes")
    assert seen["end"] == BEFORE


def test_killed_it_is_named_and_the_resume_gives_it_back(fleet: Fleet) -> None:
    carried, group = started(fleet.line(*RESTART), "stop")
    carried.send_signal(signal.SIGKILL)
    ended(carried)
    assert "Terminate" in fleet.scaling("show", group)[group]
    shown = json.loads(fleet.kafkaops("run", "show", "-o", "json"))
    assert any(f"Auto Scaling group {group} is suspended by kafkaops" in h for h in shown["held"])
    [left] = json.loads(fleet.kafkaops("health", "-o", "json", expect=5))["held"]
    assert (left["run"], left["working"]) == (shown["run"], False)
    assert left["held"] == shown["held"]
    fleet.kafkaops("run", "resume", "--yes")
    assert fleet.scaling("show", *GROUPS) == BEFORE
    assert json.loads(fleet.kafkaops("health", "-o", "json"))["held"] == []


def test_what_is_under_way_keeps_a_node_from_its_stop_and_a_denied_action_is_told(
    fleet: Fleet,
) -> None:
    starts = {h: fleet.control("service", f"{h}/kafka")["starts"] for h in GROUPS.values()}
    fleet.in_lab("lab", "set", "deny=autoscaling:DescribeInstanceRefreshes")
    try:
        refused = fleet.refused(*RESTART, changes=())
    finally:
        fleet.in_lab("lab", "set", "deny=")
    assert refused["error"]["code"] == "KO-AWS-DENIED"
    assert refused["error"]["where"] == "autoscaling:DescribeInstanceRefreshes"
    fleet.in_lab("lab", "set", "scaling_refreshing=asg-1,asg-2,asg-3")
    line = fleet.line(*RESTART, "--only", "1")
    carried = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(12)
    assert fleet.scaling("show", *GROUPS) == BEFORE
    fleet.in_lab("lab", "set", "scaling_refreshing=")
    _, said = carried.communicate(timeout=300)
    assert carried.returncode == 0, said
    now = {h: fleet.control("service", f"{h}/kafka")["starts"] for h in GROUPS.values()}
    assert {h: now[h] - starts[h] for h in starts} == {"blue-1": 1, "blue-2": 0, "blue-3": 0}
    assert fleet.scaling("show", *GROUPS) == BEFORE
