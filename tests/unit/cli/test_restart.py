"""`restart` on a toy world: consent, saved plans, going on, and which run a command means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from kafkaops.cli.conducted import CONDUCT, conducted
from kafkaops.cli.progress import Board
from kafkaops.cli.restart import moment
from kafkaops.cli.rolls import figures, in_order, lines, summary, wishes
from kafkaops.engine.errors import ConfigError, UsageFault
from kafkaops.engine.facts import FileFacts
from kafkaops.engine.lease import lost
from kafkaops.upgrade.rolling.choosing import SOAK, Options
from kafkaops.upgrade.rolling.phases import ACCEPTED, LOST, UNCLEAN, WITHOUT
from tests.crash.restart_scene import Restart
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations


def test_every_operation_has_what_conducts_it() -> None:
    for operation in CONDUCT:
        found = conducted(operation)
        assert all(callable(getattr(found, n)) for n in ("begin", "resume", "rollback", "finalize"))
    assert conducted("restart").deed != conducted("features").deed
    with pytest.raises(ConfigError, match="elsewhere"):
        conducted("elsewhere")


def test_a_plan_changes_nothing_and_is_applied_later(
    kafkaops: Kafkaops, operations: FakeOperations, tmp_path: Path
) -> None:
    file = str(tmp_path / "plan.json")
    code, document, _ = kafkaops("restart", "--plan", "--out", file, "--only", "1")
    assert code == 0
    assert document["plan"]["operation"] == "restart"
    assert document["plan"]["snapshot"]["options"]["only"] == ["1"]
    assert operations.done == []
    code, document, err = kafkaops("apply", file, "--yes")
    assert (code, document["outcome"], operations.done) == (0, "done", ["stop", "start"])
    assert "for each batch:" in err
    assert kafkaops("apply", file, "--yes")[1]["outcome"] == "nothing-to-do"


CHOICES = ("--only", "3", "--only", "blue-5", "--no-canary", "--soak", "60")
LIMITS = ("--max-batch", "2", "--gate-looks", "5", "--gate-timeout", "77", "--return-timeout", "99")
ACCEPTS = ("--accept-unavailable", "scratch", "--accept-unavailable", "t-?")
SAID = Options(
    only=("3", "blue-5"),
    canary=False,
    soak=60.0,
    max_batch=2,
    gate_looks=5,
    gate_timeout=77.0,
    return_timeout=99.0,
    accept=("scratch", "t-?"),
)


def options_of(kafkaops: Kafkaops, *argv: str) -> dict[str, Any]:
    code, document, _ = kafkaops(*argv, "--plan")
    assert code == 0, document
    found: dict[str, Any] = document["plan"]["snapshot"]["options"]
    return found


def test_each_flag_of_a_restart_is_heeded(kafkaops: Kafkaops) -> None:
    since = ("--not-restarted-since", "2026-11-26T10:00Z")
    more = ("--cluster", "green", "--rack", "b", "--changed-config", *since)
    found = options_of(kafkaops, "restart", *CHOICES, *LIMITS, *ACCEPTS, *more)
    moment_of_it = moment("2026-11-26T10:00Z")
    wanted = replace(SAID, cluster="green", rack="b", since=moment_of_it, changed=True)
    assert found == wanted.to_json()
    assert options_of(kafkaops, "restart", "--whole-racks")["whole_racks"] is True
    assert options_of(kafkaops, "restart") == Options(soak=SOAK).to_json()


def test_each_flag_of_an_upgrade_on_the_hosts_is_heeded(kafkaops: Kafkaops) -> None:
    roll = ("upgrade", "--to", "4.3.1", "--cluster", "green", "--strategy")
    found = options_of(kafkaops, *roll, "rolling", *CHOICES, *LIMITS, *ACCEPTS)
    assert found == replace(SAID, cluster="green", to="4.3.1").to_json()
    assert options_of(kafkaops, *roll, "rolling", "--whole-racks")["whole_racks"] is True
    found = options_of(kafkaops, *roll, "downtime", "--outage", "900", "--return-timeout", "99")
    usual = Options(soak=SOAK, cluster="green", to="4.3.1")
    assert found == replace(usual, outage=900.0, return_timeout=99.0).to_json()


def test_consent_is_asked_for_and_the_plan_shown_before(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    code, document, err = kafkaops("restart")
    assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert err.index("plan orders-restart-") < err.index("KO-NOTE")
    assert operations.done == []


def test_nobody_left_is_nothing_to_do(kafkaops: Kafkaops) -> None:
    code, document, _ = kafkaops("restart", "--only", "none", "--yes")
    assert (code, document["outcome"]) == (0, "nothing-to-do")


def test_a_restart_that_failed_is_gone_on_with_by_who_asks_for_the_same(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.broken.add("start")
    code, document, _ = kafkaops("restart", "--yes")
    assert code == 8
    run = document["error"]["resume"].split()[3]
    code, document, _ = kafkaops("restart", "--only", "1", "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-RUN-UNFINISHED")
    assert run in document["error"]["hint"]
    operations.broken.clear()
    code, document, _ = kafkaops("restart", "--yes")
    assert (code, document["run"], operations.done) == (0, run, ["stop", "start"])


def test_a_resume_accepts_by_name_where_nodes_are_stopped(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    operations.broken.add("start")
    run = kafkaops("restart", "--yes")[1]["error"]["resume"].split()[3]
    accept = ("--accept-unavailable", "lonely", "--accept-unavailable", "t-?", "--yes")
    assert kafkaops("run", "resume", run, *accept)[0] == 8
    (fact,) = config.parent.rglob(f"{ACCEPTED}.json")
    assert json.loads(fact.read_text()) == ["lonely", "t-?"]
    operations.broken.clear()
    assert kafkaops("run", "resume", run, "--yes")[0] == 0
    kafkaops("upgrade", "--strategy", "blue-green", "--until", "one", "--yes")
    code, document, _ = kafkaops("run", "resume", *accept)
    assert (code, document["error"]["code"]) == (2, "KO-USAGE")


def test_going_back_forgets_who_was_left_out_on_the_way_there(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    operations.broken.add("start")
    run = kafkaops("restart", "--yes")[1]["error"]["resume"].split()[3]
    facts = FileFacts(next(config.parent.rglob(run)) / "facts")
    facts.put(WITHOUT, ["blue-3"])
    facts.put(UNCLEAN, ["*"])
    facts.put(LOST, ["*"])
    facts.put(ACCEPTED, ["lonely"])
    assert kafkaops("run", "rollback", run, "--yes")[0] == 0
    assert [facts.get(fact) for fact in (WITHOUT, UNCLEAN, LOST)] == [None] * 3
    assert facts.get(ACCEPTED) == ["lonely"]


def test_going_back_accepts_by_name_too(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    operations.broken.add("start")
    run = kafkaops("restart", "--yes")[1]["error"]["resume"].split()[3]
    assert kafkaops("run", "rollback", run, "--accept-unavailable", "lonely", "--yes")[0] == 0
    (fact,) = config.parent.rglob(f"{ACCEPTED}.json")
    assert json.loads(fact.read_text()) == ["lonely"]


def test_a_resume_that_is_refused_leaves_nothing_of_its_wishes(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    operations.broken.add("start")
    run = kafkaops("restart", "--yes", "--reason", "CHG-1")[1]["error"]["resume"].split()[3]
    facts = FileFacts(next(config.parent.rglob(run)) / "facts")
    facts.put(ACCEPTED, ["lonely"])
    before = {name: facts.get(name) for name in facts.names()}
    wish = ("--accept-unavailable", "*", "--reason", "CHG-2", "--yes")
    code, document, _ = kafkaops("run", "resume", run, "--until", "nowhere", *wish)
    assert (code, document["error"]["code"]) == (2, "KO-PHASE-UNKNOWN")
    assert {name: facts.get(name) for name in facts.names()} == before
    operations.lost = lost("demo", "another took it")
    assert kafkaops("run", "resume", run, *wish)[0] == 6
    assert {name: facts.get(name) for name in facts.names()} == before


@pytest.mark.parametrize("operation", ["restart", "rolling-back", "downtime-back", "protocol"])
def test_whatever_stops_nodes_may_go_on_without_one(operation: str) -> None:
    spec = SimpleNamespace(args={"host": "blue-3"})
    plan = SimpleNamespace(operation=operation, specs=[spec])
    run = cast(Any, SimpleNamespace(id="r", operation=operation, last=SimpleNamespace(plan=plan)))
    assert wishes(run, {WITHOUT: ["blue-3"], LOST: None}) == {WITHOUT: ("blue-3",)}
    for fact, flag in ((UNCLEAN, "elect-unclean"), (LOST, "accept-lost")):
        if operation == "downtime-back":
            assert wishes(run, {fact: ["*"]}) == {fact: ("*",)}
        else:
            with pytest.raises(UsageFault, match=flag):
                wishes(run, {fact: ["*"]})
    with pytest.raises(UsageFault, match="blue-9"):
        wishes(run, {WITHOUT: ["blue-9"]})


def test_a_restart_that_is_over_does_not_hide_an_upgrade(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    kafkaops("upgrade", "--strategy", "blue-green", "--yes")
    operations.broken.add("start")
    kafkaops("restart", "--yes")
    assert kafkaops("run", "show")[1]["operation"] == "restart"
    operations.broken.clear()
    assert kafkaops("run", "resume", "--yes")[0] == 0
    assert kafkaops("run", "show")[1]["operation"] == "blue-green"


def test_alone_it_is_the_run_that_is_meant_and_can_be_rolled_back(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.broken.add("start")
    kafkaops("restart", "--yes")
    code, document, _ = kafkaops("run", "rollback", "--yes")
    assert (code, document["outcome"], operations.done) == (0, "rolled-back", [])
    assert kafkaops("run", "watch", "--once")[0] == 0


def test_the_end_says_who_is_back_and_who_is_not() -> None:
    world = Restart(Options(only=("1", "2")))
    world.facts.put("restart.blue-1.soaked", {"at": 1.0})
    plan = world.scene().plan
    directory = SimpleNamespace(facts=lambda: world.facts)
    run = SimpleNamespace(directory=directory, last=SimpleNamespace(plan=plan))
    assert summary(cast(Any, run)) == [
        "restarted and back in sync: blue-1",
        "not restarted, or not watched to the end: blue-2",
    ]
    told = {"back": {"": ["blue-1"]}, "left": ["blue-2"], "clean": [], "unclean": {}}
    assert figures(cast(Any, run)) == told
    assert any("batch 1, " in line for line in lines(plan))


def test_who_catches_up_is_shown_with_batch_host_phase_partitions_rate_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = Restart(Options(only=("1", "3")))
    scene = world.scene()
    scene.events = Board(len(scene.plan.specs), clock=world.clock)
    mine = [part for part in world.cluster.parts.values() if 1 in part.replicas]
    assert len(mine) == 4

    def one_by_one() -> None:
        """Each partition of broker 1 a minute after the one before."""
        node = world.cluster.nodes[1]
        for turn, part in enumerate(mine):
            if node.starts > 1 and 1 in part.ready:
                part.ready[1] = max(part.ready[1], node.ready + 60.0 * (turn + 1))

    world.cluster.on_tick = one_by_one
    scene.process()
    shown = [line for line in capsys.readouterr().err.splitlines() if "so far" in line]
    assert shown[:4:3] == [
        "  [sync] batch 2/2: blue-1 is in sync: 31 s so far; 0 of 4 partitions in sync:"
        " orders-0, orders-4, orders-5, orders-6",
        "  [sync] batch 2/2: blue-1 is in sync: 2 min 01 s so far; 2 of 4 partitions in sync,"
        " 1.0 partitions in sync/min, 2 min 01 s left: orders-5, orders-6",
    ]


def test_phases_are_shown_once_and_in_the_order_of_a_broker() -> None:
    controller, broker = ["gate", "stop", "up", "soak"], ["gate", "stop", "up", "sync", "soak"]
    assert in_order([*controller, *controller, *broker, *broker]) == broker
    assert in_order(broker) == broker


@pytest.mark.parametrize(
    "argv",
    [
        ("--max-batch", "2", "--whole-racks"),
        ("--cluster", "red"),
        ("--not-restarted-since", "yesterday"),
    ],
)
def test_what_makes_no_sense_is_said(kafkaops: Kafkaops, argv: tuple[str, ...]) -> None:
    code, document, _ = kafkaops("restart", *argv)
    assert code == 2
    assert document["error"]["hint"]


def test_a_moment_is_utc_unless_it_says_otherwise() -> None:
    assert moment("2026-11-26T10:00") == moment("2026-11-26T10:00Z")
    assert moment("2026-11-26T12:00+02:00") == moment("2026-11-26T10:00Z")
    with pytest.raises(UsageFault):
        moment("soon")


def test_a_cluster_alone_is_restarted_and_asked_after(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    pair = yaml.safe_load(config.read_text())
    alone = {k: v for k, v in pair.items() if k not in ("green", "mirror", "cutover")}
    config.write_text(yaml.safe_dump(alone))
    code, document, _ = kafkaops("restart", "--yes")
    assert (code, document["outcome"], operations.done) == (0, "done", ["stop", "start"])
    assert kafkaops("run", "show")[0] == kafkaops("config", "validate")[0] == 0
    code, document, _ = kafkaops("restart", "--cluster", "green", "--yes")
    assert (code, document["error"]["code"]) == (4, "KO-CONFIG-NO-GREEN")
