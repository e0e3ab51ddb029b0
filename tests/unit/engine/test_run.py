"""The loop: order, guards, waiting, resuming."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkaops.engine.errors import (
    ConfigError,
    Exit,
    GuardRefused,
    LeaseHeld,
    Mismatch,
    OpsError,
    StepFailed,
    TimedOut,
    Unreachable,
    UsageFault,
)
from kafkaops.engine.events import Event, Kind
from kafkaops.engine.history import History
from kafkaops.engine.run import Runner
from kafkaops.engine.step import Blocked, Critical, Progress, Spec
from tests.unit.engine.conftest import WAIT, Bench, Put, Shelf, plan_of, step

NEVER = Blocked("KO-NEVER", "impossible", "change the config", transient=False)


def test_runs_each_step_once_and_says_done(bench: Bench) -> None:
    result = bench.runner(plan_of("a", "b")).run()
    assert result.outcome == "done"
    assert result.acted == ("a", "b")
    assert bench.world.changes == ["act a", "act b"]
    assert bench.kinds == ["plan", "begin", "intent", "done", "intent", "done", "end"]


def test_what_is_done_already_is_skipped_and_never_acted_on(bench: Bench) -> None:
    bench.world.held.add("a")
    result = bench.runner(plan_of("a", "b")).run()
    assert result.acted == ("b",)
    assert "seen-done" in bench.kinds
    assert bench.told.count("skipped") == 1


def test_a_step_on_its_way_is_waited_for_not_begun_again(bench: Bench) -> None:
    bench.world.held.add("a")
    bench.world.ready["a"] = bench.clock.now + 20
    bench.runner(plan_of("a")).run()
    assert bench.world.changes == []
    assert sum(bench.clock.slept) == pytest.approx(20, abs=1)


def test_the_intent_is_on_disk_before_the_act(bench: Bench) -> None:
    seen: list[list[str]] = []
    bench.world.hook = lambda call: seen.append(bench.kinds) if call == "act a" else None
    bench.runner(plan_of("a")).run()
    assert seen == [["plan", "begin", "intent"]]


def test_the_guard_must_pass_so_many_times_in_a_row(bench: Bench) -> None:
    bench.world.blocks["a"] = [None, WAIT, None, None, None]
    bench.runner(plan_of(step("a", guards=3))).run()
    assert bench.world.calls.count("safe a") == 5
    assert "waiting" in bench.told


def test_a_transient_block_is_waited_for_until_the_deadline(bench: Bench) -> None:
    bench.world.blocks["a"] = [WAIT] * 1000
    with pytest.raises(TimedOut) as failed:
        bench.runner(plan_of(step("a", deadline=60.0))).run()
    assert failed.value.code == "KO-BUSY"
    assert sum(bench.clock.slept) == pytest.approx(60, abs=1)
    assert bench.world.changes == []


def test_a_permanent_block_is_a_refusal_only_while_nothing_was_changed(bench: Bench) -> None:
    bench.world.blocks["a"] = [NEVER]
    with pytest.raises(GuardRefused) as refused:
        bench.runner(plan_of("a", "b")).run()
    assert refused.value.exit == Exit.GUARD
    assert refused.value.hint == "change the config"
    assert bench.world.changes == []
    bench.world.blocks["b"] = [NEVER]
    with pytest.raises(StepFailed) as failed:
        bench.runner().run()
    assert failed.value.code == "KO-NEVER"
    assert bench.world.changes == ["act a"]


def test_a_step_past_its_deadline_is_resumable(bench: Bench) -> None:
    bench.world.slow["a"] = 400.0
    with pytest.raises(TimedOut) as failed:
        bench.runner(plan_of(step("a", deadline=30.0))).run()
    assert failed.value.hint == "kafkaops run resume r1"
    bench.clock.now += 380
    assert bench.runner().run().outcome == "done"
    assert bench.world.changes == ["act a"]


def test_todo_right_after_the_act_is_waited_out_not_acted_on_again(bench: Bench) -> None:
    def unset(call: str) -> None:  # the change shows only at the third look after the act
        if call == "check a":
            looks = bench.world.calls.count("check a")
            if looks in (2, 3):
                bench.world.held.discard("a")
            elif looks == 4:
                bench.world.held.add("a")

    bench.world.hook = unset
    bench.runner(plan_of("a")).run()
    assert bench.world.changes == ["act a"]


def test_a_step_that_was_on_its_way_and_fell_back_is_begun_again(bench: Bench) -> None:
    bench.world.slow["a"] = 10.0
    fallen: list[str] = []

    def fall(call: str) -> None:
        if call == "check a" and bench.world.calls.count("check a") == 4 and not fallen:
            bench.world.held.discard("a")
            fallen.append(call)

    bench.world.hook = fall
    bench.runner(plan_of("a")).run()
    assert bench.world.changes == ["act a", "act a"]
    assert bench.world.calls.count("safe a") == 2


def test_an_unreachable_target_is_waited_for_but_not_for_ever(bench: Bench) -> None:
    gone = Unreachable("KO-GONE", "b1 does not answer")
    bench.world.breaks["check a"] = [gone, gone, None, gone]
    bench.world.breaks["safe a"] = [gone]
    bench.runner(plan_of("a", "b")).run()
    assert bench.world.changes == ["act a", "act b"]
    assert any(e.message == "b1 does not answer" for e in bench.events)


def test_a_target_that_stays_away_is_a_timeout_that_names_it(bench: Bench) -> None:
    bench.world.breaks["check a"] = [Unreachable("KO-GONE", "b1 does not answer")] * 1000
    with pytest.raises(TimedOut, match="b1 does not answer"):
        bench.runner(plan_of(step("a", deadline=20.0))).run()


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (ValueError("odd"), StepFailed, "KO-STEP-FAILED"),
        (Unreachable("KO-GONE", "gone"), StepFailed, "KO-GONE"),
        (GuardRefused("KO-NO", "no"), StepFailed, "KO-NO"),
        (Mismatch("KO-DIFFERS", "differs"), Mismatch, "KO-DIFFERS"),
    ],
)
def test_what_an_act_raises_ends_the_run_and_can_be_resumed(
    bench: Bench, raised: Exception, kind: type[OpsError], code: str
) -> None:
    bench.world.breaks["act b"] = [raised]
    with pytest.raises(kind) as failed:
        bench.runner(plan_of("a", "b")).run()
    assert (failed.value.code, failed.value.where) == (code, "b")
    assert failed.value.hint == "kafkaops run resume r1"
    assert bench.kinds[-1] == "failed"
    result = bench.runner().run()
    assert result.acted == ("b",)


def test_an_error_before_anything_was_changed_keeps_its_exit_code(bench: Bench) -> None:
    bench.world.breaks["check a"] = [ConfigError("KO-ACL", "not allowed")]
    with pytest.raises(ConfigError) as failed:
        bench.runner(plan_of("a")).run()
    assert failed.value.exit == Exit.CONFIG


def test_the_run_stops_after_the_phase_asked_for_and_goes_on_later(bench: Bench) -> None:
    plan = plan_of(step("a"), step("b", phase="two"), step("c"), step("d", phase="three"))
    held = bench.runner(plan, until="one").run()
    assert (held.outcome, held.phase) == ("held", "one")
    assert held.resume == "kafkaops run resume r1"
    assert held.acted == ("a", "b", "c")
    assert bench.kinds[-1] == "stop"
    assert bench.runner().run().acted == ("d",)


def test_an_unknown_phase_is_refused_naming_the_known(bench: Bench) -> None:
    with pytest.raises(UsageFault, match="no phase 'x'") as failed:
        bench.runner(plan_of("a"), until="x")
    assert failed.value.hint.endswith("one")


def test_a_question_is_put_before_the_act_and_no_is_resumable(bench: Bench) -> None:
    plan = plan_of("a", step("b", ask="Really b?"))
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(OpsError) as declined:
        bench.runner(plan, confirm=no).run()
    assert declined.value.exit == Exit.DECLINED
    assert asked == ["Really b?"]
    assert bench.world.held == {"a"}
    assert bench.kinds[-1] == "stop"
    bench.runner(confirm=lambda question: True).run()
    assert bench.world.held == {"a", "b"}


def test_without_somebody_to_ask_the_answer_is_no(bench: Bench) -> None:
    with pytest.raises(OpsError) as declined:
        bench.runner(plan_of(step("a", ask="Really?"))).run()
    assert declined.value.exit == Exit.DECLINED


def test_a_lost_lease_stops_the_run_before_the_act(bench: Bench) -> None:
    def lose(call: str) -> None:
        if call == "safe b":
            bench.lease.lost_after = 0

    bench.world.hook = lose
    with pytest.raises(LeaseHeld) as lost:
        bench.runner(plan_of("a", "b")).run()
    assert lost.value.exit == Exit.LOCKED
    assert bench.world.changes == ["act a"]


def test_a_lost_lease_is_seen_while_waiting(bench: Bench) -> None:
    bench.world.slow["a"] = 100.0
    bench.lease.lost_after = 12
    with pytest.raises(LeaseHeld):
        bench.runner(plan_of("a")).run()


def test_a_resume_heals_what_was_done_and_is_no_more(bench: Bench) -> None:
    bench.world.breaks["act b"] = [ValueError("odd")]
    with pytest.raises(StepFailed):
        bench.runner(plan_of("a", "b")).run()
    bench.world.held.discard("a")
    assert bench.runner().run().acted == ("a", "b")


def test_a_step_begun_again_counts_as_begun_only(bench: Bench) -> None:
    bench.runner(plan_of("a"))
    journal = bench.journal()
    for kind in ("intent", "done", "intent"):
        journal.append(kind, {"step": "a"})
    found = History(journal)
    assert (found.begun, found.done) == ({"a"}, set())


def test_a_finished_run_does_nothing_more(bench: Bench) -> None:
    bench.runner(plan_of("a")).run()
    before = list(bench.world.calls), bench.kinds
    again = bench.runner().run()
    assert (again.outcome, again.acted) == ("done", ())
    assert (bench.world.calls, bench.kinds) == before


def test_a_journal_of_another_plan_is_refused(bench: Bench) -> None:
    bench.runner(plan_of("a"))
    other, journal = plan_of("b"), bench.journal()
    with pytest.raises(ConfigError, match="not of this"):
        Runner(other, {"put": Put}, bench.world, journal, bench.lease, bench.clock)


@pytest.mark.parametrize(
    ("specs", "criticals", "words"),
    [
        ((step("a"), step("a")), (), "there twice"),
        ((replace(step("a"), kind="odd"),), (), "'odd'"),
        ((step("a", critical="c"),), (), "no budget"),
        ((step("a", critical="c"),), (Critical("c", 1, "z"),), "does not lie in"),
        (
            (step("a", critical="c"), step("b"), step("c", critical="c")),
            (Critical("c", 1, "c"),),
            "several pieces",
        ),
        ((step("a", critical="c", ask="?"),), (Critical("c", 1, "a"),), "inside a critical"),
        (
            (step("a", critical="c", batch="x"), step("b", critical="c", batch="x")),
            (Critical("c", 1, "a"),),
            "run beside 'a'",
        ),
    ],
)
def test_a_plan_of_impossible_shape_is_refused_before_anything(
    bench: Bench, specs: tuple[Spec, ...], criticals: tuple[Critical, ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        bench.runner(plan_of(*specs, criticals=criticals))
    assert bench.world.calls == []


def test_a_listener_that_fails_ends_as_a_warning(bench: Bench) -> None:
    runner = bench.runner(plan_of("a"))

    def broken(event: Event) -> None:
        raise BrokenPipeError("nobody reads")

    runner._announcer._listener = broken
    result = runner.run()
    assert result.outcome == "done"
    assert any("nobody reads" in w for w in result.warnings)


def test_progress_is_told_once_a_second(bench: Bench) -> None:
    class Slow(Put):
        def progress(self, world: Shelf) -> Progress:
            return Progress(1, 4, "parts", "first")

    runner = bench.runner(plan_of(step("a", poll=0.1)))
    runner._steps["a"] = Slow(step("a"))
    bench.world.slow["a"] = 5.0
    runner.run()
    told = [e for e in bench.events if e.kind is Kind.PROGRESS]
    assert 4 <= len(told) <= 6
    assert told[0].progress == Progress(1, 4, "parts", "first")
