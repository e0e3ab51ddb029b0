"""Nine real brokers and three controllers upgraded under load: to the new version and finalised,
and to it and back, kafkaops killed on the way. The judges are the load's own ledger and an observer
of the ISRs that is not kafkaops."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.observing import observed
from tests.integration.pair import ROOT, Pair
from tests.integration.sample import turn

pytestmark = pytest.mark.lab

OLD, NEW = "3.9.2", "4.3.1"
NODES = {f"blue-{n}": n for n in range(1, 10)} | {f"ctl-{n}": 100 + n for n in (1, 2, 3)}
LOAD = ("--producers", "p-1:librdkafka,p-2:kafka-python", "--groups", "g-1:librdkafka")


@contextmanager
def rolling_lab(directory: Path) -> Iterator[Pair]:
    """Nine brokers in three racks, three controllers, a tarball of the new version, and load."""
    directory.mkdir(parents=True, exist_ok=True)
    bare = Pair(directory)
    told = bare.kafkaops("lab", "pack", NEW, "--out", str(directory), "-o", "json", config=False)
    packed = json.loads(told)
    version = f"{{source: {packed['path']}, sha512: {packed['sha512']}}}"
    settings = (f'versions={{"{NEW}": {version}}}',)
    made = Pair(directory, settings, ROOT / "configs" / "lab-rolling.yaml")
    made.in_lab("lab", "up", "--single", "--brokers", "9", "--controllers", "3")
    try:
        made.in_lab("lab", "load", "start", "--rate", "50", *LOAD)
        yield made
    finally:
        made.in_lab("lab", "down")


def upgrade(pair: Pair, *more: str) -> list[str]:
    return pair.line(
        *("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0", "--reason", "test", *more)
    )


def starts(pair: Pair) -> dict[str, int]:
    return {name: pair.control("service", f"{name}/kafka")["starts"] for name in NODES}


def batches_of(pair: Pair) -> int:
    """How many the newest run has had: each begins with one gate."""
    steps = json.loads(pair.kafkaops("run", "show", "-o", "json"))["steps"]
    return sum(s["phase"] == "gate" and s["state"] == "done" for s in steps)


def installed(pair: Pair) -> set[str]:
    """The versions that the nodes' links name, as they lie on the hosts."""
    links = (pair.lab / "hosts" / name / "root/opt/kafka/current" for name in NODES)
    return {link.readlink().name for link in links}


def killed_after(pair: Pair, line: list[str], count: int) -> None:
    """kill -9 of kafkaops once this many nodes were started again."""
    before = sum(starts(pair).values())
    carried = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while sum(starts(pair).values()) < before + count:
        assert carried.poll() is None, f"it ended by itself: {carried.communicate()[1][-4000:]}"
        assert time.monotonic() < deadline, "nobody was restarted in time"
        time.sleep(0.2)
    carried.send_signal(signal.SIGKILL)
    carried.wait(30)


def judged(pair: Pair, *, errors: bool = False) -> dict[str, Any]:
    """The ledger's report, which has nothing against it. `errors`: a client may have seen some."""
    pair.in_lab("lab", "load", "stop")
    report = pair.ledger("blue")
    total = report["total"]
    zero = ["lost", "altered", "skipped", "duplicated_in_log", *(() if errors else ("errors",))]
    assert {name: total[name] for name in zero} == dict.fromkeys(zero, 0), total
    assert total["acknowledged"] > 1000
    return report


@turn("rolling-finalised")
def test_to_the_new_version_and_finalised_in_the_planned_batches(tmp_path: Path) -> None:
    with rolling_lab(tmp_path) as pair:
        planned = subprocess.run(
            [*upgrade(pair, "--plan"), "-o", "json"], capture_output=True, text=True, timeout=300
        )
        plan = json.loads(planned.stdout)["plan"]
        batches = [s for s in plan["specs"] if s["kind"] == "gate-open"]
        # three controllers one by one, a canary, and of eight brokers three at a time
        assert len(batches) == 3 + 1 + 3
        before = starts(pair)
        with observed(pair, range(1, 10)) as seen:
            killed_after(pair, upgrade(pair, "--yes"), 5)
            told = pair.kafkaops("run", "resume", "--yes", "-o", "json")
        assert json.loads(told)["outcome"] == "done"
        assert batches_of(pair) == len(batches)
        assert installed(pair) == {NEW}
        after = starts(pair)
        assert {n: after[n] - before[n] for n in NODES} == dict.fromkeys(NODES, 1)
        assert seen["below"] == [], seen
        assert (seen["smallest"], seen["samples"] > 50) == (2, True), seen
        again = pair.kafkaops("upgrade", "--strategy", "rolling", "--to", NEW, "-o", "json")
        assert json.loads(again)["outcome"] == "nothing-to-do"
        finalize = ("features", "finalize", "--to", NEW, "--confirm", "rolling")
        # min.insync.replicas is each broker's own here, which ELR would delete
        told = pair.kafkaops(*finalize, "-o", "json", expect=5)
        assert json.loads(told)["error"]["code"] == "KO-FEATURE-ELR-MIN-ISR"
        pair.kafkaops(*finalize, "--feature", "eligible.leader.replicas.version=0")
        shown = json.loads(pair.kafkaops("features", "show", "-o", "json"))
        assert '"finalized": 30' in json.dumps(shown), shown
        refused = pair.refused("run", "rollback", "--yes", changes=())
        assert refused["error"]["code"] == "KO-FEATURES-RAISED"
        judged(pair)


@turn("rolling-back")
def test_to_the_new_version_and_back(tmp_path: Path) -> None:
    with rolling_lab(tmp_path) as pair:
        before = starts(pair)
        with observed(pair, range(1, 10)) as seen:
            there = subprocess.run(upgrade(pair, "--yes"), capture_output=True, timeout=900)
            assert there.returncode == 0, there.stderr[-4000:]
            assert (batches_of(pair), installed(pair)) == (3 + 1 + 3, {NEW})
            assert {n: now - before[n] for n, now in starts(pair).items()} == dict.fromkeys(
                NODES, 1
            )
            killed_after(pair, pair.line("run", "rollback", "--yes"), 7)
            back = json.loads(pair.kafkaops("run", "rollback", "--yes", "-o", "json"))
        assert back["status"] == "rolled-back"
        assert installed(pair) == {OLD}
        # one start with the new version, and one with the old
        assert {n: now - before[n] for n, now in starts(pair).items()} == dict.fromkeys(NODES, 2)
        assert seen["below"] == [], seen
        assert seen["samples"] > 50, seen
        judged(pair)
