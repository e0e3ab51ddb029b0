"""The wait for a key at boot."""

from __future__ import annotations

import itertools

import pytest

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, GuardRefused, OpsError
from kafkaops.volumes.waiting import until_it_opens


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
