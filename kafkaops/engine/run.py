"""The loop: takes a plan through its steps, and never loses its place.

A `Runner` is made anew by every process that takes up the run; all it knows of the past is in
the journal, all it knows of the present is what `check` says. Invariants: see stepping.py for a
step, returning.py for going back.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from kafkaops.engine import history as h
from kafkaops.engine import outline
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import ConfigError, Exit, GuardRefused, OpsError, StepFailed
from kafkaops.engine.events import Announcer, Kind, Listener
from kafkaops.engine.history import History
from kafkaops.engine.journal import Journal
from kafkaops.engine.lease import Lease, user_name
from kafkaops.engine.outline import Group, Unit
from kafkaops.engine.parallel import Parallel, in_threads
from kafkaops.engine.plan_json import plan_hash
from kafkaops.engine.returning import came_about, give_up, refuse_boundary, roll_back
from kafkaops.engine.step import Critical, Plan, Spec, Step
from kafkaops.engine.stepping import Budget, Interrupted, Stepping, StopRequest

W = TypeVar("W")

Registry = Mapping[str, Callable[[Spec], Step[W]]]


@dataclass(frozen=True)
class RunResult:
    """How a run ended well. `outcome` is `done`, `held` (at the hold point after `phase`;
    `resume` is the command that goes on) or `rolled-back`. `acted` and `undone` are the ids of
    the steps this process began or took back, `seconds` is its own time."""

    run: str
    outcome: str
    acted: tuple[str, ...]
    undone: tuple[str, ...]
    seconds: float
    phase: str = ""
    resume: str = ""
    warnings: tuple[str, ...] = ()


class Runner(Generic[W]):
    """`registry` maps kinds to steps; `lease` is held already and is not released here;
    `events` hears what happens; `confirm` answers go/no-go questions (default: no);
    `until` names the phase to stop after; `stop_grace` is how many seconds a step under way
    may go on after a stop request; `parallel` runs the steps of a batch."""

    def __init__(
        self,
        plan: Plan,
        registry: Registry[W],
        world: W,
        journal: Journal,
        lease: Lease,
        clock: Clock,
        events: Listener | None = None,
        *,
        confirm: Callable[[str], bool] | None = None,
        until: str | None = None,
        stop_grace: float = 10.0,
        parallel: Parallel = in_threads,
        resume: str = "",
    ) -> None:
        if plan is not journal.plan and plan_hash(plan) != journal.plan_hash:
            raise ConfigError(
                "KO-PLAN-OTHER",
                f"the journal is of plan {journal.plan.id}, not of this {plan.id}",
                where=str(journal.path),
            )
        outline.check(plan, registry.keys())
        outline.check_until(plan, until)
        self.plan, self.until = plan, until
        self.history = History(journal)
        self._clock, self._parallel = clock, parallel
        self._steps = {s.id: registry[s.kind](s) for s in plan.specs}
        self._announcer = Announcer(plan.id, clock, events)
        self._stop = StopRequest(clock, stop_grace)
        self._resume = resume or f"kafkaops run resume {plan.id}"
        self._phase = ""
        self._run = Stepping(
            world,
            self.history,
            lease,
            clock,
            self._announcer,
            self._stop,
            confirm or (lambda question: False),
            self._resume,
        )

    def request_stop(self) -> None:
        """Finish the step under way and stop; inside a critical section go back. Safe to call
        from a signal handler."""
        self._stop.ask()

    def run(self) -> RunResult:
        """Begin the run, or go on with it.

        Raises RolledBack (a critical section was undone; a further run tries it once more),
        TimedOut, StepFailed, GuardRefused (nothing was changed), LeaseHeld (lost),
        Interrupted (130), the decline (3), and what steps raise with an exit code of their own.
        """
        begun = self._clock.monotonic()
        if self.history.rolling_back:
            raise self._no_way_forward()
        if self.history.ended:
            return self._result("done", begun)
        self._begin()
        try:
            for section in self.history.open_sections():
                if not came_about(self._run, self._steps, section):
                    self._give_up(section, "the run had ended in the middle of it")
            units = outline.before_hold(self.plan, self.until)
            settled = self.history.settled()
            for unit in units:
                if not settled.issuperset(s.id for s in unit.specs):
                    self._unit(unit)
        except Interrupted as stop:
            self._stopped(stop.message)
            raise
        except OpsError as error:
            if error.exit is Exit.DECLINED:
                self._stopped(error.message)
            raise
        if sum(len(unit.specs) for unit in units) < len(self.plan.specs):
            self._stopped(f"held after {self.until}", Kind.HELD)
            return self._result("held", begun)
        self.history.note(h.END)
        self._announcer.say(Kind.RUN_DONE, seconds=self._clock.monotonic() - begun)
        return self._result("done", begun)

    def rollback(self) -> RunResult:
        """Undo what the run began, last step first; a second call goes on after a crash.

        Raises GuardRefused at an irreversible boundary (nothing was changed), StepFailed or
        TimedOut where a step cannot be undone, Interrupted.
        """
        begun = self._clock.monotonic()
        if not self.history.rolled_back:
            refuse_boundary(self._run, self._steps)  # before a word is written: nothing is begun
            self._begin()
            try:
                roll_back(self._run, self._steps, self._wrapped)
            except Interrupted as stop:
                self._stopped(stop.message)
                raise
        return self._result("rolled-back", begun)

    def _begin(self) -> None:
        self._run.lease.verify()
        self.history.note(h.BEGIN, pid=os.getpid(), host=socket.gethostname(), user=user_name())
        self._announcer.say(Kind.RUN_STARTED, message=self.plan.operation)

    def _unit(self, unit: Unit) -> None:
        if unit.section is None:
            self._groups(unit.groups, None)
            return
        section = unit.section
        at = next(i for i, g in enumerate(unit.groups) if any(s.id == section.decided for s in g))
        if not self.history.decided(section):
            budget = Budget(section, self.history.attempts.get(section.name, 0) + 1, self._clock)
            try:
                self._groups(unit.groups[: at + 1], budget)
                self._announcer.say(Kind.DECIDED, message=section.name)
            except (Exception, KeyboardInterrupt) as error:
                self._failed_inside(section, error)
        self._groups(unit.groups[at + 1 :], None)

    def _give_up(self, section: Critical, why: BaseException | str) -> None:
        """Raise what going back came to; return where only forward is right."""
        error = give_up(self._run, self._steps, section, why)
        if error is not None:
            raise error

    def _failed_inside(self, section: Critical, error: BaseException) -> None:
        """Go back, unless the deciding step came about all the same or nothing was begun."""
        mine = {s.id for s in self.plan.specs if s.critical == section.name}
        if not mine & self.history.begun:
            raise error
        if not self.history.decided(section):
            try:
                forward = came_about(self._run, self._steps, section)
            except Exception:  # cannot be told: its own undo finds out, or bars the way back
                forward = False
            if not forward:
                self._give_up(section, error)
        if not isinstance(error, Exception):
            raise error

    def _groups(self, groups: tuple[Group, ...], budget: Budget | None) -> None:
        for group in groups:
            if all(self._run.stops_before(spec) for spec in group):
                raise self._run.interrupted()
            self._enter(group[0])
            if len(group) == 1:
                self._one(group[0], budget)
            else:
                self._batch(group, budget)

    def _enter(self, spec: Spec) -> None:
        if spec.phase != self._phase:
            self._phase = spec.phase
            self._announcer.say(Kind.PHASE, spec, message=self._phase)

    def _batch(self, group: Group, budget: Budget | None) -> None:
        entered = {group[0].phase}
        lock = threading.Lock()

        def take(spec: Spec) -> None:
            with lock:  # a phase begins with the first lane that comes to it
                if spec.phase not in entered:
                    entered.add(spec.phase)
                    self._enter(spec)
            if self._run.stops_before(spec):
                raise self._run.interrupted()
            try:
                self._one(spec, budget)
            except Exception:
                self._run.halted = self._run.halted or bool(spec.lane)
                raise

        lanes = [[partial(take, spec) for spec in lane] for lane in outline.lanes(group)]
        try:
            errors = [e for e in self._parallel(lanes) if e is not None]
        finally:
            self._run.halted = False
        graver = [e for e in errors if not isinstance(e, Exception)]
        # who stopped as asked says less than who failed
        for error in graver or sorted(errors, key=lambda e: isinstance(e, Interrupted)):
            raise error

    def _one(self, spec: Spec, budget: Budget | None) -> None:
        try:
            self._run.bring_about(spec, self._steps[spec.id], budget)
        except Exception as error:
            failure = self._wrapped(spec, error)
            if failure is error:
                raise
            raise failure from error

    def _wrapped(self, spec: Spec, error: Exception) -> OpsError:
        """The error as the operator gets it: with step, next command, and an exit code that
        says whether anything was changed. Written down as far as that is possible."""
        if isinstance(error, Interrupted) or getattr(error, "exit", None) is Exit.DECLINED:
            assert isinstance(error, OpsError)
            return error
        if not isinstance(error, OpsError):
            words = " ".join(str(error).split())
            name = type(error).__name__
            failure: OpsError = StepFailed(
                "KO-STEP-FAILED", f"{spec.title}: {name}{': ' if words else ''}{words}"
            )
        elif self.history.acted and error.exit in (Exit.CONFIG, Exit.UNEXPECTED, Exit.GUARD):
            failure = StepFailed(error.code, error.message, where=error.where, hint=error.hint)
        else:
            failure = error
        failure.where = failure.where or spec.id
        failure.hint = failure.hint or self._resume
        try:
            self.history.note(h.FAILED, step=spec.id, code=failure.code, why=failure.message)
        except OpsError as full:  # the failure itself is what the operator must hear
            self._announcer.warnings.append(full.message)
        self._announcer.say(Kind.FAILED, spec, message=failure.message, code=failure.code)
        return failure

    def _stopped(self, why: str, kind: Kind = Kind.STOPPED) -> None:
        self.history.note(h.STOP, why=why)
        self._announcer.say(kind, message=why, resume=self._resume)

    def _no_way_forward(self) -> OpsError:
        if self.history.rolled_back:
            return GuardRefused(
                "KO-ROLLED-BACK",
                f"run {self.plan.id} was rolled back; it cannot go forward again",
                hint="plan again",
            )
        return GuardRefused(
            "KO-ROLLING-BACK",
            f"run {self.plan.id} is being rolled back",
            hint=f"kafkaops run rollback {self.plan.id}",
        )

    def _result(self, outcome: str, begun: float) -> RunResult:
        here = self.history.here
        return RunResult(
            run=self.plan.id,
            outcome=outcome,
            acted=tuple(str(r.data["step"]) for r in here if r.kind == h.INTENT),
            undone=tuple(str(r.data["step"]) for r in here if r.kind == h.UNDONE),
            seconds=self._clock.monotonic() - begun,
            phase=(self.until or "") if outcome == "held" else "",
            resume=self._resume if outcome == "held" else "",
            warnings=tuple(self._announcer.warnings),
        )
