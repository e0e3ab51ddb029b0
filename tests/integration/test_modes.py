"""The other ways to move, on real clusters: only the alias, clients stopped by hooks, a green that
cannot forward; and the end of a move. Judged by the load's ledger, not by kafkaops' own proof."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.changed_lab import KAFKAOPS, Lab, hook, judge, lab_of
from tests.integration.sample import turn

KNOCK_MEMORY = 60
"""How long (seconds) a client that knocked at blue counts as still knocking."""

KNOCK = """\
import socket
try:
    socket.create_connection(("127.0.1.1", 9092), timeout=5)
except ConnectionRefusedError:
    raise SystemExit(0)
raise SystemExit("blue took the connection")
"""

pytestmark = pytest.mark.lab


@turn("alias-only")
def test_only_the_alias_moves_and_what_cannot_follow_is_stopped_by_hooks(tmp_path: Path) -> None:
    """Also: one run at a time, a topic that came late, and the end of the move."""
    stopped = ("p-java3", "orders-python")
    changes = {
        "cutover.broker_names": {},
        "clients": [
            {
                "name": "modern",
                "moves": "rebootstrap",
                "groups": ["orders-rdkafka", "orders-java", "late-*"],
            },
            {
                "name": "old",
                "moves": "hooks",
                "groups": ["orders-python"],
                "stop": hook(tmp_path / "lab", "pause", *stopped),
                "start": hook(tmp_path / "lab", "resume", *stopped),
            },
        ],
    }
    with lab_of(tmp_path, changes, "--green-names", "alt") as lab:
        lab.kafkaops("lab", "load", "start", "--mix", "rebootstrap", "--rate", "50")
        lab.kafkaops(
            *("lab", "load", "start", "--rate", "50"),
            *("--producers", "p-java3:java-3.9.2", "--groups", "orders-python:kafka-python"),
        )
        one_at_a_time(lab)
        lab.kafkaops(
            *("lab", "load", "start", "--rate", "20", "--topics", "late:2"),
            *("--producers", "p-late:librdkafka", "--groups", "late-rdkafka:librdkafka"),
        )
        lab.kafkaops("run", "resume", "--yes")
        refused_while_knocking(lab)
        proof = lab.shown("run", "report")
        assert "late" in {p["topic"] for p in proof["moves"][0]["partitions"]}
        lab.kafkaops("lab", "load", "stop")
        ledger = lab.ledger("green")
        judge(ledger, hooked=("orders-python",))
        again = {group: 0 for group in ledger["groups"]}
        for row in proof["moves"][0]["positions"]:
            assert row["replayed"] is not None, row  # by now every group has committed everywhere
            again[row["group"]] += row["replayed"]
        for group, found in ledger["groups"].items():
            assert found["replayed"] <= again[group], (group, found, again)
        finalized(lab)


def one_at_a_time(lab: Lab) -> None:
    """Hold the run at the gates; while it runs, a second one is told who holds it."""
    line = [*KAFKAOPS, "upgrade", "--strategy=blue-green", "--yes", "--until", "gates"]
    first = subprocess.Popen(
        [*line, *lab.configured], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        until = time.monotonic() + 120
        while not any(r["status"] == "running" for r in lab.shown("run", "list")["runs"]):
            assert first.poll() is None, "the first ended before it began"
            assert time.monotonic() < until, "the first never began"
            time.sleep(0.2)
        said = lab.upgrade(expect=6)
        assert f"{first.pid}" in said, f"the holder is not named: {said}"
    finally:
        out, _ = first.communicate(timeout=300)
    assert first.returncode == 0, out[-6000:]


def refused_while_knocking(lab: Lab) -> None:
    lab.python(KNOCK)
    said = lab.kafkaops("run", "finalize", "--confirm", "demo", expect=5)
    assert "KO-STILL-KNOCKING" in said, said
    assert "127.0.0.1 at blue-1" in said, said


def finalized(lab: Lab) -> None:
    """Once the knock is a minute old; afterwards there is no way back."""
    until = time.monotonic() + KNOCK_MEMORY + 30
    while (ended := lab.ends("run", "finalize", "--confirm", "demo")).returncode == 5:
        assert time.monotonic() < until, ended.stderr[-3000:]
        time.sleep(2)
    assert ended.returncode == 0, ended.stderr[-6000:]
    assert {r["ttl"] for r in lab.shown("cutover", "show")["records"]} == {5}
    up = {p["name"] for p in lab.shown("lab", "status")["processes"] if p["active"]}
    assert not [name for name in up if name.endswith("/mirror")], up
    assert "producer.id.expiration.ms" not in (
        (lab.dir / "hosts" / "blue-1" / "server.properties").read_text()
    )
    said = lab.kafkaops("run", "rollback", "--yes", expect=5)
    assert "KO-FINALIZED" in said, said
    assert lab.shown("run", "finalize", "--confirm", "demo")["outcome"] == "nothing-to-do"


@turn("cannot-forward")
def test_green_that_cannot_forward_refuses_until_the_cut(tmp_path: Path) -> None:
    with lab_of(tmp_path, {"cutover.forward": "refuse"}) as lab:
        lab.kafkaops(
            *("lab", "load", "start", "--rate", "50"),
            *("--producers", "p-rdkafka:librdkafka,p-java3:java-3.9.2"),
            *("--groups", "orders-rdkafka:librdkafka:2,orders-python:kafka-python"),
        )
        lab.upgrade("--until", "names")
        hosts = {h["host"]: h for h in lab.shown("cutover", "show")["hosts"]}
        for number in (1, 2, 3):
            assert hosts[f"green-{number}"]["fence"] == "permanent", hosts
            assert not hosts[f"green-{number}"]["forward"], hosts
        assert all(r["points_to"] == "green" for r in lab.shown("cutover", "show")["records"])
        lab.kafkaops("run", "resume", "--yes")
        time.sleep(3)
        lab.kafkaops("lab", "load", "stop")
        judge(lab.ledger("green"))
