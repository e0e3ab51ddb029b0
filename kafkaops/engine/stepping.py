"""Bringing about one step: look, guard, write the intent down, act, wait until it is done.

Invariants: no act without its intent on disk; no act while the step is PENDING; no act without
the lease; inside a critical section nothing begins or waits past the budget.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kafkaops.engine import history as h
from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import (
    Exit,
    GuardRefused,
    OpsError,
    TimedOut,
    Unreachable,
)
from kafkaops.engine.events import Announcer, Kind
from kafkaops.engine.history import History
from kafkaops.engine.lease import Lease
from kafkaops.engine.step import Blocked, Critical, Progress, Spec, State, Step

W = TypeVar("W")

SLICE = 1.0  # seconds: the longest sleep that does not look for a stop request
PROGRESS_EVERY = 1.0  # seconds
SOON = 0.25  # seconds: between the first looks at what was begun
SHARE = 1 / 8  # of what was waited already: what a look may come too late


class Interrupted(OpsError):
    """The operator asked to stop, and the run stands where it can be resumed."""

    exit = Exit.INTERRUPTED


@dataclass
class StopRequest:
    """Set from a signal handler or another thread; a step under way may take `grace` seconds
    more to be done."""

    clock: Clock
    grace: float
    asked: float | None = None

    def ask(self) -> None:
        if self.asked is None:
            self.asked = self.clock.monotonic()

    @property
    def expired(self) -> bool:
        return self.asked is not None and self.clock.monotonic() >= self.asked + self.grace


@dataclass
class Budget:
    """The time of a critical section; it runs from just before the first act."""

    section: Critical
    attempt: int
    clock: Clock
    begun: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        if self.begun is not None and self.clock.monotonic() - self.begun > self.section.budget:
            raise TimedOut(
                "KO-BUDGET",
                f"{self.section.name} took longer than its {self.section.budget:g} s",
            )


@dataclass
class Stepping(Generic[W]):
    """What every step of a run needs. `confirm` puts a go/no-go question."""

    world: W
    history: History
    lease: Lease
    clock: Clock
    announcer: Announcer
    stop: StopRequest
    confirm: Callable[[str], bool]
    resume: str
    halted: bool = False
    """A lane of the batch failed: for the others that is as if they were asked to stop."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begun: set[str] = field(init=False)

    def __post_init__(self) -> None:
        past = self.history.begun
        self._begun = {s.unbroken for s in self.history.plan.specs if s.id in past}

    def stops_before(self, spec: Spec) -> bool:
        """Whether the run is to stop before this step: not once a step that is not to be parted
        from it has acted, in this process or in one before."""
        if self.stop.asked is None and not self.halted:
            return False
        return not self._bound(spec)

    def _bound(self, spec: Spec) -> bool:
        """Whether a step that is not to be parted from it has acted."""
        return bool(spec.unbroken) and spec.unbroken in self._begun

    def bring_about(self, spec: Spec, step: Step[W], budget: Budget | None = None) -> None:
        """Return when the step is done, and written down as done.

        Raises what the step raises, TimedOut past its deadline or the budget, GuardRefused when
        a guard refuses for good, Interrupted on a stop request.
        """
        begun = self.clock.monotonic()
        deadline = begun + spec.deadline
        acted = pending = False
        said, detail = float("-inf"), ""
        lost: str | None = None
        while True:
            self.lease.verify()
            state, trouble = self._look(spec, step, inside=budget is not None)
            if state is State.DONE:
                return self._finish(spec, begun, waited=acted or pending)
            if state is State.TODO and trouble is None and (pending or not acted):
                if acted:  # it was on its way and fell back: begin again, within the deadline
                    self._within(spec, deadline, lost or "it fell back to its beginning")
                self._until_safe(spec, step, budget)
                trouble = lost = self._act(spec, step, budget)
                if not acted:
                    deadline = self.clock.monotonic() + spec.deadline
                acted, pending = True, trouble is not None
                if trouble is None:
                    continue
            pending = pending or state is State.PENDING
            self._within(spec, deadline, trouble or detail or "it is not done yet")
            now = self.clock.monotonic()
            if now - said >= PROGRESS_EVERY:
                said = now
                detail = self._progress(spec, step, now - begun, trouble)
            under_way = acted or self._bound(spec)
            self._pause(spec, self._gap(spec, now - begun), budget, under_way=under_way)

    def _gap(self, spec: Spec, waited: float) -> float:
        """Seconds until the next look: what takes an instant is not paid for with a whole `poll`,
        and a long wait does not keep the cluster busy with answering."""
        return min(spec.poll, max(SOON, waited * SHARE))

    def _look(self, spec: Spec, step: Step[W], *, inside: bool) -> tuple[State, str | None]:
        """The step's state; outside of critical sections an unreachable target is waited for."""
        try:
            return step.check(self.world), None
        except Unreachable as error:
            if inside:
                raise
            return State.TODO, error.message

    def _until_safe(self, spec: Spec, step: Step[W], budget: Budget | None) -> None:
        """Return when the guard passed `spec.guards` times in a row (once inside a section)."""
        patience = spec.patience or spec.deadline
        deadline = self.clock.monotonic() + patience
        wanted = 1 if budget else max(1, spec.guards)
        passed, said = 0, float("-inf")
        while True:
            blocked = self._guard(step, inside=budget is not None)
            if blocked is None:
                passed += 1
                if passed >= wanted:
                    return
            else:
                passed = 0
                if budget or not blocked.transient:
                    raise self._refusal(spec, blocked)
                now = self.clock.monotonic()
                if now >= deadline:
                    raise TimedOut(
                        blocked.code,
                        f"{spec.title}: still blocked after {patience:g} s: {blocked.reason}",
                        where=spec.id,
                        hint=blocked.hint or self.resume,
                    )
                if now - said >= PROGRESS_EVERY:
                    said = now
                    self.announcer.say(
                        *(Kind.WAITING, spec),
                        message=blocked.reason,
                        code=blocked.code,
                        hint=blocked.hint,
                    )
            self._pause(spec, spec.poll, budget, under_way=False)
            self.lease.verify()

    def _guard(self, step: Step[W], *, inside: bool) -> Blocked | None:
        try:
            return step.safe(self.world)
        except Unreachable as error:
            if inside:
                raise
            return Blocked(error.code, error.message, error.hint)

    def _refusal(self, spec: Spec, blocked: Blocked) -> OpsError:
        flags = blocked.hint.startswith("--")  # of the command that goes on
        return GuardRefused(
            blocked.code,
            f"{spec.title}: {blocked.reason}",
            where=spec.id,
            hint=f"{self.resume} {blocked.hint}" if flags else blocked.hint or self.resume,
        )

    def _act(self, spec: Spec, step: Step[W], budget: Budget | None) -> str | None:
        """Why the target could not be reached, where that is to be waited for: what was taken away
        is to be brought back, so a connection that was lost in the act is looked at, and acted
        again, as a resume would; and a host that hangs ends nothing for those of its batch that are
        well."""
        if spec.ask and not self.confirm(spec.ask):
            raise OpsError(
                "KO-DECLINED",
                f"not agreed to: {spec.ask}",
                where=spec.id,
                hint=self.resume,
                exit=Exit.DECLINED,
            )
        with self._lock:  # of steps that are not to be parted all act, or none
            if self.stops_before(spec):
                raise self.interrupted()
            self._begun.add(spec.unbroken)
        self.lease.verify()
        if budget:
            self._open(budget)
            budget.check()
            self.history.note(h.INTENT, step=spec.id, attempt=budget.attempt)
        else:
            self.history.note(h.INTENT, step=spec.id)
        self.announcer.say(Kind.STARTED, spec)
        try:
            step.act(self.world)
        except Unreachable as error:
            if budget or not (spec.unbroken or spec.batch):
                raise
            return error.message
        return None

    def _open(self, budget: Budget) -> None:
        with budget.lock:
            if budget.begun is None:
                name, limit = budget.section.name, budget.section.budget
                self.history.note(h.SECTION, name=name, attempt=budget.attempt)
                self.announcer.say(Kind.SECTION, message=name, budget=limit, attempt=budget.attempt)
                budget.begun = self.clock.monotonic()

    def _finish(self, spec: Spec, begun: float, *, waited: bool) -> None:
        seconds = self.clock.monotonic() - begun
        if waited:
            self.history.note(h.DONE, step=spec.id, seconds=round(seconds, 3))
            self.announcer.say(Kind.DONE, spec, seconds=seconds)
        else:
            known = spec.id in self.history.done
            if not known:
                self.history.note(h.SEEN_DONE, step=spec.id)
            self.announcer.say(Kind.SKIPPED, spec, known=known)

    def _progress(self, spec: Spec, step: Step[W], seconds: float, trouble: str | None) -> str:
        """Say how far it is; what it waits for, in words."""
        found: Progress | None = None
        ask = getattr(step, "progress", None)
        if ask is not None and trouble is None:
            try:
                found = ask(self.world)
            except Unreachable as error:
                trouble = error.message
        message = trouble or (found.detail if found else "")
        self.announcer.say(Kind.PROGRESS, spec, message=message, seconds=seconds, progress=found)
        return message

    def _within(self, spec: Spec, deadline: float, why: str) -> None:
        if self.clock.monotonic() >= deadline:
            raise TimedOut(
                "KO-STEP-TIMEOUT",
                f"{spec.title}: not done after {spec.deadline:g} s: {why}",
                where=spec.id,
                hint=self.resume,
            )

    def _pause(self, spec: Spec, seconds: float, budget: Budget | None, *, under_way: bool) -> None:
        left = max(seconds, 0.001)
        while left > 0:
            if budget:
                budget.check()
            self._check_stop(spec, budget, under_way=under_way)
            self.clock.sleep(min(left, SLICE))
            left -= SLICE

    def _check_stop(self, spec: Spec, budget: Budget | None, *, under_way: bool) -> None:
        """Inside a section, and where nothing is under way, a stop request counts at once; within
        what is not to be parted it waits for the deadline, but for no guard. The failure of another
        lane ends only what nobody began."""
        bound = self._bound(spec)
        asked = self.stop.asked is not None
        if asked and (budget or not under_way or (self.stop.expired and not bound)):
            raise self.interrupted()
        if self.halted and not under_way and not bound:
            raise self.interrupted()

    def interrupted(self) -> Interrupted:
        """What ends a run that was asked to stop."""
        return Interrupted("KO-INTERRUPTED", "stopped as asked", hint=self.resume)
