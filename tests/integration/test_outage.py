"""A move without any firewall, on real clusters: hooks stop all clients and start them on the other
side. Judged by the load's ledger, not by kafkaops' own proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.changed_lab import Lab, hook, judge, lab_of
from tests.integration.sample import turn

pytestmark = pytest.mark.lab

PRODUCERS, GROUPS = ("p-rdkafka", "p-java3"), ("orders-rdkafka", "orders-python")
STRAY = "p-stray"


def declared(name: str, lab: Path, clients: tuple[str, ...], groups: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "moves": "hooks",
        "groups": groups,
        "stop": hook(lab, "pause", *clients),
        "start": hook(lab, "resume", *clients),
    }


@turn("outage")
def test_without_a_firewall_there_and_back_and_never_past_a_writer_without_a_hook(
    tmp_path: Path,
) -> None:
    where = tmp_path / "lab"
    changes = {
        "cutover.fence": "clients",
        "clients": [
            declared("writers", where, PRODUCERS, []),
            declared("readers", where, GROUPS, ["orders-*"]),
        ],
    }
    with lab_of(tmp_path, changes) as lab:
        lab.kafkaops(
            *("lab", "load", "start", "--rate", "50"),
            *("--producers", f"p-rdkafka:librdkafka,p-java3:java-3.9.2,{STRAY}:librdkafka"),
            *("--groups", "orders-rdkafka:librdkafka:2,orders-python:kafka-python"),
        )
        goes_back(lab)
        lab.kafkaops("lab", "load", "pause", STRAY)
        there_and_back(lab)
        lab.kafkaops("lab", "load", "stop")
        judge(lab.ledger("blue"), hooked=GROUPS)
        tables = lab.kafkaops("lab", "shell", "--", "nft", "list", "tables")
        assert "kafkaops" not in tables, tables


def goes_back(lab: Lab) -> None:
    """One producer that no hook stops: exit 9, its topics named, nothing moved, all running."""
    before = lab.shown("cutover", "show")["records"]
    said = lab.upgrade(expect=9)
    assert "do not stand still" in said, said
    assert "orders-" in said or "orders/" in said, said
    after = lab.shown("cutover", "show")["records"]
    assert [(r["name"], r["values"]) for r in after] == [(r["name"], r["values"]) for r in before]
    assert all(r["points_to"] == "blue" for r in after), after
    running = {c["name"]: c["active"] for c in lab.shown("lab", "load", "status")["clients"]}
    assert running
    assert all(running.values()), running
    assert lab.shown("run", "show")["clients_stopped"] == []


def there_and_back(lab: Lab) -> None:
    plan = json.loads(lab.kafkaops("run", "resume", "--yes", "-o", "json"))
    (move,) = plan["proof"]["moves"]
    assert move["pause"]["kind"] == "outage", move["pause"]
    assert move["totals"]["replayed"] == 0, move["totals"]
    assert all(r["points_to"] == "green" for r in lab.shown("cutover", "show")["records"])
    lab.kafkaops("run", "rollback", "--yes")
    assert all(r["points_to"] == "blue" for r in lab.shown("cutover", "show")["records"])
    moves = lab.shown("run", "report")["moves"]
    assert [m["totals"]["replayed"] for m in moves] == [0, 0], moves
    assert [m["pause"]["kind"] for m in moves] == ["outage", "outage"], moves
