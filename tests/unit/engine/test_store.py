"""Runs on disk, their facts, their events, their locks; the audit log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kafkaops.engine import history as h
from kafkaops.engine.audit import Audit, redacted, redacted_argv
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import (
    ConfigError,
    LeaseHeld,
    RolledBack,
    StepFailed,
    UsageFault,
)
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.history import History
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Critical, Plan, Progress
from kafkaops.engine.store import RunDirectory, Status, Store
from tests.unit.engine.conftest import FakeLease, Put, Shelf, plan_of, step

CLOCK = FakeClock()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, CLOCK)


def begin(store: Store, id: str, plan: Plan) -> tuple[RunDirectory, Runner[Shelf], Shelf]:
    directory = store.run(id)
    shelf = Shelf(CLOCK)
    journal = directory.begin(plan)
    return directory, Runner(plan, {"put": Put}, shelf, journal, FakeLease(), CLOCK), shelf


def status(store: Store) -> Status:
    (only,) = store.list()
    return only.status


def test_a_saved_plan_is_a_planned_run(store: Store) -> None:
    store.run("r1").save_plan(plan_of("a"))
    assert status(store) is Status.PLANNED
    assert store.existing("r1").saved_plan() == plan_of("a")
    with pytest.raises(ConfigError, match="never begun"):
        store.existing("r1").current()


def test_status_follows_the_journal(store: Store) -> None:
    plan = plan_of("a", step("b", phase="two"))
    directory, runner, shelf = begin(store, "r1", plan)
    assert status(store) is Status.PLANNED
    runner.until = "one"
    runner.run()
    assert status(store) is Status.STOPPED
    shelf.breaks["act b"] = [ValueError("odd")]
    again = Runner(plan, {"put": Put}, shelf, directory.current(), FakeLease(), CLOCK)
    with pytest.raises(StepFailed):
        again.run()
    assert status(store) is Status.FAILED
    again = Runner(plan, {"put": Put}, shelf, directory.current(), FakeLease(), CLOCK)
    again.run()
    (summary,) = store.list()
    assert (summary.status, summary.done, summary.total) == (Status.DONE, 2, 2)
    Runner(plan, {"put": Put}, shelf, directory.current(), FakeLease(), CLOCK).rollback()
    assert status(store) is Status.ROLLED_BACK


def test_a_run_that_is_over_stays_so_until_a_way_back_begins(store: Store) -> None:
    directory, runner, _ = begin(store, "r1", plan_of("a"))
    runner.run()
    past = History(directory.current())
    past.note(h.BEGIN, pid=1)
    assert status(store) is Status.DONE
    past.note(h.ROLLBACK)
    assert status(store) is Status.STOPPED


def test_a_returned_run_says_so(store: Store) -> None:
    plan = plan_of(step("a", critical="c"), criticals=(Critical("c", 5, "a"),))
    _, runner, shelf = begin(store, "r1", plan)
    shelf.breaks["act a"] = [ValueError("odd")]
    with pytest.raises(RolledBack):
        runner.run()
    assert status(store) is Status.RETURNED


def test_a_run_may_have_several_journals(store: Store) -> None:
    for operation, expected in [
        ("blue-green", Status.DONE),
        ("blue-green-finalize", Status.FINALIZED),
        ("blue-green-back", Status.ROLLED_BACK),
    ]:
        plan = Plan("r1", operation, "c1", 1.0, (step("a"),))
        directory, runner, _ = begin(store, "r1", plan)
        runner.run()
        assert status(store) is expected
    assert [p.name for p in directory.journals()] == [
        "001-blue-green.jsonl",
        "002-blue-green-finalize.jsonl",
        "003-blue-green-back.jsonl",
    ]


def test_newest_first_and_a_damaged_run_hides_no_other(store: Store, tmp_path: Path) -> None:
    for id, created in (("old", 1.0), ("new", 2.0)):
        store.run(id).save_plan(Plan(id, "test", "c1", created, (step("a"),)))
    directory, _, _ = begin(store, "bad", plan_of("a"))
    directory.journals()[0].write_text("{}\n")
    (tmp_path / "runs" / "empty").mkdir()
    found = store.list()
    assert [r.id for r in found] == ["new", "old", "bad", "empty"]
    assert "line 1" in found[2].damage


@pytest.mark.parametrize("id", ["../x", "", ".x", "a/b", "x" * 101])
def test_an_impossible_id_is_refused(store: Store, id: str) -> None:
    with pytest.raises(UsageFault):
        store.run(id)


def test_an_unknown_run_is_named(store: Store) -> None:
    with pytest.raises(UsageFault, match="no run 'r9'"):
        store.existing("r9")


def test_a_run_is_running_while_its_lock_is_held(store: Store) -> None:
    directory, _, _ = begin(store, "r1", plan_of("a"))
    with directory.lock():
        assert status(store) is Status.RUNNING
        with pytest.raises(LeaseHeld, match="another process"), store.run("r1").lock():
            pass
    assert not directory.running()


def test_the_lock_falls_with_its_process(store: Store, tmp_path: Path) -> None:
    directory, _, _ = begin(store, "r1", plan_of("a"))
    code = (
        "import sys; from pathlib import Path; from kafkaops.engine.store import Store;"
        "from kafkaops.engine.clock import SystemClock;"
        "lock = Store(Path(sys.argv[1]), SystemClock()).run('r1').lock(); lock.__enter__();"
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    assert directory.running()
    child.kill()
    child.communicate(timeout=10)
    assert not directory.running()


def test_events_are_kept_and_a_cut_line_hides_no_other(store: Store) -> None:
    directory, _, _ = begin(store, "r1", plan_of("a"))
    directory.keep(Event(Kind.PROGRESS, "r1", 1.0, "a", progress=Progress(1, None, "x")))
    with directory.events_path.open("a") as file:
        file.write('{"kind": "pro')
    assert [e["kind"] for e in directory.events()] == ["progress"]
    directory.keep(Event(Kind.DONE, "r1", 2.0))
    directory.keep(Event(Kind.RUN_DONE, "r1", 3.0))
    assert [e["kind"] for e in directory.events()][-1] == "run-done"


def test_the_audit_log_tells_who_did_what(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state" / "audit.jsonl", CLOCK)
    audit.write(["kafkaops", "upgrade"], run="r1", reason="CHG-1", plan_hash="h")
    audit.write(["kafkaops", "upgrade"], run="r1", outcome="done", exit=0)
    began, ended = audit.entries()
    assert (began.argv, began.reason, began.exit) == (("kafkaops", "upgrade"), "CHG-1", None)
    assert (ended.outcome, ended.exit) == ("done", 0)
    assert began.pid > 0


def test_a_writer_that_died_in_its_line_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(path, CLOCK)
    audit.write(["one"])
    path.write_bytes(path.read_bytes() + b'{"at": 1')
    audit.write(["two"])
    assert [e.argv for e in audit.entries()] == [("one",), ("two",)]
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(ConfigError, match="line 1"):
        audit.entries()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--set", "blue.security.password=hunter2"], ["--set", "blue.security.password=***"]),
        (["--password", "hunter2", "x"], ["--password", "***", "x"]),
        (["--token=abc"], ["--token=***"]),
        (["--set", "green.security.password=env:PW"], ["--set", "green.security.password=env:PW"]),
        (["--password", "env:PW"], ["--password", "env:PW"]),
        (["https://me:hunter2@host/x"], ["https://me:***@host/x"]),
        (["AKIAIOSFODNN7EXAMPLE"], ["***"]),
        (["--confirm", "prod", "--reason", "a; b"], ["--confirm", "prod", "--reason", "a; b"]),
    ],
)
def test_secrets_stay_out_of_a_command_line(argv: list[str], expected: list[str]) -> None:
    assert list(redacted_argv(argv)) == expected


def test_secrets_stay_out_of_a_reason(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl", CLOCK)
    audit.write(["x"], reason="rotate, password: hunter2, done", outcome="api_key='k 1' odd")
    assert b"hunter2" not in (tmp_path / "audit.jsonl").read_bytes()
    (entry,) = audit.entries()
    assert entry.reason == "rotate, password: ***, done"
    assert redacted("aws_secret_access_key=abc123") == "aws_secret_access_key=***"
    assert entry.outcome == "api_key=*** odd"
