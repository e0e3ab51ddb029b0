"""Progress lines: what, how far, how fast, how long still; and nothing live off a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kafkaops.cli.progress import PLAIN_EVERY, WAITED, Board, Running, span
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.step import Progress

NAME = "[verify] compare every record"


def event(
    kind: Kind, seconds: float = 0.0, progress: Progress | None = None, message: str = ""
) -> Event:
    title = "compare every record"
    return Event(kind, "r1", 0.0, "verify", title, "verify", message, seconds, progress)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.21, "0.2 s"), (42.4, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_rate_and_time_left() -> None:
    step = Running(NAME, since=0.0)
    step.note(1.0, Progress(100, 1100, "records"), "")
    assert step.words() == "100 of 1,100 records"
    step.note(3.0, Progress(300, 1100, "records", "a detail"), "")
    assert step.words() == "300 of 1,100 records, 100 records/s, 8.0 s left: a detail"


def test_a_count_that_starts_again_starts_its_rate_again() -> None:
    step = Running(NAME, since=0.0)
    step.note(1.0, Progress(1000, 2000, "records"), "")
    step.note(2.0, Progress(10, 2000, "records"), "")
    step.note(4.0, Progress(30, 2000, "records"), "")
    assert step.rate() == 10


def test_time_held_has_no_rate() -> None:
    step = Running(NAME, since=0.0)
    step.note(0.0, Progress(0, 5, "s held"), "")
    step.note(2.0, Progress(2, 5, "s held", "all gates hold"), "")
    assert step.words() == "2 of 5 s held, 3.0 s left: all gates hold"


def test_the_rate_is_of_late() -> None:
    step = Running(NAME, since=0.0)
    for second in range(100):
        step.note(float(second), Progress(0, 1000, "records"), "")
    for second in range(100, 110):
        step.note(float(second), Progress((second - 99) * 50, 1000, "records"), "")
    rate = step.rate()
    assert rate is not None
    assert rate > 20


def test_what_comes_once_in_a_while_has_a_rate_and_a_time_left_too() -> None:
    """Partitions that catch up: one in 40 s. None is no rate, and 0 a second would be none."""
    step = Running(NAME, since=0.0)
    for second in range(0, 100, 2):
        step.note(float(second), Progress(second // 40, 12, "partitions in sync", "t-3"), "")
    assert step.words() == (
        "2 of 12 partitions in sync, 1.2 partitions in sync/min, 8 min 10 s left: t-3"
    )
    for second in range(100, 200, 2):  # and it comes to a stand
        step.note(float(second), Progress(2, 12, "partitions in sync", "t-3"), "")
    assert "0.6 partitions in sync/min" in step.words()
    assert len(step.seen) < 20


def test_a_step_goes_on_while_its_rate_is_shown() -> None:
    """The terminal is drawn by another thread, which an error would end."""
    step = Running(NAME, since=0.0)

    class Moving(Progress):
        def __getattribute__(self, name: str) -> Any:
            if name == "done" and len(step.seen) < 9:
                step.seen.append((2.0, Progress(2, 12, "records")))
            return super().__getattribute__(name)

    step.seen += [(0.0, Moving(1, 12, "records")), (1.0, Moving(1, 12, "records"))]
    assert "of 12 records" in step.words()


def test_what_has_not_begun_to_change_has_no_rate() -> None:
    step = Running(NAME, since=0.0)
    for second in range(100):
        step.note(float(second), Progress(0, 12, "partitions in sync", "t-3"), "")
    assert step.words() == "0 of 12 partitions in sync: t-3"


def test_off_a_terminal_one_plain_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(1, {"verify": "compare both logs"}, clock=FakeClock())
    with board.shown():
        for kind in (Kind.PHASE, Kind.STARTED, Kind.WAITING, Kind.PROGRESS):
            board(event(kind))
        board(event(Kind.DONE, 3.2))
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err == f"== compare both logs\n✓ {NAME}: done (3.2 s)\n"


def test_a_long_step_is_heard_of_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    board = Board(1, clock=clock)
    for _ in range(int(PLAIN_EVERY * 2) + 1):
        board(event(Kind.PROGRESS, progress=Progress(1, 2, "records")))
        clock.sleep(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"  {NAME}: 30 s so far; 1 of 2 records"


def test_a_long_step_that_has_nothing_to_tell_says_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock()
    board = Board(1, clock=clock)
    for _ in range(int(PLAIN_EVERY) + 1):
        board(event(Kind.PROGRESS))
        clock.sleep(1)
    assert capsys.readouterr().err == f"  {NAME}: 30 s so far\n"


def test_a_wait_says_what_for_by_its_code_and_what_would_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock()
    board = Board(1, clock=clock)
    waiting = replace(
        event(Kind.WAITING, message="b-1: nothing is mounted at /data"),
        data={"code": "KO-VOLUME-NOT-MOUNTED", "hint": "kafkaops volume mount"},
    )
    for _ in range(int(PLAIN_EVERY) + 1):
        board(waiting)
        clock.sleep(1)
    why = "KO-VOLUME-NOT-MOUNTED: b-1: nothing is mounted at /data (next: kafkaops volume mount)"
    assert capsys.readouterr().err == f"  {NAME}: 5.0 s so far; {why}\n"
    for _ in range(int(PLAIN_EVERY)):
        board(waiting)
        clock.sleep(1)
    assert capsys.readouterr().err == f"  {NAME}: 35 s so far; {why}\n"
    other = replace(waiting, data={"code": "KO-VOLUME-OTHER"})
    for _ in range(int(WAITED) + 1):
        board(other)
        clock.sleep(1)
    assert capsys.readouterr().err.count("so far; KO-VOLUME-OTHER") == 1


def test_what_a_step_waited_for_is_not_told_as_it_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock()
    board = Board(1, clock=clock)
    board(replace(event(Kind.WAITING, message="not yet"), data={"code": "KO-GATE-NOT-UP"}))
    clock.sleep(PLAIN_EVERY)
    board(event(Kind.STARTED))
    assert capsys.readouterr().err == ""


def test_a_failure_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(1, clock=FakeClock())
    board(event(Kind.FAILED, 1.0, message="the clusters differ"))
    assert capsys.readouterr().err == f"✗ {NAME}: failed (1.0 s): the clusters differ\n"


def test_a_failure_does_not_say_its_title_twice(capsys: pytest.CaptureFixture[str]) -> None:
    Board(1, clock=FakeClock())(event(Kind.FAILED, message="compare every record: they differ"))
    assert capsys.readouterr().err == f"✗ {NAME}: failed: they differ\n"


def step(kind: Kind, number: int, *, known: bool = False) -> Event:
    named = {"step": f"s-{number}", "title": f"step {number}", "phase": f"p-{number}"}
    return replace(event(kind), **named, data={"known": known})


def test_what_a_resume_finds_as_it_was_left_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = Board(9, clock=FakeClock())
    with board.shown():
        for number in (1, 2, 3):
            board(step(Kind.PHASE, number))
            board(step(Kind.SKIPPED, number, known=True))
        board(step(Kind.PHASE, 4))
        board(step(Kind.SKIPPED, 4))
        board(step(Kind.PHASE, 5))
        board(step(Kind.STARTED, 5))
        assert capsys.readouterr().err.splitlines() == [
            "· 3 steps done before, and still so",
            *("== p-4", "· [p-4] step 4: already so", "== p-5"),
        ]
        board(step(Kind.DONE, 5))
        board(step(Kind.SKIPPED, 6, known=True))
    assert capsys.readouterr().err.splitlines() == [
        "✓ [p-5] step 5: done",
        "· 1 step done before, and still so",
    ]
    assert len(board.ended) == 6


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_event_can_be_shown(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    Board(1, clock=FakeClock())(event(kind))
    quiet = {Kind.RUN_STARTED, Kind.STARTED, Kind.WAITING, Kind.PROGRESS}
    quiet |= {Kind.PHASE}  # it is told with the first that happens in it
    assert bool(capsys.readouterr().err) is (kind not in quiet)
