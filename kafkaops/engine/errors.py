"""Errors that an operator sees: what, where, why, the next command, and an exit code.

The exit codes are published in the README; a code not listed there is a failure (1).
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    DECLINED = 3
    CONFIG = 4
    GUARD = 5
    LOCKED = 6
    TIMEOUT = 7
    STEP_FAILED = 8
    ROLLED_BACK = 9
    CHANGES = 10
    MISMATCH = 20
    DATA_GAP = 21
    STALE = 24
    INTERRUPTED = 130


class OpsError(Exception):
    """Base of every error that reaches the command line as a sentence, not a traceback."""

    exit = Exit.UNEXPECTED

    def __init__(
        self, code: str, message: str, *, where: str = "", hint: str = "", exit: Exit | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint
        if exit is not None:
            self.exit = exit


class UsageFault(OpsError):
    exit = Exit.USAGE


class ConfigError(OpsError):
    """The config, credentials or permissions are wrong."""

    exit = Exit.CONFIG


class GuardRefused(OpsError):
    """A guard said no and nothing was changed."""

    exit = Exit.GUARD


class LeaseHeld(OpsError):
    exit = Exit.LOCKED


class TimedOut(OpsError):
    exit = Exit.TIMEOUT


class StepFailed(OpsError):
    exit = Exit.STEP_FAILED


class RolledBack(OpsError):
    exit = Exit.ROLLED_BACK


class Mismatch(OpsError):
    exit = Exit.MISMATCH


class DataGap(OpsError):
    exit = Exit.DATA_GAP


class Unreachable(OpsError):
    """A broker, host or service did not answer; says which and how long it was tried."""

    exit = Exit.CONFIG
