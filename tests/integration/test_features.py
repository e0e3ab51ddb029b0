"""Feature levels of real clusters: shown, lowered, raised again, and what has no way back."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.pair import Pair

pytestmark = pytest.mark.lab

SHARE, ELR = "share.version", "eligible.leader.replicas.version"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("features"))
    made.in_lab("lab", "up")
    try:
        yield made
    finally:
        made.in_lab("lab", "down")


def shown(pair: Pair, colour: str) -> dict[str, dict[str, Any]]:
    document = json.loads(pair.kafkaops("features", "show", "--cluster", colour, "-o", "json"))
    assert document["controllers_unseen"] == ""
    assert {n["id"]: (n["broker"], n["controller"], n["member"]) for n in document["nodes"]} == {
        n: (True, True, True) for n in (1, 2, 3)
    }
    return {row["feature"]: row for row in document["features"]}


def levels(pair: Pair, colour: str) -> dict[str, int]:
    return {name: row["finalized"] for name, row in shown(pair, colour).items()}


def code(pair: Pair, *argv: str) -> str:
    return str(pair.refused("features", *argv, changes=())["error"]["code"])


def test_a_new_cluster_is_shown_as_its_release_sets_it(pair: Pair) -> None:
    found = shown(pair, "green")
    assert found["metadata.version"]["name"] == "4.3-IV0"
    assert found["metadata.version"]["supported"]["1"] == [7, 30]
    others = {name: (row["finalized"], row["release_sets"]) for name, row in found.items()}
    del others["kraft.version"]
    assert all(level == sets for level, sets in others.values()), others
    assert found[SHARE]["supported"] == {n: [0, 1] for n in "123"}, (
        "a lowest level of 0 is left out"
    )
    blue = shown(pair, "blue")
    assert (blue["metadata.version"]["finalized"], blue["metadata.version"]["lowest"]) == (21, 17)


def test_down_within_the_window_and_up_again_though_killed(pair: Pair) -> None:
    before = levels(pair, "green")
    down = ("features", "downgrade", "--cluster", "green", "--feature", f"{SHARE}=0")
    pair.kafkaops(*down, "--feature", f"{ELR}=0", "--yes")
    assert levels(pair, "green") == before | {SHARE: 0, ELR: 0}
    pair.kafkaops(
        "features", "plan", "--cluster", "green", "--to", "4.3", "--detailed-exitcode", expect=10
    )
    line = pair.line("features", "finalize", "--cluster", "green", "--to", "4.3", "--yes")
    killed = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert killed.stderr is not None
    for said in killed.stderr:
        if ELR in said and "done" in said:
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait(30)
    pair.kafkaops("features", "finalize", "--cluster", "green", "--to", "4.3", "--yes")
    assert levels(pair, "green") == before


def test_the_way_down_of_metadata_version_is_as_our_table_says(pair: Pair) -> None:
    """3.9 to 3.7-IV2 and back; one level further Kafka refuses, and so do we."""
    assert code(pair, "downgrade", "--feature", "metadata.version=16") == "KO-FEATURE-NO-WAY-BACK"
    assert code(pair, "downgrade", "--cluster", "green", "--to", "4.2") == "KO-FEATURE-NO-WAY-BACK"
    pair.kafkaops("features", "downgrade", "--feature", "metadata.version=17", "--yes")
    assert levels(pair, "blue")["metadata.version"] == 17
    run = json.loads(pair.kafkaops("features", "finalize", "--to", "3.9", "--yes", "-o", "json"))[
        "run"
    ]
    assert levels(pair, "blue")["metadata.version"] == 21
    pair.kafkaops("run", "rollback", run, "--yes")
    assert levels(pair, "blue")["metadata.version"] == 17
    pair.kafkaops("features", "finalize", "--to", "3.9.2", "--yes")


def test_what_makes_no_sense_is_refused(pair: Pair) -> None:
    assert code(pair, "plan", "--to", "4.3") == "KO-FEATURE-UNSUPPORTED"
    assert code(pair, "plan", "--to", "5.0") == "KO-RELEASE-UNKNOWN"
    assert code(pair, "finalize", "--cluster", "green", "--to", "4.2") == "KO-FEATURE-LOWER"
    found = pair.refused("features", "show", changes=("blue.bootstrap=[127.0.9.9:9094]",))
    assert found["exit"] == 4


def test_a_broker_that_is_down_does_not_hinder_and_catches_up(pair: Pair) -> None:
    pair.control("stop", "green-3/kafka")
    try:
        pair.kafkaops(
            "features", "downgrade", "--cluster", "green", "--feature", f"{SHARE}=0", "--yes"
        )
    finally:
        pair.control("start", "green-3/kafka")
    deadline = time.monotonic() + 60
    while json.loads(pair.kafkaops("features", "show", "--cluster", "green", "-o", "json"))[
        "features"
    ][5]["supported"].keys() != {"1", "2", "3"}:
        assert time.monotonic() < deadline, "green-3 did not come back"
        time.sleep(1)
    pair.kafkaops("features", "finalize", "--cluster", "green", "--to", "4.3", "--yes")
    assert levels(pair, "green")[SHARE] == 1


def test_kraft_version_has_no_way_back(pair: Pair) -> None:
    """Last: it cannot be undone."""
    up = ("features", "finalize", "--cluster", "green", "--feature", "kraft.version=1")
    if levels(pair, "green")["kraft.version"] == 1:
        pytest.skip("this lab's quorum is dynamic from its start")
    assert pair.refused(*up, "--yes", changes=())["error"]["code"] == "KO-CONSENT-MISSING"
    pair.kafkaops(*up, "--confirm", "demo")
    assert levels(pair, "green")["kraft.version"] == 1
    down = ("downgrade", "--cluster", "green", "--feature", "kraft.version=0")
    assert code(pair, *down) == "KO-FEATURE-NO-WAY-BACK"
