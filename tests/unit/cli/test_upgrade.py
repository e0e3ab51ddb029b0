"""`upgrade`, `apply` and `run` on a toy world: consent, exit codes, going on, going back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafkaops.cli.main import run
from kafkaops.engine.clock import SystemClock
from kafkaops.engine.lease import Holder, held_by
from kafkaops.engine.store import Store
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import FakeOperations

ALL = ["ttl", "names", "fence", "open", "bake"]


def upgrade(kafkaops: Kafkaops, *more: str, **flags: Any) -> tuple[int, Any, str]:
    return kafkaops("upgrade", "--strategy", "blue-green", *more, **flags)


@pytest.mark.parametrize(
    "argv",
    [
        ("--strategy", "rolling"),  # to what?
        ("--strategy", "rolling", "--to", "newest"),
        ("--strategy", "rolling", "--to", "4.3.1", "--max-batch", "2", "--whole-racks"),
        ("--strategy", "rolling", "--to", "4.3.1", "--cluster", "red"),
        ("--strategy", "rolling", "--to", "4.3.1", "--outage", "600"),
        ("--strategy", "downtime"),
        ("--strategy", "downtime", "--to", "4.3.1", "--max-batch", "2"),
        ("--strategy", "blue-green", "--max-batch", "2"),
        ("--strategy", "blue-green", "--outage", "600"),
        ("--strategy", "blue-green", "--only", "1"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(
    kafkaops: Kafkaops, operations: FakeOperations, argv: tuple[str, ...]
) -> None:
    code, document, _ = kafkaops("upgrade", *argv, "--plan")  # which needs nobody's consent
    assert (code, operations.done) == (2, [])
    assert document["error"]["hint"]


def test_an_unknown_strategy(kafkaops: Kafkaops) -> None:
    code, document, _ = kafkaops("upgrade", "--strategy", "green-blue")
    assert (code, document["error"]["code"]) == (2, "KO-STRATEGY-UNKNOWN")


def test_a_plan_changes_nothing_and_exits_10_when_asked(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path
) -> None:
    code, document, _ = upgrade(kafkaops, "--plan", "--to", "4.3")
    assert code == 0
    assert [s["id"] for s in document["plan"]["specs"]] == ALL
    assert upgrade(kafkaops, "--plan", "--detailed-exitcode")[0] == 10
    assert operations.done == []
    assert operations.asked_to == ["4.3", None]
    assert not (config.parent / "state").exists()


def test_a_plan_as_text_names_what_asks_and_what_decides(kafkaops: Kafkaops) -> None:
    code, out, err = upgrade(kafkaops, "--plan", json_=False)
    assert code == 0
    assert "names\tnames\tdo names\tasks: Move the names?" in out.splitlines()
    assert "decides: from here only forward" in out
    assert "KO-NOTE" in err


def test_without_a_terminal_consent_is_a_flag(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    code, document, err = upgrade(kafkaops)
    assert code == 2
    assert document["error"]["hint"] == "repeat the command with --yes"
    assert "plan orders-" in err
    assert operations.done == []


def test_a_run_to_its_end(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    code, document, err = upgrade(kafkaops, "--yes", "--reason", "CHG-1")
    assert (code, document["outcome"], operations.done) == (0, "done", ALL)
    assert "== move the names" in err
    assert "✓ [bake] do bake: done" in err
    proof = document["proof"]
    assert (proof["reason"], proof["outcome"]) == ("CHG-1", "done")
    assert [p["name"] for p in proof["phases"]] == ["ttl", "names", "cutover", "bake"]
    commands = " ".join(document["next"])
    assert f"kafkaops run rollback {document['run']} -c" in commands
    assert "run finalize" in commands


def test_the_same_command_again_finds_nothing_to_do(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    upgrade(kafkaops, "--yes")
    code, document, _ = upgrade(kafkaops, "--yes")
    assert (code, document["outcome"]) == (0, "nothing-to-do")
    assert operations.done == ALL
    assert len(kafkaops("run", "list")[1]["runs"]) == 1


def test_protected_clusters_want_the_name(
    operations: FakeOperations, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write({"green.protected": True}))
    command = ["upgrade", "--strategy", "blue-green", "-c", path]
    assert run([*command, "--yes"], operations) == 2
    assert "--confirm orders" in capsys.readouterr().err
    assert run([*command, "--confirm", "order"], operations) == 2
    assert operations.done == []
    assert run([*command, "--confirm", "orders"], operations) == 0
    assert operations.done == ALL


def test_a_failed_run_prints_how_to_go_on_and_the_same_command_goes_on(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.broken.add("bake")
    code, document, _ = upgrade(kafkaops, "--yes")
    assert code == 8
    error = document["error"]
    assert error["code"] == "KO-TOY"
    assert error["resume"].startswith("kafkaops run resume orders-")
    code, _, err = upgrade(kafkaops, "--yes", json_=False)
    assert code == 8
    assert "kafkaops run resume orders-" in err
    assert "going on with it" in err
    operations.broken.clear()
    code, document, _ = upgrade(kafkaops, "--yes")
    assert (code, operations.done) == (0, ALL)
    assert len(kafkaops("run", "list")[1]["runs"]) == 1


def test_a_failure_inside_the_pause_goes_back_and_says_so(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.broken.add("open")
    code, document, _ = upgrade(kafkaops, "--yes")
    assert code == 9
    assert "resume" in document["error"]
    assert operations.done == ["ttl", "names"]
    assert kafkaops("run", "show")[1]["status"] == "returned"


def test_until_holds_and_resume_goes_on(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    code, document, _ = upgrade(kafkaops, "--yes", "--until", "ttl")
    assert (code, document["outcome"], operations.done) == (0, "held", ["ttl"])
    assert "run resume" in document["next"][0]
    code, document, _ = kafkaops("run", "resume", "--yes")
    assert (code, operations.done) == (0, ALL)
    assert kafkaops("run", "resume", "--yes")[1]["outcome"] == "nothing-to-do"


def test_an_unknown_phase_names_the_known(kafkaops: Kafkaops) -> None:
    code, document, _ = upgrade(kafkaops, "--yes", "--until", "nams")
    assert code == 2
    assert "ttl, names, cutover, bake" in document["error"]["hint"]


def test_a_held_lease_exits_6_with_the_holders_name(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    operations.held = held_by("orders", Holder("ann", "ops1", 7, "r0", 1.0))
    code, document, _ = upgrade(kafkaops, "--yes")
    assert code == 6
    assert "ann@ops1" in document["error"]["message"]
    assert kafkaops("run", "list")[1]["runs"] == []


def test_a_second_upgrade_at_the_same_time_exits_6(
    kafkaops: Kafkaops, operations: FakeOperations, config: Path, tmp_path: Path
) -> None:
    found: list[int] = []
    said: list[str] = []

    def second(step: str) -> None:
        if step == "ttl":
            code, document, _ = nested(config, operations, tmp_path)
            found.append(code)
            said.append(document["error"]["message"])

    operations.on_act.append(second)
    assert upgrade(kafkaops, "--yes", json_=False)[0] == 0
    assert found == [6]
    assert f"pid {os.getpid()}" in said[0]


def nested(config: Path, operations: FakeOperations, tmp_path: Path) -> tuple[int, Any, str]:
    """A second command line while the first one runs, in a process of its own."""
    out = tmp_path / "second.json"
    child = os.fork()
    if child == 0:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        import sys

        sys.stdout = os.fdopen(1, "w")
        argv = ["upgrade", "--strategy", "blue-green", "--yes", "-c", str(config), "-o", "json"]
        code = run(argv, FakeOperations())
        sys.stdout.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(out.read_text()), ""


def test_ctrl_c_stops_after_the_step_and_prints_the_resume_command(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    def interrupt(step: str) -> None:
        if step == "ttl":
            os.kill(os.getpid(), signal.SIGINT)

    operations.on_act.append(interrupt)
    code, document, _ = upgrade(kafkaops, "--yes")
    assert code == 130
    assert "kafkaops run resume" in document["error"]["resume"]
    assert operations.done == ["ttl"]


def test_ctrl_c_inside_the_pause_goes_back(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    def interrupt(step: str) -> None:
        if step == "fence":
            os.kill(os.getpid(), signal.SIGINT)

    operations.on_act.append(interrupt)
    code, _, _ = upgrade(kafkaops, "--yes")
    assert code in (9, 130)
    assert operations.done == ["ttl", "names"]


def test_a_question_nobody_can_answer_is_a_decline(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    upgrade(kafkaops, "--yes", "--until", "ttl")
    code, document, _ = kafkaops("run", "resume")
    assert (code, document["error"]["hint"]) == (2, "repeat the command with --yes")


def test_rollback_before_the_cut_undoes(kafkaops: Kafkaops, operations: FakeOperations) -> None:
    upgrade(kafkaops, "--yes", "--until", "names")
    code, document, _ = kafkaops("run", "rollback", "--yes")
    assert (code, document["outcome"], operations.done) == (0, "rolled-back", [])
    assert kafkaops("run", "rollback", "--yes")[1]["outcome"] == "nothing-to-do"
    assert upgrade(kafkaops, "--yes")[1]["outcome"] == "done"


def test_rollback_after_the_cut_is_a_move_of_its_own(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    upgrade(kafkaops, "--yes")
    operations.broken.add("open-back")
    code, document, _ = kafkaops("run", "rollback", "--yes")
    assert code == 8
    assert upgrade(kafkaops, "--yes")[1]["error"]["code"] == "KO-GOING-BACK"
    operations.broken.clear()
    operations.done.remove("open")  # clients write to blue again
    code, document, _ = kafkaops("run", "resume", "--yes")
    assert code == 0
    assert document["status"] == "rolled-back"


def test_finalize_wants_the_name_and_a_finished_run(
    kafkaops: Kafkaops, operations: FakeOperations
) -> None:
    upgrade(kafkaops, "--yes", "--until", "names")
    assert kafkaops("run", "finalize", "--confirm", "orders")[0] == 5
    kafkaops("run", "resume", "--yes")
    code, document, _ = kafkaops("run", "finalize", "--yes")
    assert (code, document["error"]["hint"]) == (2, "repeat the command with --confirm orders")
    code, document, _ = kafkaops("run", "finalize", "--confirm", "orders")
    assert (code, document["status"]) == (0, "finalized")
    assert kafkaops("run", "finalize", "--confirm", "orders")[1]["outcome"] == "nothing-to-do"
    assert upgrade(kafkaops, "--yes")[1]["outcome"] == "nothing-to-do"


def test_apply_a_saved_plan_once(
    kafkaops: Kafkaops, operations: FakeOperations, tmp_path: Path
) -> None:
    file = str(tmp_path / "plan.json")
    assert upgrade(kafkaops, "--plan", "--out", file)[0] == 0
    code, document, _ = kafkaops("apply", file, "--yes")
    assert (code, operations.done) == (0, ALL)
    assert document["run"] == json.loads(Path(file).read_text())["id"]
    assert kafkaops("apply", file, "--yes")[1]["outcome"] == "nothing-to-do"


def test_apply_refuses_another_config_and_an_edited_plan(
    kafkaops: Kafkaops, operations: FakeOperations, write: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    upgrade(kafkaops, "--plan", "--out", str(file))
    write({"cutover.ttl": 59})
    code, document, _ = kafkaops("apply", str(file), "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-PLAN-DRIFT")
    assert any("cutover.ttl" in line for line in document["error"]["details"])
    write({"name": "payments"})
    code, document, _ = kafkaops("apply", str(file), "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-PLAN-OTHER-CLUSTER")
    write()
    edited = json.loads(file.read_text())
    edited["specs"] = edited["specs"][:2]
    file.write_text(json.dumps(edited))
    code, document, _ = kafkaops("apply", str(file), "--yes")
    assert (code, document["error"]["code"]) == (4, "KO-PLAN-EDITED")
    file.write_text("{")
    assert kafkaops("apply", str(file), "--yes")[1]["error"]["code"] == "KO-FILE-JSON"
    assert kafkaops("apply", "nowhere.json", "--yes")[1]["error"]["code"] == "KO-FILE-READ"
    assert operations.done == []


def test_run_show_list_watch_and_report(
    kafkaops: Kafkaops, operations: FakeOperations, tmp_path: Path
) -> None:
    operations.broken.add("bake")
    upgrade(kafkaops, "--yes")
    listed = kafkaops("run", "list")[1]["runs"]
    assert [(r["status"], r["done"], r["total"]) for r in listed] == [("failed", 4, 5)]
    shown = kafkaops("run", "show")[1]
    assert {s["id"]: s["state"] for s in shown["steps"]} == {
        "ttl": "done",
        "names": "done",
        "fence": "done",
        "open": "done",
        "bake": "failed",
    }
    code, document, err = kafkaops("run", "watch")
    assert (code, document["status"]) == (8, "failed")
    assert "✓ [ttl] do ttl: done" in err
    page = tmp_path / "report.html"
    code, document, _ = kafkaops("run", "report", "--out", str(page))
    assert (code, document["outcome"]) == (0, "failed")
    assert page.read_text().startswith("<!doctype html>")
    code, _, err = kafkaops("run", "report", "--out", str(tmp_path / "no" / "page.html"))
    assert code == 4


def test_no_run_and_an_unknown_run(kafkaops: Kafkaops) -> None:
    assert kafkaops("run", "show")[1]["error"]["code"] == "KO-RUN-NONE"
    assert kafkaops("run", "show", "nope")[1]["error"]["code"] == "KO-RUN-UNKNOWN"
    assert kafkaops("run", "list")[1]["runs"] == []


def test_a_damaged_journal_is_refused(kafkaops: Kafkaops, config: Path) -> None:
    upgrade(kafkaops, "--yes", "--until", "names")
    (summary,) = Store(config.parent / "state", SystemClock()).list()
    (journal,) = (config.parent / "state" / "runs" / summary.id).glob("0*.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], *lines[2:]]))
    code, document, _ = kafkaops("run", "resume", summary.id, "--yes")
    assert (code, document["error"]["code"]) == (4, "KO-JOURNAL-DAMAGED")
    assert kafkaops("run", "list")[1]["runs"][0]["damage"]
    assert upgrade(kafkaops, "--yes")[1]["error"]["code"] == "KO-JOURNAL-DAMAGED"


def test_what_ran_is_in_the_audit_log(kafkaops: Kafkaops, config: Path) -> None:
    upgrade(kafkaops, "--yes", "--reason", "CHG-9")
    lines = (config.parent / "state" / "audit.jsonl").read_text().splitlines()
    begun, ended = (json.loads(line) for line in lines)
    assert begun["reason"] == "CHG-9"
    assert "--yes" in begun["argv"]
    assert (begun["outcome"], ended["outcome"], ended["exit"]) == ("", "done", 0)


@pytest.mark.parametrize(
    ("voters", "command"),
    [
        ([4, 5, 6], "kafkaops features plan --to 4.3.1"),
        ([], "kafkaops upgrade protocol --to 4.3 --plan"),
    ],
)
def test_the_end_of_a_rolling_upgrade_names_how_it_is_finalised(
    kafkaops: Kafkaops, operations: FakeOperations, voters: list[int], command: str
) -> None:
    operations.voters = voters
    code, document, _ = kafkaops("upgrade", "--strategy", "rolling", "--to", "4.3.1", "--yes")
    assert code == 0
    assert any(said.startswith(command) for said in document["next"]), document["next"]
