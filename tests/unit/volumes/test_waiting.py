"""The wait for a key at boot."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

import kafkaops.adapters
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import (
    ConfigError,
    GuardRefused,
    OpsError,
    StepFailed,
    TimedOut,
    Unreachable,
)
from kafkaops.volumes.waiting import PASSING, until_it_opens

ADAPTERS = Path(kafkaops.adapters.__file__).parent
OF_KEYS = ("kms", "kms_errors", "s3_copies", "aws_errors", "patience", "key_process", "key_caller")
"""What a key comes through at boot."""


def test_it_says_why_and_tries_until_the_key_is_back() -> None:
    clock, said, tries = FakeClock(), list[str](), list[float]()

    def deed() -> str:
        tries.append(clock.monotonic())
        if len(tries) < 7:
            raise ConfigError("KO-KMS-DISABLED", "the key is disabled", hint="enable it")
        return "open"

    assert until_it_opens(deed, clock, said.append, "data-1") == "open"
    assert [round(b - a) for a, b in itertools.pairwise(tries)] == [5, 10, 20, 40, 60, 60]
    assert said[0] == (
        "data-1: KO-KMS-DISABLED: the key is disabled; Kafka does not start without it;"
        " trying again in 5 s (enable it)"
    )


def test_what_waiting_cannot_cure_ends_at_once() -> None:
    clock = FakeClock()

    def deed() -> None:
        raise GuardRefused("KO-VOLUME-FOREIGN", "an ext4 file system")

    with pytest.raises(OpsError, match="ext4"):
        until_it_opens(deed, clock, lambda _: None, "data-1")
    assert clock.monotonic() == FakeClock().monotonic()


def waits_for(error: OpsError) -> bool:
    """Whether the deed is tried again after this error."""
    failing = [error]

    def deed() -> None:
        if failing:
            raise failing.pop()

    try:
        until_it_opens(deed, FakeClock(), lambda _: None, "data-1")
    except OpsError:
        return False
    return True


def raised(kind: str) -> set[str]:
    """The codes that the adapters of KMS and S3 give an error of this kind."""
    calls = (
        node
        for name in OF_KEYS
        for node in ast.walk(ast.parse((ADAPTERS / f"{name}.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == kind
    )
    return {str(ast.literal_eval(call.args[0])) for call in calls}


def test_what_aws_does_not_answer_is_waited_for_whoever_of_it_is_asked() -> None:
    codes = raised("Unreachable")
    assert {"KO-KMS-AWAY", "KO-KMS-THROTTLED", "KO-S3-AWAY", "KO-AWS-UNREACHABLE"} <= codes
    assert codes <= set(PASSING)
    assert all(waits_for(Unreachable(code, "no answer")) for code in codes)


def test_a_key_that_comes_too_late_is_asked_for_again_and_a_process_that_breaks_is_not() -> None:
    assert raised("TimedOut") == {"KO-VOLUME-KEY-PROCESS"}
    assert waits_for(TimedOut("KO-VOLUME-KEY-PROCESS", "it did not end within 600 s"))
    assert not waits_for(StepFailed("KO-VOLUME-KEY-PROCESS", "it did not answer"))
