"""Three real brokers in ZooKeeper mode under load: 3.8.1 to 3.9.2 by one roll, and the protocol
raised by a second, kafkaops killed in both. The judges are the load's own ledger and an observer of
the ISRs that is not kafkaops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab.control import listener_pid
from kafkaops.lab.layout import Layout
from tests.integration.observing import observed
from tests.integration.pair import ROOT, Pair
from tests.integration.sample import turn

pytestmark = [pytest.mark.lab, turn("zookeeper")]

OLD, NEW, NEVER = "3.8.1", "3.9.2", "4.3.1"
NODES = {f"blue-{n}": n for n in (1, 2, 3)}
KINDS = ("librdkafka", "kafka-python", "java-3.9.2", "java-4.3.1")
LOAD = (
    "--producers",
    ",".join(f"p-{n}:{kind}" for n, kind in enumerate(KINDS)),
    "--groups",
    ",".join(f"g-{n}:{kind}" for n, kind in enumerate(KINDS)),
)
PROTOCOL = ("upgrade", "protocol", "--to", "3.9", "--soak", "0")


@contextmanager
def zookeeper_lab(directory: Path) -> Iterator[Pair]:
    """Three brokers in three racks, a ZooKeeper, tarballs of two versions, and load."""
    bare = Pair(directory)
    versions = []
    for version in (NEW, NEVER):
        out = ("--out", str(directory), "-o", "json")
        packed = json.loads(bare.kafkaops("lab", "pack", version, *out, config=False))
        versions.append(f'"{version}": {{source: {packed["path"]}, sha512: {packed["sha512"]}}}')
    settings = (f"versions={{{', '.join(versions)}}}",)
    made = Pair(directory, settings, ROOT / "configs" / "lab-zookeeper.yaml")
    made.in_lab("lab", "up", "--single", "--zookeeper", "--blue-version", OLD, "--brokers", "3")
    try:
        made.in_lab("lab", "load", "start", "--rate", "25", *LOAD)
        yield made
    finally:
        made.in_lab("lab", "down")


def services(pair: Pair) -> dict[str, dict[str, Any]]:
    return {name: pair.control("service", f"{name}/kafka") for name in NODES}


def starts(pair: Pair) -> dict[str, int]:
    return {name: found["starts"] for name, found in services(pair).items()}


def order(pair: Pair) -> list[str]:
    """Brokers in the order in which they were started last."""
    found = services(pair)
    return sorted(found, key=lambda name: float(found[name]["started"]))


def controller(pair: Pair) -> str:
    shown = json.loads(pair.kafkaops("cluster", "show", "blue", "-o", "json"))
    [cluster] = shown["clusters"]
    return f"blue-{cluster['state']['controller']}"


def killed_after_a_start(pair: Pair, line: list[str]) -> None:
    """kill -9 of kafkaops once a broker was started again."""
    before = sum(starts(pair).values())
    carried = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while sum(starts(pair).values()) == before:
        assert carried.poll() is None, f"it ended by itself: {carried.communicate()[1][-4000:]}"
        assert time.monotonic() < deadline, "nobody was restarted in time"
        time.sleep(0.2)
    carried.send_signal(signal.SIGKILL)
    carried.wait(30)


def properties(pair: Pair) -> dict[str, str]:
    root = Layout.of(pair.lab).host_root
    return {name: (root(name) / "etc/kafka/server.properties").read_text() for name in NODES}


def runs(pair: Pair) -> dict[str, str]:
    """What each process runs, by the jars that it holds open."""
    shown = json.loads(pair.kafkaops("health", "-o", "json"))
    [cluster] = shown["clusters"]
    return {row["host"]: row["release"] for row in cluster["hosts"]}


def test_both_rolls_and_no_way_back_after_the_second(tmp_path: Path) -> None:
    with zookeeper_lab(tmp_path) as pair:
        refused = pair.refused("upgrade", "--strategy", "rolling", "--to", NEVER, changes=())
        assert refused["error"]["code"] == "KO-ZOOKEEPER"
        assert "migrate it to KRaft on 3.9" in json.dumps(refused)
        assert "--strategy blue-green" in json.dumps(refused)
        early = pair.refused(*PROTOCOL, "--confirm", "zookeeper", changes=())
        assert "KO-PROTOCOL-SOFTWARE" in json.dumps(early)
        assert f"--strategy rolling --to {NEW}" in json.dumps(early)
        with observed(pair, NODES.values()) as seen:
            first_roll(pair)
            second_roll(pair)
        assert seen["below"] == [], seen
        assert (seen["smallest"], seen["samples"] > 50) == (2, True), seen
        no_way_back(pair)
        judged(pair)


def first_roll(pair: Pair) -> None:
    """The software, with the protocol as it is; kafkaops is killed once."""
    before, last = starts(pair), controller(pair)
    written = properties(pair)
    assert all("inter.broker.protocol.version=3.8\n" in text for text in written.values())
    roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0", "--reason", "test")
    killed_after_a_start(pair, pair.line(*roll, "--yes"))
    told = json.loads(pair.kafkaops("run", "resume", "--yes", "-o", "json"))
    assert told["outcome"] == "done"
    after = starts(pair)
    assert {n: after[n] - before[n] for n in NODES} == dict.fromkeys(NODES, 1)
    assert order(pair)[-1] == last, "the controller of plan time was not the last"
    assert runs(pair) == dict.fromkeys(NODES, NEW)
    assert properties(pair) == written
    again = json.loads(pair.kafkaops(*roll, "--yes", "-o", "json"))
    assert again["outcome"] == "nothing-to-do"
    shown = pair.refused("features", "finalize", "--to", "3.9", changes=())
    assert shown["error"]["code"] == "KO-FEATURES-ZOOKEEPER"
    assert "kafkaops upgrade protocol --to 3.9" in shown["error"]["hint"]


def second_roll(pair: Pair) -> None:
    """The protocol; killed once too, past the boundary."""
    before, last, written = starts(pair), controller(pair), properties(pair)
    agreed = pair.refused(*PROTOCOL, changes=())
    assert agreed["error"]["code"] == "KO-CONSENT-MISSING"
    killed_after_a_start(pair, pair.line(*PROTOCOL, "--confirm", "zookeeper"))
    refused = pair.refused("run", "rollback", "--yes", changes=())
    assert refused["error"]["code"] == "KO-IRREVERSIBLE"
    told = json.loads(pair.kafkaops(*PROTOCOL, "--confirm", "zookeeper", "-o", "json"))
    assert told["outcome"] == "done"
    after = starts(pair)
    assert {n: after[n] - before[n] for n in NODES} == dict.fromkeys(NODES, 1)
    assert order(pair)[-1] == last, "the controller of plan time was not the last"
    raised = {
        name: text.replace("protocol.version=3.8\n", "protocol.version=3.9\n")
        for name, text in written.items()
    }
    assert properties(pair) == raised
    assert runs(pair) == dict.fromkeys(NODES, NEW)


@pytest.mark.soak
def test_back_from_the_first_roll_and_the_lab_takes_zookeeper_along(tmp_path: Path) -> None:
    with zookeeper_lab(tmp_path) as pair:
        with observed(pair, NODES.values()) as seen:
            before = starts(pair)
            roll = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0")
            assert json.loads(pair.kafkaops(*roll, "--yes", "-o", "json"))["outcome"] == "done"
            assert runs(pair) == dict.fromkeys(NODES, NEW)
            last = controller(pair)
            told = json.loads(pair.kafkaops("run", "rollback", "--yes", "-o", "json"))
        assert told["status"] == "rolled-back"
        assert order(pair)[-1] == last, "the controller of plan time was not the last"
        assert runs(pair) == dict.fromkeys(NODES, OLD)
        after = starts(pair)
        assert {n: after[n] - before[n] for n in NODES} == dict.fromkeys(NODES, 2)
        assert (seen["below"], seen["smallest"]) == ([], 2), seen
        judged(pair)
        zookeeper = pair.control("service", "zk-1/zookeeper")["pid"]
        assert Path(f"/proc/{zookeeper}").exists()
        supervisor = listener_pid(Layout.of(pair.lab).socket)
        assert supervisor is not None
        os.kill(supervisor, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while Path(f"/proc/{zookeeper}").exists():
            assert time.monotonic() < deadline, "ZooKeeper outlived its lab"
            time.sleep(0.2)


def no_way_back(pair: Pair) -> None:
    again = json.loads(pair.kafkaops(*PROTOCOL, "-o", "json"))
    assert again["outcome"] == "nothing-to-do"
    # the upgrade itself, by name or not: the old software does not know the protocol
    refused = pair.refused("run", "rollback", "--yes", changes=())
    assert refused["error"]["code"] == "KO-PROTOCOL-RAISED"
    assert runs(pair) == dict.fromkeys(NODES, NEW)


def judged(pair: Pair) -> None:
    pair.in_lab("lab", "load", "stop")
    total = pair.ledger("blue")["total"]
    zero = ("lost", "altered", "skipped", "duplicated_in_log", "errors")
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), total
    assert total["acknowledged"] > 1000
