"""Going back: a critical section given up at once, or a whole run rolled back.

Invariant of a section: nothing before the deciding step is undone while it is not certain that
the deciding step is not in force, for then both sides of a move could be open. Everything else
is undone however much of the rest fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kafkaops.engine import history as h
from kafkaops.engine.errors import GuardRefused, OpsError, RolledBack, StepFailed, TimedOut
from kafkaops.engine.events import Kind
from kafkaops.engine.step import Blocked, Critical, Spec, State, Step
from kafkaops.engine.stepping import Interrupted, Stepping

W = TypeVar("W")

PASSES = 3  # times that an undo is tried
BETWEEN = 0.2  # seconds between two passes


def came_about(run: Stepping[W], steps: Mapping[str, Step[W]], section: Critical) -> bool:
    """Whether the deciding step, once begun, is in force, so that only forward is right."""
    decided = section.decided
    if decided not in run.history.begun:
        return False
    if steps[decided].check(run.world) is not State.DONE:
        return False
    run.history.note(h.DONE, step=decided)
    run.announcer.say(Kind.DECIDED, message=section.name)
    return True


def give_up(
    run: Stepping[W], steps: Mapping[str, Step[W]], section: Critical, why: BaseException | str
) -> OpsError | None:
    """Undo the begun steps of the section, last first, and return the error that says so:
    RolledBack, or StepFailed where something could not be undone (a resume tries again).
    None when the deciding step refuses to be taken back and is in force: only forward is right.

    A journal that cannot be written does not hold it up: a resume then undoes once more.
    """
    words = why if isinstance(why, str) else _words(why)
    attempt = run.history.attempts.get(section.name, 1)
    unwritten = _note(run, h.RETURNING, name=section.name, attempt=attempt, why=words)
    run.announcer.say(Kind.RETURNING, message=words, section=section.name)
    failed: dict[str, str] = {}
    for turn in range(PASSES):
        if turn:
            run.clock.sleep(BETWEEN)
        failed, barred = _undo_all(run, steps, section)
        if barred:
            try:
                if came_about(run, steps, section):
                    return None
            except Exception as error:
                failed[section.decided] += f"; then {_words(error)}"
            break
        if not failed:
            break
    if failed:
        left = "; ".join(f"{step}: {error}" for step, error in failed.items())
        end: OpsError = StepFailed(
            "KO-RETURN-INCOMPLETE",
            f"{section.name} failed ({words}), and not all of it could be undone: {left}",
            where=next(iter(failed)),
            hint=run.resume,
        )
    else:
        unwritten = _note(run, h.RETURNED, name=section.name, attempt=attempt) or unwritten
        run.announcer.say(Kind.RETURNED, message=words, section=section.name)
        end = RolledBack(
            "KO-RETURNED",
            f"{section.name} was given up and undone: {words}"
            + (f" (and the journal could not be written: {unwritten})" if unwritten else ""),
            where=getattr(why, "where", "") or section.name,
            hint=f"{run.resume}   (tries it once more)",
        )
    end.__cause__ = why if isinstance(why, BaseException) else None
    return end


def _undo_all(
    run: Stepping[W], steps: Mapping[str, Step[W]], section: Critical
) -> tuple[dict[str, str], bool]:
    """One pass: what failed, and whether going back is barred from here."""
    failed: dict[str, str] = {}
    for spec in run.history.begun_specs():
        if spec.critical != section.name:
            continue
        try:
            steps[spec.id].undo(run.world)
        except Exception as error:  # reported by the caller, after the rest was undone
            failed[spec.id] = _words(error)
            if spec.id == section.decided:
                return failed, isinstance(error, GuardRefused)
            continue
        _note(run, h.UNDONE, step=spec.id)
        run.announcer.say(Kind.UNDONE, spec)
    return failed, False


def roll_back(
    run: Stepping[W],
    steps: Mapping[str, Step[W]],
    wrapped: Callable[[Spec, Exception], OpsError],
) -> None:
    """Undo every begun step of the run, last first, each under its own guard where it has one
    (`safe_undo(world) -> Blocked | None`). What was undone is written down, so that a resumed
    rollback goes on where it stopped."""
    if not run.history.rolling_back:
        run.history.note(h.ROLLBACK)
    for section in run.history.open_sections():
        error = give_up(run, steps, section, "rolled back as asked")
        if error is None:
            raise StepFailed(
                "KO-DECIDED",
                f"{section.name} was decided and cannot be taken back",
                where=section.decided,
                hint=run.resume,
            )
        if not isinstance(error, RolledBack):
            raise error
    for spec in run.history.begun_specs():
        step = steps[spec.id]
        try:
            if run.stop.asked is not None:
                raise Interrupted("KO-INTERRUPTED", "stopped as asked", hint=run.resume)
            _until_undoable(run, spec, step)
            run.lease.verify()
            step.undo(run.world)
        except Exception as error:
            raise wrapped(spec, error) from error
        run.history.note(h.UNDONE, step=spec.id)
        run.announcer.say(Kind.UNDONE, spec)
    run.history.note(h.ROLLED_BACK)
    run.announcer.say(Kind.ROLLED_BACK)


def refuse_boundary(run: Stepping[W], steps: Mapping[str, Step[W]]) -> None:
    """GuardRefused KO-IRREVERSIBLE where a step that was begun cannot be taken back."""
    for spec in run.history.begun_specs():
        if not spec.irreversible:
            continue
        if spec.id in run.history.done or steps[spec.id].check(run.world) is not State.TODO:
            raise GuardRefused(
                "KO-IRREVERSIBLE",
                f"cannot be taken back: {spec.irreversible}",
                where=spec.id,
                hint=f"kafkaops run show {run.history.plan.id}"
                if run.history.ended
                else run.resume,
            )


def _until_undoable(run: Stepping[W], spec: Spec, step: Step[W]) -> None:
    guard: Callable[[W], Blocked | None] | None = getattr(step, "safe_undo", None)
    if guard is None:
        return
    deadline = run.clock.monotonic() + spec.deadline
    while (blocked := guard(run.world)) is not None:
        words = f"{spec.title}: cannot be undone: {blocked.reason}"
        if not blocked.transient:
            raise GuardRefused(blocked.code, words, where=spec.id, hint=blocked.hint)
        if run.clock.monotonic() >= deadline:
            raise TimedOut(blocked.code, words, where=spec.id, hint=blocked.hint)
        run.announcer.say(
            Kind.WAITING, spec, message=blocked.reason, code=blocked.code, hint=blocked.hint
        )
        if run.stop.asked is not None:
            raise Interrupted("KO-INTERRUPTED", "stopped as asked", hint=run.resume)
        run.clock.sleep(spec.poll)


def _note(run: Stepping[W], kind: str, **data: Any) -> str:
    """Write it down if that is possible; else say why not, for going back comes first."""
    try:
        run.history.note(kind, **data)
    except OpsError as error:
        return error.message
    return ""


def _words(error: BaseException) -> str:
    if isinstance(error, OpsError):
        return error.message
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
